"""Pipes of several commands: the same bytes as through files, and what happens when one end breaks."""

from pathlib import Path

import numpy as np
import orjson
import pytest
from project import Run, shell


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """gt.json and detections.jsonl of 300 videos: enough that a pipe cannot hold them."""
    random = np.random.default_rng(0)
    database, lines = {}, [{"taltool": {"kind": "proposals", "version": 1, "videos": 300, "classes": ["a", "b"]}}]
    for number in range(300):
        starts = random.uniform(0, 50, 30).round(3)
        pairs = [[start, start + 5] for start in starts.tolist()]
        scores = random.uniform(0, 1, 30).round(4).tolist()
        proposals = [
            {"segment": p, "score": s, "label": "ab"[i % 2]} for i, (p, s) in enumerate(zip(pairs, scores, strict=True))
        ]
        lines.append({"video_id": f"v_{number}", "duration": 60.0, "proposals": proposals})
        annotations = [{"segment": pair, "label": "a"} for pair in pairs[:3:2]]
        database[f"v_{number}"] = {"duration": 60.0, "subset": "validation", "annotations": annotations}
    lines.append({"end": {"videos": 300}})
    (tmp_path / "detections.jsonl").write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    (tmp_path / "gt.json").write_bytes(orjson.dumps({"database": database}))
    return tmp_path


@pytest.mark.slow
def test_pipe_and_files_give_the_same_bytes(folder: Path) -> None:
    nms, evaluate = "taltool nms --no-provenance", "taltool evaluate gt.json --format csv"
    piped = shell(f"cat detections.jsonl | {nms} | tee piped.jsonl | {evaluate}", folder)
    filed = shell(f"{nms} detections.jsonl -o filed.jsonl && {evaluate} filed.jsonl", folder)
    assert piped.returncode == filed.returncode == 0
    assert (folder / "piped.jsonl").read_bytes() == (folder / "filed.jsonl").read_bytes()
    assert numbers(piped.stdout) == numbers(filed.stdout) != []


def numbers(table: bytes) -> list[str]:
    """The numbers of a printed table."""
    return [word for word in table.decode().replace(",", " ").split() if word.replace(".", "", 1).isdigit()]


def test_a_reader_that_leaves_early_is_no_error(folder: Path) -> None:
    done = shell("taltool convert detections.jsonl | head -1; echo ${PIPESTATUS[0]}", folder)
    header, status = done.stdout.splitlines()
    assert orjson.loads(header)["taltool"]["videos"] == 300
    assert status == b"0"
    assert done.stderr == b""


def test_help_into_a_closed_pipe_is_no_error(folder: Path) -> None:
    done = shell("taltool convert --help | true; echo ${PIPESTATUS[0]}", folder)
    assert (done.stdout, done.stderr) == (b"0\n", b"")


@pytest.mark.parametrize("command", ["evaluate gt.json", "nms", "convert", "info", "check"])
def test_a_stream_cut_short_is_refused(command: str, folder: Path) -> None:
    done = shell(f"head -100 detections.jsonl | taltool {command}", folder)
    assert done.returncode == 3
    assert b"no end line after 99 videos" in done.stdout + done.stderr


def test_a_writer_killed_half_way_leaves_nothing_to_score(folder: Path) -> None:
    # The writer dies after it wrote some videos; nms passes on what came, without an end line, and evaluate refuses.
    killed = "{ head -c 200000 detections.jsonl; kill -9 $BASHPID; }"
    done = shell(f"set -o pipefail; {killed} | taltool nms | taltool evaluate gt.json", folder)
    assert done.returncode == 3
    assert done.stdout == b""
    assert b"taltool nms: error" in done.stderr
    assert b"taltool evaluate: error" in done.stderr


def test_a_failed_command_leaves_an_empty_stream_that_is_refused(folder: Path) -> None:
    done = shell("taltool convert nosuch.jsonl | taltool evaluate gt.json", folder)
    assert done.returncode == 3
    assert b"empty" in done.stderr


def test_another_program_may_stand_in_the_pipe(folder: Path) -> None:
    done = shell('grep video_id detections.jsonl | sed \'s/"a"/"c"/g\' | taltool info --format json', folder)
    facts = orjson.loads(done.stdout)
    assert facts["proposals_of_class"] == {"b": 4500, "c": 4500}


def test_closed_input_counts_as_empty(taltool: Run, folder: Path) -> None:
    done = shell("taltool convert <&-", folder)
    assert done.returncode == 3
    assert done.stderr == b"taltool convert: error: -: empty (did the command before it fail?)\n"
