"""Which videos are drawn for training and which for validation."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from project import Run

from taltool.data.annotations import read_ground_truth
from taltool.data.convert import convert
from taltool.data.random_split import random_split
from taltool.errors import DataError, UsageError
from taltool.reporting import Reporter

# Ten videos, of which each has both classes.
PLAIN = {f"v{n}": ["run", "jump"] for n in range(10)}


def validation(subset_of: dict[str, str]) -> set[str]:
    return {key for key, subset in subset_of.items() if subset == "validation"}


def test_each_video_is_on_one_side_and_the_share_is_kept() -> None:
    for seed in range(20):
        found = random_split(PLAIN, 0.7, seed)
        assert found.subset_of.keys() == PLAIN.keys()
        assert Counter(found.subset_of.values()) == {"training": 7, "validation": 3}
        assert (found.sides["training"].videos, found.sides["validation"].instances) == (7, 6)


def test_every_video_may_be_drawn_and_the_seed_decides() -> None:
    drawn = [frozenset(validation(random_split(PLAIN, 0.8, seed).subset_of)) for seed in range(60)]
    assert len(set(drawn)) > 20  # of 45 pairs
    assert frozenset.union(*drawn) == PLAIN.keys()
    assert random_split(PLAIN, 0.8, 7).subset_of == random_split(PLAIN, 0.8, 7).subset_of


def test_the_order_of_the_input_does_not_matter() -> None:
    labels_of = {f"v{n}": ["a"] * (n % 3) + ["b"] * (n % 2) for n in range(30)}
    backwards = dict(reversed(labels_of.items()))
    for seed in range(5):
        assert random_split(labels_of, 0.6, seed).subset_of == random_split(backwards, 0.6, seed).subset_of


def test_no_class_loses_its_last_training_instance() -> None:
    random = np.random.default_rng(3)
    for trial in range(100):
        # Some classes are in one video only.
        labels_of = {f"v{n}": [f"c{k}" for k in random.integers(0, 12, 3)] for n in range(12)} | {"w": [], "x": []}
        found = random_split(labels_of, 0.75, trial)
        there = {label for key, labels in labels_of.items() if found.subset_of[key] == "training" for label in labels}
        assert there == {label for labels in labels_of.values() for label in labels}
        assert found.sides["training"].lacking == ()


def test_validation_shows_every_class_that_it_can() -> None:
    # 18 videos of one class, and two of each of three others: a draw of 6 at random would miss some nearly always.
    labels_of = {f"m{n}": ["much"] for n in range(18)} | {f"{c}{n}": [c] for c in "abc" for n in range(2)}
    for seed in range(20):
        found = random_split(labels_of, 0.75, seed)
        assert found.sides["validation"].lacking == ()
        assert found.sides["validation"].videos == 6


def test_a_split_that_must_cost_a_class_costs_the_fewest() -> None:
    labels_of = {"x": ["a", "b"], "y": ["c", "d"], "z": ["e"]}
    for seed in range(5):
        found = random_split(labels_of, 0.6, seed)
        assert validation(found.subset_of) == {"z"}
        assert (found.sides["training"].lacking, found.sides["validation"].lacking) == (("e",), ("a", "b", "c", "d"))


def test_videos_of_one_group_stay_together() -> None:
    labels_of = {f"{cook}_clip{n}": ["cut"] for cook in ("anna", "ben", "cleo", "dora") for n in range(3)}
    for seed in range(10):
        held_out = validation(random_split(labels_of, 0.75, seed, "(.*)_clip").subset_of)
        assert len(held_out) == 3
        assert len({key.partition("_")[0] for key in held_out}) == 1


def test_a_video_that_the_pattern_does_not_know_is_alone() -> None:
    # A video named like a group is none of it.
    labels_of = {"a_clip1": ["x"], "a_clip2": ["x"], "a": ["x"], "b": ["x"]}
    sides = {frozenset(validation(random_split(labels_of, 0.75, seed, "(.*)_clip").subset_of)) for seed in range(20)}
    assert sides == {frozenset({"a"}), frozenset({"b"})}


@pytest.mark.parametrize(
    ("share", "by", "message"),
    [
        (0.0, None, "--random-split 0: expected a share of the videos between 0 and 1"),
        (1.0, None, "--random-split 1: expected"),
        (80, None, "--random-split 80: expected"),
        (0.8, "(", r"--by \(: not a regular expression: missing \)"),
        (0.8, "clip", "--by clip: no group in it"),
    ],
)
def test_what_makes_no_sense_is_refused(share: float, by: str | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        random_split(PLAIN, share, 0, by)


def test_one_group_cannot_be_parted() -> None:
    with pytest.raises(DataError, match="10 videos in 1 group cannot be parted"):
        random_split(PLAIN, 0.8, 0, "(v)")


class Listener(Reporter):
    """Remembers what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, message: str) -> None:
        self.said.append(message)

    def warn(self, message: str) -> None:
        self.said.append(f"warning: {message}")


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """Four videos of a class; the first has another one, which no other has."""
    database = {f"v{n}": {"duration": 9, "annotations": [{"segment": [1, 2], "label": "run"}]} for n in range(4)}
    database["v0"]["annotations"].append({"segment": [3, 4], "label": "jump"})  # type: ignore[attr-defined]
    (tmp_path / "gt.json").write_text(json.dumps({"version": "x", "database": database}))
    return tmp_path / "gt.json"


def test_convert_writes_the_subsets_and_how_they_were_drawn(truth: Path, tmp_path: Path) -> None:
    listener, output = Listener(), tmp_path / "split.json"
    done = convert(truth, output=output, random_split=0.75, seed=5, reporter=listener)
    assert done.split is not None
    written = read_ground_truth(str(output))
    assert {key: video.subset for key, video in written.videos.items()} == done.split.subset_of
    assert json.loads(output.read_text())["random_split"] == {"training": 0.75, "seed": 5}
    assert written.videos["v0"].subset == "training"
    assert listener.said == [
        "drawn with seed 5: training 3 videos, 4 instances; validation 1 videos, 1 instances",
        "warning: validation has no instance of 1 classes: 'jump'; try another --seed",
    ]


def test_subsets_that_are_there_stay_unless_said_otherwise(truth: Path, tmp_path: Path, taltool: Run) -> None:
    first = tmp_path / "first.json"
    assert taltool("convert", truth, "--random-split", 0.5, "-o", first).returncode == 0
    again = taltool("convert", first, "--random-split", 0.5, "--seed", 1, "-o", tmp_path / "x.json")
    assert again.returncode == 2
    assert b"the videos are in subsets already (" in again.stderr
    assert b"--resplit puts new ones in their place" in again.stderr
    convert(first, output=tmp_path / "x.json", random_split=0.75, resplit=True, seed=1)
    assert read_ground_truth(str(tmp_path / "x.json")).subset("validation").videos.keys() == validation(
        random_split({f"v{n}": ["run"] + ["jump"] * (n == 0) for n in range(4)}, 0.75, 1).subset_of
    )


def test_what_has_no_subsets_is_not_split(truth: Path, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"results": {"v": [{"segment": [1, 2], "score": 0.5, "label": "a"}]}}')
    with pytest.raises(UsageError, match="--random-split: proposals have no subsets"):
        convert(tmp_path / "p.json", output=tmp_path / "x.json", random_split=0.5)
    with pytest.raises(UsageError, match="--by and --resplit belong to --random-split"):
        convert(truth, output=tmp_path / "x.json", by="(.)")
    with pytest.raises(UsageError, match="--subset puts all videos into one subset"):
        convert(truth, output=tmp_path / "x.json", random_split=0.5, subset="training")
