"""What waits in temporary files comes back as it was laid down: numbers, rows, videos in any order."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taltool.data import quantiles
from taltool.data.formats import tables
from taltool.data.formats.contract import FormatOptions, Proposals
from taltool.data.formats.sniffing import format_named, open_content
from taltool.data.formats.tables import Row, RowShelf
from taltool.data.records import Floats, LabelVocabulary, VideoProposals
from taltool.data.video_json import to_objects
from taltool.ops.method_names import FusionMethod, Vote
from taltool.postprocessing import fuse
from taltool.postprocessing.label import label
from taltool.postprocessing.shelf import Shelf

SHARES = [0.0, 1e-9, 0.1, 0.25, 1 / 3, 0.5, 0.75, 0.999, 1.0]
extreme = st.sampled_from([0.0, -0.0, 5e-324, -5e-324, 1.0, 1.0000000000000002, -1.0, 1e150, -1e150])
numbers = extreme | st.floats(-1e150, 1e150)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.lists(numbers, max_size=20), min_size=1, max_size=4), st.sampled_from([1, 3, 1 << 18]))
def test_quantiles_are_those_of_numpy(parts: list[list[float]], block: int) -> None:
    with pytest.MonkeyPatch.context() as patch, quantiles.Quantiles() as found:
        patch.setattr(quantiles, "_BLOCK", block)
        for part in parts:
            found.add(np.array(part, np.float64))
        together = np.concatenate([np.array(part, np.float64) for part in parts])
        expected = np.quantile(together, SHARES).tolist() if len(together) else []
        assert found.at(SHARES) == expected
        assert found.at([0.5]) == expected[5:6]


@pytest.mark.parametrize("name", ["normal", "few values", "steep"])
def test_quantiles_of_many_numbers_are_those_of_numpy(name: str) -> None:
    draw = np.random.default_rng(0)
    values: Floats = {
        "normal": draw.normal(size=300_001),
        "few values": draw.integers(-3, 3, 300_000) / 7,
        "steep": np.exp(draw.normal(size=300_000) * 50),
    }[name]
    with quantiles.Quantiles() as found:
        for part in np.array_split(values, 7):
            found.add(part)
        assert found.at(SHARES) == np.quantile(values, SHARES).tolist()


@pytest.mark.parametrize("run", [1, 7, 4096])
def test_rows_of_interleaved_videos_come_together_in_order(run: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_RUN", run)
    monkeypatch.setattr(tables, "_IN_MEMORY", 1 << 16)
    draw = random.Random(0)
    names = ["v", "", 'w"\n', "動", "x,"]
    rows = [
        Row(draw.choice(names), draw.random(), 1e308, draw.choice([None, "a", "é"]), -0.0, None, f"f:{n}")
        for n in range(5000)
    ]
    rows += [Row("v", float(number), 5e-324) for number in range(9000)]
    with RowShelf(iter(rows)) as shelf:
        assert shelf.video_ids == list(dict.fromkeys(row.video_id for row in rows))
        for video_id in reversed(shelf.video_ids):
            assert shelf.of(video_id) == [row for row in rows if row.video_id == video_id]
        assert set(shelf.labels) == {"a", "é"}


def test_videos_leave_the_shelf_as_they_were_in_any_order() -> None:
    names, draw = LabelVocabulary(["a", "é"]), np.random.default_rng(1)
    videos = []
    for number in range(60):
        count = int(draw.integers(0, 4))
        segments = np.sort(draw.normal(size=(count, 2)), axis=1)
        labels = draw.integers(0, 2, count) if number % 2 else None
        videos.append(VideoProposals(f"v{number}", segments, draw.normal(size=count), labels, names, number or None))
    with Shelf() as shelf:
        for number, video in enumerate(videos):
            shelf.put((number, "key"), video)
        for number in draw.permutation(60).tolist():
            found, video = shelf.take((number, "key")), videos[number]
            assert (number, "key") not in shelf
            facts = found.video_id, found.duration, found.labels is None, to_objects(found)
            assert facts == (video.video_id, video.duration, video.labels is None, to_objects(video))


def drawn(seed: int, labelled: bool) -> list[VideoProposals]:
    """Videos whose proposals overlap much, with equal scores among them."""
    draw = np.random.default_rng(seed)
    names = LabelVocabulary(["c", "a", "b", "d"], complete=True)
    videos = []
    for number in range(40):
        count = int(draw.integers(0, 30))
        segments = np.sort(draw.integers(0, 40, (count, 2)), axis=1) / 3
        labels = draw.integers(0, 4, count) if labelled else None
        videos.append(VideoProposals(f"v{number}", segments, draw.integers(1, 9, count) / 7, labels, names, 20.0))
    return videos


def write(
    videos: list[VideoProposals], path: Path, layout: str, seed: int | None = None, renumbered: bool = True
) -> str:
    """Write the videos, with a seed in another order, and with other numbers for the classes."""
    names = videos[0].names
    if seed is not None:
        draw = random.Random(seed)
        if renumbered:
            names = LabelVocabulary(draw.sample(names.names, len(names)), complete=True)
        new_numbers = names.numbered(videos[0].names.names)
        videos = [
            replace(video, names=names, labels=None if video.labels is None else new_numbers[video.labels])
            for video in draw.sample(videos, len(videos))
        ]
    format_named(layout).write(Proposals(videos, names), str(path), FormatOptions())
    return str(path)


def by_id(path: Path) -> dict[str, Any]:
    with open_content(str(path)) as content:
        assert isinstance(content, Proposals)
        return {video.video_id: to_objects(video) for video in content.videos}


@pytest.mark.parametrize("layout", ["jsonl", "jsonl1", "activitynet"])
@pytest.mark.parametrize("method", FusionMethod)
def test_fusing_files_in_another_order_changes_no_digit(
    method: FusionMethod, layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fuse, "BATCH_SIZE", 200)
    first, second = drawn(0, labelled=True), drawn(1, labelled=True)[5:]
    results = []
    for seed in (None, 3, 4):
        paths = [write(first, tmp_path / "a", layout, seed), write(second, tmp_path / "b", layout, seed and -seed)]
        fuse.fuse(*paths, output=str(tmp_path / "out"), method=method, tiou=0.5)
        results.append(by_id(tmp_path / "out"))
    assert sum(map(len, results[0].values())) > 400
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("layout", ["jsonl", "jsonl1", "activitynet"])
@pytest.mark.parametrize("vote", Vote)
def test_labelling_by_files_in_another_order_changes_no_digit(vote: Vote, layout: str, tmp_path: Path) -> None:
    proposals, voters = drawn(0, labelled=False), drawn(1, labelled=True)
    results = []
    for seed in (None, 3, 4):
        source = write(proposals, tmp_path / "a", layout, seed)
        classes = write(voters, tmp_path / "b", layout, seed and -seed, renumbered=False)
        label(source, output=str(tmp_path / "out"), detections=classes, vote=vote)
        results.append(by_id(tmp_path / "out"))
    assert sum(map(len, results[0].values())) > 400
    assert results[0] == results[1] == results[2]
