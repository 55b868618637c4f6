"""What nobody foresaw ends in one line and exit status 4, never in a traceback; -v shows where."""

import os
from pathlib import Path

import pytest
from project import PROJECT, Run, shell

# A format whose reader stumbles over what nobody thought of.
STUMBLING = """
from collections.abc import Iterator
from contextlib import contextmanager
from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Format, FormatOptions, Opening


@FORMATS.register("stumbling")
class Stumbling(Format):
    summary = "stumbles"
    kinds = ("annotations",)
    is_written = False

    def recognises(self, opening: Opening) -> bool:
        return opening.head.startswith(b"stumble")

    @contextmanager
    def read(self, path: str, options: FormatOptions) -> Iterator[object]:
        raise {error}
"""
ENTRY = "[taltool.formats]\nstumbling = stumbling\n"


@pytest.mark.parametrize("error", ["MemoryError", "RecursionError('deep')", "KeyError('x')", "SystemExit(7)"])
def test_what_a_library_raises_is_told_with_the_file(error: str, tmp_path: Path, taltool: Run) -> None:
    (tmp_path / "stumbling.py").write_text(STUMBLING.replace("{error}", error))
    (tmp_path / "stumbling-1.0.dist-info").mkdir()
    (tmp_path / "stumbling-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: stumbling\nVersion: 1.0\n"
    )
    (tmp_path / "stumbling-1.0.dist-info" / "entry_points.txt").write_text(ENTRY)
    path = tmp_path / "in.txt"
    path.write_text("stumble\n")
    environment = {"PYTHONPATH": os.pathsep.join([str(PROJECT), str(tmp_path)])}
    done = taltool("convert", path, "-o", tmp_path / "out.jsonl", env=environment)
    (line,) = done.stderr.decode().splitlines()
    assert done.returncode == 4
    assert line.startswith(f"taltool convert: error: unexpected {error.partition('(')[0]} in {path}")
    assert line.endswith("; -v shows the traceback")
    assert not (tmp_path / "out.jsonl").exists()
    shown = taltool("convert", path, "-o", tmp_path / "out.jsonl", "-v", env=environment)
    assert shown.returncode == 4
    assert b"stumbling.py" in shown.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this processor's system")
@pytest.mark.parametrize("words", ["--help", "nms --help", "info gt.json", "convert gt.json --to activitynet"])
def test_standard_output_that_is_full_is_said(words: str, tmp_path: Path) -> None:
    (tmp_path / "gt.json").write_text('{"database": {"v": {"duration": 9.0, "annotations": []}}}')
    done = shell(f"taltool {words} > /dev/full", tmp_path)
    assert done.returncode == 3
    assert done.stderr.decode().splitlines()[-1].endswith("No space left on device")
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("words", ["--help", "--version", "info gt.json", "nms p.jsonl", "check gt.json"])
def test_standard_output_that_is_closed_is_said_where_something_goes_there(words: str, tmp_path: Path) -> None:
    (tmp_path / "gt.json").write_text('{"database": {"v": {"duration": 9.0, "annotations": []}}}')
    stream = '{"taltool": {"kind": "proposals", "version": 1, "classes": []}}\n{"end": {"videos": 0}}\n'
    (tmp_path / "p.jsonl").write_text(stream)
    done = shell(f"taltool {words} >&-", tmp_path)
    assert done.returncode == 3
    assert done.stderr.decode().splitlines()[-1].endswith("error: standard output: Bad file descriptor")
    assert shell("taltool nms p.jsonl -q -o n.jsonl >&-", tmp_path).returncode == 0
