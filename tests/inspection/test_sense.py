"""What makes no sense in ground truth and proposals: `check` counts it, names it, and mends it where it is told to."""

import json
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from project import Run

from taltool.data.annotations import read_ground_truth
from taltool.data.convert import convert
from taltool.data.proposals import ProposalReader
from taltool.errors import DataError, UsageError
from taltool.inspection.check import check
from taltool.inspection.names import plain_id, slips, subset_slips
from taltool.reporting import Reporter

Instances = list[tuple[float, float, str]]


def database(videos: dict[str, Instances], **facts: Any) -> dict[str, Any]:
    return {
        key: {"duration": 10.0, "subset": "training"}
        | facts
        | {"annotations": [{"segment": [start, end], "label": label} for start, end, label in instances]}
        for key, instances in videos.items()
    }


def written(path: Path, entries: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"version": "x", "database": entries, "taxonomy": [1]}))
    return path


def oddities(path: Path, entries: dict[str, Any], **options: Any) -> tuple[str, ...]:
    found = check(written(path, entries), **options)
    assert found.is_whole
    return found.oddities


def detections(path: Path, videos: dict[str, list[tuple[float, float, float, str]]], **more: Any) -> Path:
    results = {
        key: [{"segment": [start, end], "score": score, "label": label} for start, end, score, label in every]
        for key, every in videos.items()
    }
    path.write_text(json.dumps({"results": results, "external_data": more}))
    return path


SEGMENTS: dict[str, tuple[Instances, list[str]]] = {
    "sound": ([(0, 10, "a"), (1, 2, "b"), (2, 3, "b")], []),
    "past the end": ([(8, 10.2, "a")], ["1 instances that end after their video (first: video 'v' [8, 10.2] 'a')"]),
    "rounded": ([(8, 10.01, "a")], ["1 instances that end after their video by 0.01 s at most (first: video 'v'"]),
    "outside": (
        [(10.5, 12, "a")],
        ["1 instances that start after the end of their video (first: video 'v' [10.5, 12]"],
    ),
    "before 0": ([(-1, 2, "a")], ["1 instances that start before 0 (first: video 'v' [-1, 2] 'a')"]),
    "empty": ([(4, 4, "a")], ["1 instances of zero length (first: video 'v' [4, 4] 'a')"]),
    "three times": ([(1, 2, "a")] * 3, ["2 repeated instances (first: video 'v' [1, 2] 'a', video 'v' [1, 2] 'a')"]),
    "two labels": (
        [(1, 2, "Dive"), (5, 6, "Dive"), (1, 2, "Run")],
        ["1 instances of 'Dive' that are there as 'Run' too, with the same times (first: video 'v' [1, 2] 'Dive')"],
    ),
    "nested": (
        # The third one lies in the first, not in the second.
        [(1, 9, "a"), (2, 3, "a"), (4, 5, "a"), (1, 9.5, "b")],
        ["2 instances that overlap another one of their label (first: video 'v' [2, 3] 'a', video 'v' [4, 5] 'a')"],
    ),
}


@pytest.mark.parametrize("what", SEGMENTS)
def test_odd_segments_are_counted_and_the_first_ones_named(what: str, tmp_path: Path) -> None:
    instances, expected = SEGMENTS[what]
    # A sound video before and after: places are told of the right one.
    found = oddities(tmp_path / "gt.json", database({"u": [(1, 2, "a")], "v": instances, "w": [(1, 2, "a")]}))
    assert len(found) == len(expected)
    assert all(told.startswith(words) for told, words in zip(found, expected, strict=True))


def test_counts_are_those_of_a_walk_through_every_pair(tmp_path: Path) -> None:
    dice = np.random.default_rng(5)
    videos = {
        f"v{number}": [
            (start, start + length, "abc"[label])
            for start, length, label in dice.integers(0, [14, 4, 3], (dice.integers(0, 8), 3)).tolist()
        ]
        for number in range(60)
    }
    expected: Counter[str] = Counter()
    for instances in videos.values():
        seen: Instances = []
        for each in instances:
            start, end, label = each
            expected["repeated instances"] += each in seen
            expected["instances of zero length"] += start == end
            expected["instances that start after the end of their video"] += start > 10 and end > 10
            expected["instances that end after their video"] += end > 10 >= start
            seen.append(each)
        lasting = [each for each in seen if each[0] < each[1]]
        for label in "abc":
            own = sorted({each[:2] for each in lasting if each[2] == label})
            overlapping = [any(a < end and start < b for a, b in own[:n]) for n, (start, end) in enumerate(own)]
            expected["instances that overlap another one of their label"] += sum(overlapping)
        expected["videos without annotations"] += not instances
    found = oddities(tmp_path / "gt.json", database(videos))
    counts = {told.partition(" (first")[0].split(" ", 1)[1]: int(told.split()[0]) for told in found}
    assert {what: counts.get(what, 0) for what in expected} == expected
    assert min(expected.values()) > 0


def test_times_that_may_be_frames_are_told(tmp_path: Path) -> None:
    found = oddities(tmp_path / "gt.json", database({"v": [(30, 60, "a"), (90, 120, "a"), (1, 2, "a")]}))
    assert found[0] == "2 of 3 instances end after their videos: are these frames, or milliseconds?"


SLIPS = {
    "case": (["Jump", "jump "], True),
    "signs": (["High jump", "HighJump"], True),
    "camel": (["BasketballDunk", "BasketBallDunk"], True),
    "one letter more": (["Diving", "Divings"], True),
    "one letter less at the front": (["Diving", "iving"], True),
    "another letter": (["Mopping floor", "Mooping floor"], True),
    "swapped": (["Diving", "Divign"], True),
    "two letters": (["Diving", "Driving!s"], False),
    "numbers on purpose": (["stage 1", "stage 2"], False),
    "more numbers": (["Level 1", "Level 11"], False),
    "short": (["run", "rub"], False),
    "shifted": (["abcdef", "bcdefg"], False),
}


@pytest.mark.parametrize("what", SLIPS)
def test_a_slip_is_a_single_edit(what: str) -> None:
    names, expected = SLIPS[what]
    assert bool(list(slips(names))) is expected
    assert bool(list(slips(reversed(names)))) is expected


def test_labels_that_are_alike_are_slips_where_one_is_rare(tmp_path: Path) -> None:
    both = [(float(n), n + 0.5, label) for n in range(9) for label in ("Curling", "Hurling")]
    assert not [each for each in oddities(tmp_path / "a", database({"v": both})) if "slip" in each]
    one = [each for each in both if each[2] == "Curling" or each[0] == 3]
    told = oddities(tmp_path / "a", database({"v": one}))
    assert "1 pairs of labels that differ by a slip (first: 'Curling', 'Hurling')" in told


def test_two_words_for_one_subset_are_told() -> None:
    assert list(subset_slips(["training", "validation", "val"])) == [("validation", "val")]
    assert list(subset_slips(["Train", "training", "test"])) == [("training", "Train")]
    assert list(subset_slips(["training", "validation", "testing", "held out"])) == []


def test_videos_without_what_others_have_are_told(tmp_path: Path) -> None:
    entries = database({"v": [(1, 2, "a")], "w": []}) | database({"x": []}, subset="testing")
    entries |= database({"y": [(1, 2, "a")]}, subset=None) | database({"z": [(1, 2, "a")]}, subset="train")
    assert oddities(tmp_path / "gt.json", entries) == (
        "none of the 1 videos of subset 'testing' has annotations",
        "1 videos without annotations (first: video 'w')",
        "1 videos that are in no subset (first: video 'y')",
        "1 pairs of subsets that seem to be one (first: 'training', 'train')",
    )


def test_videos_of_one_name_but_for_prefix_and_suffix_are_told(tmp_path: Path) -> None:
    assert [plain_id(each) for each in ("v_x", "x.mp4", "v_x.MKV", "x.y", "dir/x.avi")] == [
        "x",
        "x",
        "x",
        "x.y",
        "dir/x",
    ]
    entries = database({"x": [(1, 2, "a")], "v_x": [(1, 2, "a")], "x.y": [(1, 2, "a")]})
    (told,) = oddities(tmp_path / "gt.json", entries)
    what = "pairs of videos whose names differ by v_, the suffix of a file, case or the form of letters alone"
    assert told == f"1 {what} (first: 'x', 'v_x')"
    one, other = "Café", "cafe\u0301"
    (told,) = oddities(tmp_path / "gt.json", database({one: [(1, 2, "a")], other: [(1, 2, "a")]}))
    assert told == f"1 {what} (first: '{one}', '{other}')"


def test_proposals_are_compared_with_a_ground_truth(tmp_path: Path) -> None:
    entries = database({key: [(1, 2, "Diving")] for key in "abc"}) | database({"other": []}, subset="testing")
    truth = written(tmp_path / "gt.json", entries)
    every = {"a": [(1, 2, 0.5, "Diving"), (9, 11, 0.1, "Divign")], "v_b.mp4": [(1, 2, 0.5, "Run")]}
    found = check(detections(tmp_path / "d.json", every, durations={"a": 11.5}), ground_truth=truth)
    assert found.oddities == (
        f"of the videos that {truth} lacks most have other names there ('v_b.mp4' is 'b'): "
        "taltool convert --strip-prefix v_ --strip-suffix .mp4",
        "1 pairs of labels that differ by a slip (first: 'Diving', 'Divign')",
        f"1 videos that {truth} does not have (first: 'v_b.mp4')",
        f"1 videos whose durations differ from those in {truth} by more than 0.5 s (first: 'a' 11.5 s, there 10 s)",
        f"2 videos of {truth} (training) that are not here (first: 'b', 'c')",
        f"2 labels that {truth} does not have (first: 'Divign', it has 'Diving', 'Run')",
    )
    # A file without durations is measured by those of the ground truth.
    found = check(detections(tmp_path / "e.json", {"a": [(9, 11, 1, "Diving")]}), ground_truth=truth)
    assert found.oddities[0].startswith("1 proposals that end after their video (first: video 'a' [9, 11] 'Diving')")


def test_class_scores_and_splits_are_told_and_compared(tmp_path: Path) -> None:
    truth = written(tmp_path / "gt.json", database({key: [(1, 2, "Diving")] for key in "ab"}))
    scores = tmp_path / "scores.json"
    # The prefix is no difference: who reads class scores looks for both.
    scores.write_text(json.dumps({"results": {"v_a": [{"label": "diving", "score": 0.5}]}}))
    found = check(scores, ground_truth=truth)
    assert found.summary == "class scores, 1 videos, 1 classes"
    assert found.oddities == (
        f"1 videos of {truth} (training) that are not here (first: 'b')",
        f"1 labels that {truth} does not have (first: 'diving', it has 'Diving')",
    )
    splits = tmp_path / "splits.json"
    splits.write_text('{"one": {"training": ["a"], "val": ["b"], "validation": []}, "two": {"training": []}}')
    found = check(splits)
    assert found.summary == "splits, 2 of them: one, two"
    assert found.oddities == (
        "split 'one' has the subsets 'validation' and 'val'; are they one?",
        "split 'two' lists no video",
    )
    assert (
        f"2 videos of {truth} that split 'two' leaves out (first: 'a', 'b')"
        in check(splits, ground_truth=truth).oddities
    )
    for broken, reason in (
        ('{"one": {"training": ["a"], "validation": ["a"]}}', "split 'one': video 'a' is listed twice"),
        ('{"one": {"training": ["a"]}, "two": {"training": "ab"}}', "split 'two': expected {subset: [video ids]}"),
        ('{"one": {"training": ["a"]}, "two": [1]}', "split 'two': expected {subset: [video ids]}"),
        ('{"one": {"training": ["c"]}}', f"split 'one': video 'c' is not in {truth}"),
    ):
        splits.write_text(broken)
        found = check(splits, ground_truth=truth)
        assert not found.is_whole
        assert reason in found.summary


MENDABLE: Instances = [
    *((1, 2, "a"), (9, 12, "a"), (11, 12, "a"), (4, 4, "b")),
    *((9, 13, "a"), (1, 2, "a"), (-2, 3, "b"), (-3, 0, "b")),
]
# By what is mended, the places of those that stay, and what they are then where that is something else.
MENDED: dict[str, tuple[list[int], dict[int, tuple[float, float, str]]]] = {
    "clip": ([0, 1, 3, 4, 5, 6], {1: (9, 10, "a"), 4: (9, 10, "a"), 6: (0, 3, "b")}),
    "zero-length": ([0, 1, 2, 4, 5, 6, 7], {}),
    "duplicates": ([0, 1, 2, 3, 4, 6, 7], {}),
    # What clipping has made equal is there twice then.
    "all": ([0, 1, 6], {1: (9, 10, "a"), 6: (0, 3, "b")}),
}


@pytest.mark.parametrize("fix", MENDED)
def test_only_what_is_named_is_mended(fix: str, tmp_path: Path) -> None:
    entries = database({"u": [], "v": MENDABLE, "w": [(1, 2, "a")]}, url="x")
    entries["v"]["annotations"][0]["note"] = "kept"
    source, target = written(tmp_path / "gt.json", entries), tmp_path / "mended.json"
    found = check(source, fix=fix, output=target)
    document = json.loads(target.read_text())
    read = document["database"]
    places, changed = MENDED[fix]
    expected = [changed.get(place, MENDABLE[place]) for place in places]
    assert [(*each["segment"], each["label"]) for each in read["v"]["annotations"]] == expected
    assert read["v"]["annotations"][0]["note"] == "kept"
    assert {key: read[key] for key in "uw"} == {key: entries[key] for key in "uw"}
    assert (document["taxonomy"], read["v"]["url"]) == ([1], "x")
    # What is told is what the new file has.
    assert found.oddities == check(target).oddities
    assert found.mended


def test_what_was_mended_is_counted(tmp_path: Path) -> None:
    source = written(tmp_path / "gt.json", database({"v": MENDABLE}))
    assert check(source, fix="all", output=tmp_path / "out.json").mended == (
        "2 instances outside of their video left out (first: video 'v' [11, 12] 'a', video 'v' [-3, 0] 'b')",
        "2 instances cut at the end of their video (first: video 'v' [9, 12] 'a', video 'v' [9, 13] 'a')",
        "1 instances that begin at 0 now (first: video 'v' [-2, 3] 'b')",
        "1 instances of zero length left out (first: video 'v' [4, 4] 'b')",
        "2 repeated instances left out (first: video 'v' [9, 10] 'a', video 'v' [1, 2] 'a')",
    )


def test_of_repeated_proposals_the_best_stays(tmp_path: Path) -> None:
    every = {"v": [(1, 2, 0.1, "a"), (1, 2, 0.9, "a"), (1, 2, 0.95, "b")], "w": [(9, 12, 0.5, "a"), (3, 2, 0.5, "a")]}
    source = detections(tmp_path / "d.json", every, durations={"v": 10.0, "w": 10.0})
    assert not check(source).is_whole
    with pytest.raises(DataError, match="ends before it starts"):
        check(source, fix="duplicates", output=tmp_path / "out.jsonl")
    found = check(source, fix="all", output=tmp_path / "out.jsonl")
    assert "1 segments that end before they start left out" in found.mended
    with ProposalReader(str(tmp_path / "out.jsonl")) as reader:
        v, w = reader
    assert (v.segments.tolist(), v.scores.tolist(), w.segments.tolist()) == ([[1, 2]] * 2, [0.95, 0.9], [[9, 10]])
    assert [step["tool"] for step in reader.provenance] == ["taltool"]


def test_a_fix_is_refused_where_there_is_none(tmp_path: Path) -> None:
    truth = written(tmp_path / "gt.json", database({"v": [(1, 2, "a")]}))
    splits = tmp_path / "splits.json"
    splits.write_text('{"one": {"training": ["a"]}}')
    elan = tmp_path / "v.eaf"
    convert(truth, output=elan)
    for path, options, reason in (
        (truth, {"fix": "all"}, "-o FILE belong together"),
        (truth, {"output": tmp_path / "out.json"}, "-o FILE belong together"),
        (truth, {"fix": "clip,labels", "output": tmp_path / "out.json"}, "--fix labels: what is mended is backwards"),
        (splits, {"fix": "all", "output": tmp_path / "out.json"}, "holds neither"),
        (elan, {"fix": "all", "output": tmp_path / "out.eaf"}, "may have more in it than segments"),
    ):
        with pytest.raises(UsageError, match=reason):
            check(path, **options)  # type: ignore[arg-type]
    assert not [*tmp_path.glob("out*")]
    assert check(elan, fix="all", output=tmp_path / "out.csv").is_whole


@pytest.mark.parametrize("kind", ["annotations", "proposals"])
def test_clip_is_refused_where_it_would_leave_most_out_and_says_where_it_knows_no_ends(
    kind: str, tmp_path: Path
) -> None:
    rows: Instances = [(5.0, 9.0, "a"), (250.0, 300.0, "a"), (400.0, 410.0, "b")]
    if kind == "annotations":
        frames = written(tmp_path / "frames.json", database({"v": rows}))
        untimed = tmp_path / "untimed.csv"
        untimed.write_text("video_id,start,end,label\nv,5,30,a\n")
    else:
        scored = {"v": [(start, end, 0.5, label) for start, end, label in rows]}
        frames = detections(tmp_path / "frames.json", scored, durations={"v": 10.0})
        untimed = detections(tmp_path / "untimed.jsonl", {"v": [(5.0, 30.0, 0.5, "a")]})
    with pytest.raises(DataError, match=r"2 of 3 .* start after the ends of their videos.* are these frames"):
        check(frames, fix="clip", output=tmp_path / "out.json")
    assert not [*tmp_path.glob("out*")]
    found = check(untimed, fix="clip", output=tmp_path / "out.csv")
    assert "no video has a duration, so no end was clipped: give them with --durations" in found.oddities
    found = check(untimed, durations={"v": 10.0}, fix="clip", output=tmp_path / "out.csv")
    assert found.mended[0].split(" (")[0].endswith("cut at the end of their video")


def test_durations_that_are_given_are_compared_with_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "gt.json"
    path.write_text(
        '{"database": {"a": {"duration": 10}, "v_b": {"annotations": [{"segment": [1, 9], "label": "x"}]}}}'
    )
    odd = check(path, durations={"a": 15.0, "b": 5.0}).oddities
    assert "1 videos whose durations differ from --durations by more than 0.5 s (first: 'a' 10 s, there 15 s)" in odd
    assert "1 videos without a duration, in --durations too (first: 'v_b')" in odd
    assert any("--strip-prefix v_" in each for each in odd)
    assert not any("give --durations" in each for each in odd)
    assert not any("--durations" in each for each in check(path, durations={"a": 10.4, "v_b": 9.0}).oddities)
    late = check(path, durations={"a": 10.0, "v_b": 5.0}).oddities
    assert any(each.startswith("1 instances that end after their video") for each in late)


def test_durations_that_a_ground_truth_lacks_are_given_where_it_is_mended(taltool: Run, tmp_path: Path) -> None:
    untimed = written(tmp_path / "gt.json", database({"v": [(1, 2, "a"), (1, 2, "a")]}))
    untimed.write_text(untimed.read_text().replace('"duration"', '"length"'))
    (tmp_path / "d.csv").write_text("video_id,duration\nv,10\n")
    fix = ["check", "--fix", "duplicates", untimed, "-o", tmp_path / "out.json"]
    refused = taltool(*fix)
    assert (refused.returncode, b"give them with --durations FILE" in refused.stderr) == (3, True)
    assert taltool(*fix, "--durations", tmp_path / "d.csv").returncode == 0
    entry = json.loads((tmp_path / "out.json").read_text())["database"]["v"]
    assert (entry["duration"], len(entry["annotations"])) == (10, 1)


class Told(Reporter):
    """Keeps what it was warned of."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def test_all_names_every_place(tmp_path: Path) -> None:
    told = Told()
    path = written(tmp_path / "gt.json", database({"v": [(n, n, "a") for n in range(5)]}))
    (few,) = check(path).oddities
    assert few.endswith("[2, 2] 'a'; --all names each)")
    check(path, show_all=True, reporter=told)
    assert [each for each in told.warnings if "of the" in each] == [
        f"{path}: video 'v' [{n}, {n}] 'a': of the instances of zero length" for n in range(5)
    ]


def test_a_pipe_is_read_once(taltool: Run) -> None:
    told = {
        b'{"v": {"a": 0.5}}': "ok: class scores, 1 videos",
        b'{"one": {"training": ["v"]}}': "ok: splits, 1 of",
    }
    told[b'{"v": {"x": "y"}}'] = "no known format"
    for text, words in told.items():
        done = taltool("check", "-", stdin=text)
        assert words in done.stdout.decode()
        assert b"Traceback" not in done.stderr


@pytest.mark.slow
def test_strict_makes_odd_a_failure_and_schema_prints_one(taltool: Run, tmp_path: Path) -> None:
    odd = written(tmp_path / "odd.json", database({"v": [(4, 4, "a")]}))
    good = written(tmp_path / "good.json", database({"v": [(4, 5, "a")]}))
    assert taltool("check", odd).returncode == taltool("check", "--strict", good).returncode == 0
    done = taltool("check", "--strict", good, odd)
    assert (done.returncode, done.stderr.decode().splitlines()[-1]) == (3, f"taltool check: error: 1 of 2 odd: {odd}")
    assert taltool("check", "--strict", odd, "--fix", "all", "-o", tmp_path / "m.json").returncode == 0
    assert taltool("check", good, odd, "--fix", "all", "-o", tmp_path / "m.json").returncode == 2
    piped = taltool("check", odd, "--fix", "all", "-o", "-")
    assert list(json.loads(piped.stdout)["database"]) == ["v"]
    assert json.loads(taltool("check", "--schema", "splits").stdout)["$id"] == "urn:taltool:schema:splits"


def counted(file: Path) -> dict[str, int]:
    return {
        told.partition(" (first")[0].split(" ", 1)[1]: int(told.split()[0])
        for told in check(file).oddities
        if "(first" in told
    }


@pytest.mark.slow
def test_oddities_of_public_ground_truth_are_those_of_their_page(shared: Path) -> None:
    found = counted(shared / "data/activitynet13_gt.json")
    assert found["instances of zero length"] == 12
    assert found["instances that end after their video"] == 81
    assert found["repeated instances"] == 47
    assert found["videos with more than one class, where nearly all have one"] == 13
    assert (
        "none of the 5044 videos of subset 'testing' has annotations"
        in check(shared / "data/activitynet13_gt.json").oddities
    )
    found = counted(shared / "data/thumos14_gt.json")
    assert found["instances that start after the end of their video"] == 30
    assert found["instances of 'Diving' that are there as 'CliffDiving' too, with the same times"] == 143 + 217
    assert found["videos without annotations"] == 1
    assert "pairs of labels that differ by a slip" not in found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["thumos14_gt", "activitynet13_gt"])
def test_overlaps_in_public_ground_truth_are_there(name: str, shared: Path) -> None:
    truth = read_ground_truth(str(shared / f"data/{name}.json"))
    expected = 0
    for video in truth.videos.values():
        every = {
            (label, *segment) for label, segment in zip(video.labels.tolist(), video.segments.tolist(), strict=True)
        }
        kept = sorted(each for each in every if each[1] < each[2])
        overlapping = {b for a, b in combinations(kept, 2) if a[0] == b[0] and b[1] < a[2]}
        expected += len(overlapping)
    assert counted(shared / f"data/{name}.json")["instances that overlap another one of their label"] == expected
