"""What holds for every command: streams, exit statuses, errors in words, quiet and verbose, progress, terminals."""

import gzip
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from project import PROJECT, Run
from terminal import run_on_terminal

STREAM = (
    b'{"taltool":{"kind":"proposals","version":2,"videos":2,"classes":["Dive"]}}\n'
    b'{"video_id":"v","duration":9.0,"segments":[[1.0,2.0]],"scores":[0.5],"labels":[0]}\n'
    b'{"video_id":"w","segments":[],"scores":[]}\n'
    b'{"end":{"videos":2}}\n'
)


@pytest.fixture
def features(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        for number in range(3):
            file[f"v_{number}"] = np.zeros((4, 2), np.float32)
    return tmp_path / "foreign.h5"


CLOCK = ("--fps", "10", "--stride", "5", "--window", "5")


def test_nothing_and_dash_mean_standard_input_and_output(taltool: Run) -> None:
    words = ("convert", "--no-provenance")
    assert taltool(*words, stdin=STREAM).stdout == STREAM
    assert taltool(*words, "-", "-o", "-", stdin=STREAM).stdout == STREAM


def test_compressed_input_is_recognised(taltool: Run) -> None:
    assert taltool("convert", "--no-provenance", stdin=gzip.compress(STREAM)).stdout == STREAM


def test_done_is_0_and_says_nothing_on_stderr(taltool: Run) -> None:
    done = taltool("convert", stdin=STREAM)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("nosuch",), "taltool: error: No such command 'nosuch'."),
        (("convert", "--nosuch"), "taltool convert: error: No such option: --nosuch"),
        (("info", "--format", "xml"), "taltool info: error: Invalid value for '--format': 'xml' is not one of"),
        (("convert", "--score", "high"), "taltool convert: error: Invalid value for '--score'"),
        (("convert", "--to", "jsnl"), "taltool convert: error: no format is named 'jsnl'; did you mean 'jsonl'?"),
    ],
)
def test_wrong_usage_is_2_with_words_and_usage_on_stderr(taltool: Run, words: tuple[str, ...], complaint: str) -> None:
    done = taltool(*words, stdin=STREAM)
    assert (done.returncode, done.stdout) == (2, b"")
    assert complaint in done.stderr.decode()
    assert "Usage: taltool" in done.stderr.decode()
    assert "--help' for help." in done.stderr.decode()


def test_broken_record_is_3_with_file_line_and_mend_but_no_traceback(taltool: Run, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_bytes(STREAM.replace(b'"scores":[0.5],', b""))
    done = taltool("convert", tmp_path / "p.jsonl")
    assert done.returncode == 3
    where = f"taltool convert: error: {tmp_path}/p.jsonl:2: video 'v': there are no scores; give all"
    assert done.stderr.decode().startswith(where)
    assert "Traceback" not in done.stderr.decode()


def test_verbose_shows_the_traceback_of_an_error(taltool: Run) -> None:
    errors = taltool("convert", "-v", "nosuch.json").stderr.decode()
    assert "Traceback" in errors
    assert "taltool convert: error: nosuch.json: no such file" in errors


def test_empty_input_blames_the_command_before(taltool: Run) -> None:
    done = taltool("convert")
    assert done.returncode == 3
    assert b"-: empty (did the command before it fail?)" in done.stderr


def test_terminal_as_input_is_a_usage_error() -> None:
    status, output, errors = run_on_terminal(["convert"], "stdin")
    assert (status, output) == (2, "")
    assert "taltool convert: error: no input: name a file, or pipe one in" in errors
    assert "Usage: taltool convert" in errors


def test_quiet_silences_progress_and_twice_quiet_warnings(taltool: Run, features: Path, tmp_path: Path) -> None:
    talk = [
        taltool("convert", features, *CLOCK, *quiet, "-o", tmp_path / f"out{number}").stderr.decode()
        for number, quiet in enumerate([(), ("-q",), ("-qq",)])
    ]
    assert "3/3 videos" in talk[0]
    assert "warning: " in talk[0]
    assert "3/3 videos" not in talk[1]
    assert "warning: " in talk[1]
    assert talk[2] == ""


def test_no_bar_where_stderr_is_no_terminal(taltool: Run, features: Path, tmp_path: Path) -> None:
    errors = taltool("convert", features, *CLOCK, "-o", tmp_path / "x.h5").stderr.decode()
    assert errors == "taltool convert: 3/3 videos\n"


def test_bar_where_stderr_is_a_terminal(features: Path, tmp_path: Path) -> None:
    words = ["convert", str(features), *CLOCK, "-o", str(tmp_path / "x.h5")]
    status, output, shown = run_on_terminal(words, "stderr")
    assert (status, output) == (0, "")
    assert "3/3" in shown
    assert "\x1b[" in shown
    assert "━" in shown


@pytest.mark.slow
def test_no_color_leaves_colours_out_of_the_bar(features: Path, tmp_path: Path) -> None:
    words = ["convert", str(features), *CLOCK, "-o"]
    _, _, coloured = run_on_terminal([*words, str(tmp_path / "x.h5")], "stderr")
    _, _, plain = run_on_terminal([*words, str(tmp_path / "y.h5")], "stderr", {"NO_COLOR": "1"})
    assert "\x1b[3" in coloured
    assert "\x1b[3" not in plain.replace("\x1b[?", "")


def test_progress_none_shows_no_bar_on_a_terminal(features: Path, tmp_path: Path) -> None:
    words = ["convert", str(features), *CLOCK, "--progress", "none", "-o", str(tmp_path / "x.h5")]
    assert run_on_terminal(words, "stderr")[2] == ""


def test_progress_json_is_a_line_each(taltool: Run, features: Path, tmp_path: Path) -> None:
    done = taltool("convert", features, *CLOCK, "--progress", "json", "-o", tmp_path / "x.h5")
    last = json.loads(done.stderr.decode().splitlines()[-1])
    assert (last["task"], last["done"], last["total"], last["unit"]) == ("convert", 3, 3, "videos")


def test_version_goes_to_stdout(taltool: Run) -> None:
    done = taltool("--version")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"taltool ")


def test_help_is_plain_text_in_a_pipe(taltool: Run) -> None:
    shown = taltool("convert", "--help").stdout.decode()
    assert shown.startswith("Usage: taltool convert [OPTION]... [INPUT...]\n")
    assert not set(shown) & set("\x1b╭│─")


@pytest.mark.parametrize(
    ("number", "status", "said"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_interrupt_is_130_and_termination_143(number: signal.Signals, status: int, said: str) -> None:
    command = [sys.executable, "-m", "taltool", "convert"]
    env = os.environ | {"PYTHONPATH": str(PROJECT)}
    with subprocess.Popen(
        command,
        env=env,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        # Not ignored, as it is in what a shell script starts in the background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdin is not None
        # More than a pipe holds: once it is written, the command is at work, and waits for the rest.
        process.stdin.write(STREAM.splitlines(keepends=True)[0])
        process.stdin.writelines(b'{"video_id":"video_%d","proposals":[]}\n' % number for number in range(10_000))
        process.stdin.flush()
        process.send_signal(number)
        process.wait(timeout=60)  # Before its input ends, which would be another reason to stop.
        assert process.stderr is not None
        assert process.stderr.read().decode() == f"taltool convert: error: {said}\n"
    assert process.returncode == status


def test_full_disk_is_one_line_and_3() -> None:
    command = [sys.executable, "-m", "taltool", "convert"]
    env = os.environ | {"PYTHONPATH": str(PROJECT)}
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, input=STREAM, env=env, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 3
    assert done.stderr.decode() == "taltool convert: error: No space left on device\n"


def test_output_file_appears_only_when_it_is_whole(taltool: Run, tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text("what was there before\n")
    done = taltool("convert", "-o", tmp_path / "out.jsonl", stdin=STREAM[:-10])
    assert done.returncode == 3
    assert [file.read_text() for file in tmp_path.iterdir()] == ["what was there before\n"]


def test_output_into_a_missing_folder_is_3(taltool: Run, tmp_path: Path) -> None:
    done = taltool("convert", "-o", tmp_path / "no" / "x.json", stdin=STREAM)
    assert done.returncode == 3
    assert b"cannot write there" in done.stderr


def test_same_input_gives_the_same_bytes_without_provenance(taltool: Run) -> None:
    first, second = (
        taltool("convert", "--to", "activitynet", "--no-provenance", stdin=STREAM).stdout for _ in range(2)
    )
    assert first == second
    assert b"provenance" not in first


def test_provenance_names_command_and_input_without_its_folder(taltool: Run, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(STREAM)
    header = json.loads(taltool("convert", tmp_path / "in.jsonl").stdout.splitlines()[0])
    (step,) = header["taltool"]["provenance"]
    assert (step["tool"], step["inputs"][0]["name"], step["inputs"][0]["size"]) == ("taltool", "in.jsonl", len(STREAM))


def test_completion_offers_commands(taltool: Run) -> None:
    env = {"_TALTOOL_COMPLETE": "complete_bash", "COMP_WORDS": "taltool con", "COMP_CWORD": "1"}
    assert taltool(env=env).stdout.split() == [b"convert"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("evaluate gt.json --split x.json:s p.jsonl", '{"s": {"validation": ["v"], "validation": ["w"]}}'),
        ("train --model afsd f.h5 gt.json --folds x.json", '{"s": {"test": ["v"]}, "s": {"test": ["w"]}}'),
        ("label --classifier x.json p.jsonl", '{"v": {"Run": 0.5}, "v": {"Run": 0.7}}'),
        ("fuse p.jsonl p.jsonl --weights x.json", '{"method": "union", "method": "rank", "sources": []}'),
        ("nms x.json", '{"results": {"v": [], "v": []}}'),
        ("evaluate x.json p.jsonl", '{"database": {"v": {"duration": 9}, "v": {"duration": 8}}}'),
    ],
)
def test_a_key_twice_is_refused_in_every_json_that_a_user_gives(
    words: str, text: str, taltool: Run, tmp_path: Path
) -> None:
    (tmp_path / "x.json").write_text(text)
    (tmp_path / "gt.json").write_text('{"database": {"v": {"duration": 9, "annotations": []}}}')
    (tmp_path / "p.jsonl").write_text('{"video_id": "v", "proposals": []}\n')
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["v"] = np.zeros((9, 4), np.float32)
    done = taltool(*words.split(), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, b"")
    assert re.search(r"error: x\.json: '\w+' is there twice in one object", done.stderr.decode())
