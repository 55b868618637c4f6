"""What is written is read again as it was, in every format and by every command; or it is refused and not there."""

import gzip
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from project import PROJECT
from strange_contents import KINDS, all_facts, facts_of, proposals, segments_only, videos, written_formats

from taltool.data.convert import convert
from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Content, FormatOptions
from taltool.data.formats.sniffing import format_named, open_content
from taltool.data.proposals import ProposalReader
from taltool.errors import DataError
from taltool.inspection.check import check
from taltool.inspection.info import info
from taltool.postprocessing.fuse import fuse
from taltool.postprocessing.label import label
from taltool.postprocessing.nms import nms


def loses(name: str) -> list[str]:
    """What a format says it lost of a proposal with a label."""
    with tempfile.TemporaryDirectory() as place:
        detection = proposals((["a"], [("v", [[0.0, 1.0]], [0.5], [0], None)]))
        facts = FormatOptions(classes={"a": 0}, durations={"v": 1.0})
        return format_named(name).write(detection, f"{place}/a", facts)


# Without those of other packages that hold no labels: what they read is less than what they wrote. Those of one video a
# file are in test_captions.py, and those that round times, in the tests of each.
PAIRS = [
    (name, kind)
    for name in written_formats()
    if not FORMATS.load(name).one_video and not FORMATS.load(name).resolution
    for kind in FORMATS.load(name).kinds
    if kind != "proposals" or "the labels" not in loses(name)
]
# The formats that hold all of a kind, and therefore refuse nothing.
WHOLE = {"proposals": ("jsonl", "jsonl1", "activitynet"), "annotations": ("activitynet",), "features": ("hdf5",)}
pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def read(path: Path, name: str | None, options: FormatOptions, view: Any = all_facts) -> str:
    with open_content(str(path), name, options) as content:
        return str(view(content))


def was_written(content: Content, path: Path, name: str, options: FormatOptions) -> bool:
    """Write; False where the format refuses, having left nothing behind."""
    try:
        format_named(name).write(content, str(path), options)
    except DataError:
        assert list(path.parent.iterdir()) == []
        return False
    return True


def plain(kind: str, drawn: Any) -> bool:
    """Whether nothing in what was drawn is a reason to refuse it: names of letters, and something under each."""
    if kind == "proposals":
        every = [*drawn[0], *(video[0] for video in drawn[1])]
        some = bool(drawn[1]) and bool(drawn[0])
    else:
        labels = (
            [each["label"] for e in drawn.values() for each in e["annotations"]] if kind == "annotations" else ["a"]
        )
        every, some = [*labels, *drawn], bool(labels and drawn)
    return some and all(name.isalnum() and name.isascii() for name in every)


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_what_a_format_writes_reads_equal_or_is_refused(name: str, kind: str) -> None:
    strategy, made = KINDS[kind]

    @settings(deadline=None, max_examples=60)
    @given(strategy)
    def run(drawn: Any) -> None:
        options = facts_of(kind, drawn)
        with folder() as place:
            if not was_written(made(drawn), place / "a", name, options):
                assert name not in WHOLE[kind] or kind == "features"
                assert not plain(kind, drawn)
                return
            view = all_facts if name in WHOLE[kind] else segments_only
            assert read(place / "a", name, options, view) == view(made(drawn))

    run()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_from_one_format_to_another_and_back_nothing_changes(kind: str) -> None:
    strategy, made = KINDS[kind]
    middle, able = WHOLE[kind][0], [name for name, held in PAIRS if held == kind]

    @settings(deadline=None, max_examples=15)
    @given(strategy)
    def run(drawn: Any) -> None:
        options = facts_of(kind, drawn)
        words: dict[str, Any] = {**options.clock, "durations": options.durations, "classes": options.classes}
        words["provenance"] = False
        for first, second in [*((middle, each) for each in able), *((each, middle) for each in able)]:
            with folder() as place:
                if not was_written(made(drawn), place / "a", first, options):
                    continue
                try:
                    convert(str(place / "a"), output=str(place / "b"), source=first, target=second, **words)
                except DataError:
                    assert not (place / "b").exists()
                    assert second not in WHOLE[kind] or kind == "features"
                    continue
                try:
                    convert(str(place / "b"), output=str(place / "c"), source=second, target=first, **words)
                except DataError:  # What is left of it, without subsets or empty videos, may not fit any more.
                    assert second not in WHOLE[kind]
                    continue
                assert read(place / "c", first, options, segments_only) == segments_only(made(drawn))

    run()


@pytest.mark.slow
@settings(deadline=None, max_examples=30)
@given(videos(), st.booleans())
def test_streams_of_both_versions_and_documents_hold_the_same_facts(drawn: Any, complete: bool) -> None:
    with folder() as place:
        for first, second in product(WHOLE["proposals"], WHOLE["proposals"]):
            format_named(first).write(proposals(drawn, complete), str(place / "a"), FormatOptions())
            with open_content(str(place / "a")) as content:
                format_named(second).write(content, str(place / "b"), FormatOptions())
            (place / "c").write_bytes(gzip.compress((place / "b").read_bytes()))
            assert read(place / "b", None, FormatOptions()) == all_facts(proposals(drawn))
            assert read(place / "c", None, FormatOptions()) == all_facts(proposals(drawn))


COMMANDS = {
    "nms, hard": lambda source, target, layout: nms(source, output=target, to=layout, method="hard", tiou=1.0),
    "nms, soft": lambda source, target, layout: nms(source, output=target, to=layout, jobs=2),
    "label by scores": lambda source, target, layout: label(
        source, output=target, to=layout, classifier=f"{source}.scores", replace=True
    ),
    "label by votes": lambda source, target, layout: label(
        source, output=target, to=layout, detections=f"{source}.votes", replace=True
    ),
    "fuse": lambda source, target, layout: fuse(source, f"{source}.twin", output=target, to=layout),
}
moderate = st.floats(0, 1e6)


@pytest.mark.parametrize("name", COMMANDS)
def test_what_a_command_writes_every_other_reads(name: str) -> None:
    @settings(deadline=None, max_examples=15)
    @given(videos(moderate), st.sampled_from(WHOLE["proposals"]), st.sampled_from(WHOLE["proposals"]))
    def run(drawn: Any, before: str, layout: str) -> None:
        with folder() as place:
            source, target = str(place / "a"), str(place / "b")
            format_named(before).write(proposals(drawn), source, FormatOptions())
            shutil.copy(source, f"{source}.twin")
            scores = {video_id: [{"label": "é", "score": 0.5}] for video_id, *_ in drawn[1]}
            Path(f"{source}.scores").write_bytes(orjson.dumps(scores or {"x": [{"label": "é", "score": 1}]}))
            voting: Any = (["é"], [(video_id, [[0.0, 1e6]], [0.5], [0], None) for video_id, *_ in drawn[1]])
            format_named("jsonl").write(proposals(voting), f"{source}.votes", FormatOptions())
            COMMANDS[name](source, target, layout)
            with ProposalReader(target) as reader:
                read_again = list(reader)
            assert [(each.video_id, each.duration) for each in read_again] == [(v, d) for v, *_, d in drawn[1]]
            found = check(target)
            count = sum(map(len, read_again))
            assert found.is_whole
            assert found.summary.startswith(f"proposals, {len(drawn[1])} videos, {count} proposals")
            assert info(target).facts["proposals"] == count
            for other in COMMANDS:
                if "votes" not in other and "scores" not in other and "fuse" not in other:
                    COMMANDS[other](target, str(place / "c"), layout)
                    assert info(str(place / "c")).facts["videos"] == len(drawn[1])

    run()


@pytest.mark.slow
def test_commands_read_each_other_through_pipes_whatever_the_version(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text('video_id,start,end,label,score\n"v,1",0,2,"a ""b""",.5\n動,5e-324,9e14,é,1\n"v,1",1,2,é,.25\n')
    (tmp_path / "other").write_text('{"video_id": "動", "segments": [[0, 1]], "scores": [1], "labels": ["é"]}\n')
    run = f"{shlex.quote(sys.executable)} -m taltool"
    line = (
        f"set -o pipefail; {run} convert a.csv --to jsonl1 | {run} nms --method hard --tiou 1 --to activitynet - |"
        f" gzip | {run} fuse - other | {run} convert - --to csv"
    )
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=tmp_path,
        env={"PYTHONPATH": str(PROJECT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode()
    expected = ["video_id,start,end,label,score", '"v,1",0.0,2.0,"a ""b""",0.5', '"v,1",1.0,2.0,é,0.25']
    assert sorted(done.stdout.decode().splitlines())[:3] == sorted(expected)[:3]
