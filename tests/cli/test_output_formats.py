"""`-o` and `--to` of every command that writes proposals: the suffix says the format, a folder gets a file a video."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from project import Run, shell

from taltool.data.convert import convert
from taltool.errors import UsageError
from taltool.postprocessing.fuse import fuse
from taltool.postprocessing.label import label
from taltool.postprocessing.nms import nms
from taltool.reporting import Reporter

ONE = (
    b'{"taltool":{"kind":"proposals","version":2,"videos":1,"classes":["Dive","Run"]}}\n'
    b'{"video_id":"v","duration":9.0,"segments":[[1,4],[2.5,3]],"scores":[0.93,0.5],"labels":[0,1]}\n'
    b'{"end":{"videos":1}}\n'
)
TWO = ONE.replace(b'"videos":1', b'"videos":2').replace(
    b'{"end', b'{"video_id":"deep/w","segments":[[0,1]],"scores":[0.25],"labels":[1]}\n{"end'
)
VTT = "WEBVTT\n\n00:00:01.000 --> 00:00:04.000\nDive (0.93)\n\n00:00:02.500 --> 00:00:03.000\nRun (0.5)\n"
SRT = (
    "1\n00:00:01,000 --> 00:00:02,500\nDive\n\n2\n00:00:02,500 --> 00:00:03,000\nDive\nRun\n\n"
    "3\n00:00:03,000 --> 00:00:04,000\nDive\n\n"
)
# Each leaves the detections as they are.
STAGES: dict[str, Callable[..., object]] = {
    "nms": lambda source, **words: nms(source, method="hard", **words),
    "convert": convert,
    "label": lambda source, **words: label(
        source, detections=source, replace=True, top_k=1, combine="weighted", weight=0, **words
    ),
    "fuse": lambda source, **words: fuse(source, source, method="wbf", **words),
}


class Heard(Reporter):
    """What was warned of."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def warn(self, message: str) -> None:
        self.told.append(message)

    def note(self, message: str) -> None:
        self.told.append(message)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where there is nothing; above it are p.jsonl of one video and two.jsonl of two."""
    (tmp_path / "p.jsonl").write_bytes(ONE)
    (tmp_path / "two.jsonl").write_bytes(TWO)
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


@pytest.mark.parametrize("name", STAGES)
def test_the_suffix_says_the_format(name: str, folder: Path) -> None:
    def run(output: str, **words: Any) -> list[str]:
        heard = Heard()
        target = {"target" if name == "convert" else "to": None}
        source = folder.parent / "p.jsonl"
        STAGES[name](source, output=str(folder / output), provenance=False, reporter=heard, **target, **words)
        return heard.told

    assert run("v.vtt", show_scores=True) == [f"{folder}/v.vtt: the format vtt does not hold the durations"]
    assert (folder / "v.vtt").read_text() == VTT
    assert run("v.srt") == [f"{folder}/v.srt: the format srt does not hold the scores; the durations"]
    assert (folder / "v.srt").read_text() == SRT
    run("v.txt")
    assert (folder / "v.txt").read_text() == "1.0\t4.0\tDive\n2.5\t3.0\tRun\n"
    run("V.CSV")
    assert (folder / "V.CSV").read_text().startswith("video_id,start,end,label,score\nv,1.0,4.0,Dive,0.93\n")
    assert run("v.json") == run("v.jsonl") == run("v") == []
    assert (folder / "v.json").read_bytes().startswith(b'{"version":"VERSION 1.3","results":{"v":[')
    for output in ("v.jsonl", "v"):  # Without a suffix it is the stream.
        assert (folder / output).read_bytes().startswith(b'{"taltool":{"kind":"proposals","version":2,')


@pytest.mark.parametrize("name", ["nms", "convert"])
def test_a_folder_gets_a_file_for_each_video(name: str, taltool: Run, folder: Path) -> None:
    words = [name, "../two.jsonl", "--no-provenance", "--show-scores", *(["--method", "hard"] if name == "nms" else [])]
    done = taltool(*words, "-q", "-o", "found/", "--to", "vtt", cwd=folder)
    assert done.returncode == 0
    assert done.stderr == b""
    files = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}
    w = "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nRun (0.25)\n"
    assert files == {"found/v.vtt": VTT, "found/deep/w.vtt": w}
    refused = taltool(*words, "-o", "one.vtt", cwd=folder)
    assert refused.returncode == 2
    assert b"one.vtt: several videos, and a file of this format is one of them: give -o FOLDER/" in refused.stderr
    assert not (folder / "one.vtt").exists()


@pytest.mark.parametrize(
    ("output", "to", "complaint"),
    [
        (
            "x.dat",
            None,
            r"-o .*x\.dat: \.dat is none of .*\.csv, .*\.json, \.jsonl, \.ndjson, .*\.srt, \.tsv, \.txt, \.vtt",
        ),
        ("x.json.gz", None, r"-o .*x\.json\.gz: \.gz is none of"),
        ("x.h5", None, r"-o .*x\.h5: \.h5 is none of"),
        ("new/", None, "-o .*new/: a folder, one file a video"),
        (".", None, "-o .*: a folder, one file a video"),
        ("x", "vt", r"no format is named 'vt'; did you mean 'vtt'\?"),
        ("x", "hdf5", "--to hdf5: it holds features, not proposals"),
    ],
)
@pytest.mark.parametrize("name", STAGES)
def test_what_names_no_format_of_proposals_is_wrong_usage(
    name: str, output: str, to: str | None, complaint: str, folder: Path
) -> None:
    target = {"target" if name == "convert" else "to": to}
    with pytest.raises(UsageError, match=complaint):
        STAGES[name](folder.parent / "p.jsonl", output=f"{folder}/{output}", **target)
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_pipes_and_devices_get_the_stream_or_what_is_asked_for(folder: Path) -> None:
    stream = "taltool nms ../p.jsonl --no-provenance"
    done = shell(f"{stream} -o >(head -c 11 >a); {stream} -o /dev/stdout | head -c 11; mkfifo x.pipe; wait", folder)
    assert (done.returncode, done.stdout) == (0, b'{"taltool":')
    done = shell(f"cat x.pipe >b & {stream} -o x.pipe; wait; {stream} -o /dev/null --to csv; cat b", folder)
    assert done.stdout.startswith(b'{"taltool":')
    assert (folder / "a").read_bytes() == b'{"taltool":'
    done = shell(f"{stream} --to vtt --show-scores 2>/dev/null", folder)
    assert done.stdout.decode() == VTT
    done = shell(f"{stream} --to vtt -qq | true; echo ${{PIPESTATUS[0]}}", folder)
    assert (done.stdout, done.stderr) == (b"0\n", b"")


def test_subtitles_of_several_videos_are_joined_again(taltool: Run, folder: Path) -> None:
    assert (
        taltool("convert", "../two.jsonl", "-o", "found/", "--to", "srt", "--show-scores", cwd=folder).returncode == 0
    )
    done = shell("taltool convert found/v.srt found/deep/w.srt --to csv", folder)
    assert done.stdout.splitlines() == [
        b"video_id,start,end,label,score",
        b"v,1.0,4.0,Dive,0.93",
        b"v,2.5,3.0,Run,0.5",
        b"w,0.0,1.0,Run,0.25",
    ]
