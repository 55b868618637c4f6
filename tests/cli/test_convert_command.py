"""`taltool convert` as a user calls it; the formats themselves are tested in tests/data/test_formats.py."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from project import PROJECT, Run

from taltool.cli.commands import convert as command
from taltool.data.convert import convert


def test_a_name_that_a_table_refuses_on_standard_output_is_one_line(taltool: Run, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"results": {"v": [{"segment": [1, 2], "score": 0.5, "label": " run"}]}}')
    done = taltool("convert", tmp_path / "p.json", "--to", "csv")
    assert done.returncode == 3
    assert done.stderr.decode().splitlines()[0].startswith("taltool convert: error: -: the name ' run' does not fit")
    assert len(done.stderr.splitlines()) == 1


def test_the_function_is_called_by_the_words_of_the_command() -> None:
    """But for those of published weights, which another function converts."""
    words, names = (dict(inspect.signature(each).parameters) for each in (command.convert, convert))
    del words["model"], words["preset"]
    assert list(names) == list(words)
    assert {name: each.default for name, each in names.items() if name not in ("inputs", "reporter")} == {
        name: each.default for name, each in words.items() if name not in ("inputs", "reporter")
    }


def test_real_annotations_survive_the_way_through_class_files(taltool: Run, shared: Path, tmp_path: Path) -> None:
    source = shared / "data/thumos14_gt.json"
    lossy = taltool("convert", source, "--to", "thumos14", "-o", tmp_path / "classes")
    assert lossy.returncode == 0
    assert b"does not hold 413 durations" in lossy.stderr
    assert taltool("convert", tmp_path / "classes", "--durations", source, "-o", tmp_path / "gt.json").returncode == 0
    before = orjson.loads(source.read_bytes())["database"]
    after = orjson.loads((tmp_path / "gt.json").read_bytes())["database"]
    # One video has only Ambiguous instances, which this file leaves out: without annotations it cannot be kept.
    assert set(before) - set(after) == {"video_test_0001292"}
    for video_id, entry in after.items():
        assert segments(entry) == segments(before[video_id])
        assert (entry["subset"], entry["duration"]) == (before[video_id]["subset"], before[video_id]["duration"])


def segments(entry: dict[str, list[dict[str, object]]]) -> list[tuple[object, ...]]:
    return sorted((each["label"], *each["segment"]) for each in entry["annotations"])  # type: ignore[misc]


@pytest.mark.slow
def test_proposals_without_scores_need_the_option(taltool: Run, shared: Path) -> None:
    source = shared / "data/peer_outputs/thumos14_tag_proposals_ctap.json"
    refused = taltool("convert", source)
    assert refused.returncode == 3
    assert b"video 'video_test_0000004': proposal 1 has no score" in refused.stderr
    scored = taltool("convert", source, "--score", "1.0")
    lines = [orjson.loads(line) for line in scored.stdout.splitlines()]
    assert lines[-1] == {"end": {"videos": 213}}
    assert sum(len(line["segments"]) for line in lines[1:-1]) == 53130
    assert {score for line in lines[1:-1] for score in line["scores"]} == {1.0}


@pytest.mark.slow
def test_real_features_survive_the_way_through_a_folder(taltool: Run, shared: Path, tmp_path: Path) -> None:
    source = shared / "data/salads50/features.h5"
    assert taltool("convert", source, "-o", tmp_path / "arrays").returncode == 0
    refused = taltool("convert", tmp_path / "arrays", "-o", tmp_path / "back.h5")
    assert refused.returncode == 3
    assert b"give --fps, --stride, --window" in refused.stderr
    words = ("--fps", 30, "--stride", 30, "--window", 30, "--durations", shared / "data/salads50/gt.json")
    assert taltool("convert", tmp_path / "arrays", *words, "-o", tmp_path / "back.h5").returncode == 0
    facts = [
        orjson.loads(line)
        for line in taltool("info", "--format", "json", source, tmp_path / "back.h5").stdout.splitlines()
    ]
    for name in ("videos", "snippets", "channels", "clock", "seconds_per_video"):
        assert facts[0][name] == facts[1][name]


def test_from_and_to_win_over_content_and_name(taltool: Run, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("video_id,start,end,label\nv,1,2,a\n")
    wrong = taltool("convert", "--from", "jsonl", tmp_path / "x.txt")
    assert wrong.returncode == 3
    assert b"x.txt:1: not JSON" in wrong.stderr
    assert taltool("convert", tmp_path / "x.txt", "--to", "csv", "-o", tmp_path / "y.json").returncode == 0
    assert (tmp_path / "y.json").read_text() == "video_id,start,end,label\nv,1.0,2.0,a\n"


@pytest.mark.slow
def test_shards_join_by_a_shell_pattern(taltool: Run, shared: Path, tmp_path: Path) -> None:
    source = shared / "data/salads50/features.h5"
    taltool("convert", source, "-o", tmp_path / "arrays")
    files = sorted((tmp_path / "arrays").glob("*.npy"))
    for number in range(2):
        (tmp_path / f"part{number}").mkdir()
        for file in files[number::2]:
            file.rename(tmp_path / f"part{number}" / file.name)
        words = ("--fps", 30, "--stride", 30, "--window", 30)
        taltool("convert", tmp_path / f"part{number}", *words, "-o", tmp_path / f"shard-{number}.h5")
    shards = sorted(tmp_path.glob("shard-*.h5"))
    assert taltool("convert", *shards, "-o", tmp_path / "all.h5").returncode == 0
    assert orjson.loads(taltool("info", "--format", "json", tmp_path / "all.h5").stdout)["snippets"] == 16596
    twice = taltool("convert", shards[0], shards[0], "-o", tmp_path / "twice.h5")
    assert twice.returncode == 3
    assert b"leave one of them out" in twice.stderr


def test_invalid_segments_are_dropped_only_when_asked_and_aloud(taltool: Run) -> None:
    text = b"video_id,start,end,score\nv,5,1,0.5\nv,1,2,0.5\n"
    assert taltool("convert", stdin=text).returncode == 3
    done = taltool("convert", "--drop-invalid", "--to", "csv", stdin=text)
    assert done.stdout == b"video_id,start,end,score\nv,1.0,2.0,0.5\n"
    assert b"warning: -: left out 1 segments that end before they start" in done.stderr


@pytest.mark.parametrize("name", ["p.jsonl", "p.json"])
def test_durations_are_added_to_proposals_that_lack_them(name: str, taltool: Run, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("video_id,start,end,score\nv,1,2,0.5\nw,1,2,0.5\n")
    (tmp_path / "lengths.csv").write_text("video_id,duration\nv,9.5\n")
    assert taltool("convert", tmp_path / "p.csv", "-o", tmp_path / name).returncode == 0
    done = taltool("convert", tmp_path / name, "--durations", tmp_path / "lengths.csv")
    videos = [orjson.loads(line) for line in done.stdout.splitlines()[1:-1]]
    assert [video.get("duration") for video in videos] == [9.5, None]


@pytest.mark.parametrize("place", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_what_is_written_to_a_descriptor_goes_where_it_stands(place: str, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("video_id,start,end,score\nv,1,2,0.5\n")
    command = f"{sys.executable} -m taltool convert p.csv --to csv -o {place} -q"
    shell = f"(echo before; {command}; echo behind) > all.txt"
    subprocess.run(["sh", "-c", shell], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(PROJECT)}, check=True)
    assert (tmp_path / "all.txt").read_text() == "before\nvideo_id,start,end,score\nv,1.0,2.0,0.5\nbehind\n"
