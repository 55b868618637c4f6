"""NaN and infinity are refused at the door: by every option of every command, and in what a command is given."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import typer
from project import Run

from taltool.cli.main import build, command_names, main

NOT_FINITE = ("nan", "inf", "-inf", "1e999")


def float_options() -> Iterator[tuple[str, str]]:
    """Every command with the first name of each of its options that is a number, or several."""
    group = typer.main.get_command(build())
    for command in command_names():
        hints = get_type_hints(getattr(importlib.import_module(f"taltool.cli.commands.{command}"), command))
        for parameter in group.commands[command].params:  # type: ignore[attr-defined]
            hint = hints.get(parameter.name)
            if float in (hint, *get_args(hint), *(each for inner in get_args(hint) for each in get_args(inner))):
                yield command, parameter.opts[0]


FLOAT_OPTIONS = list(float_options())


def needed_words(command: str) -> list[str]:
    """What else must stand on the command line."""
    found = []
    for parameter in typer.main.get_command(build()).commands[command].params:  # type: ignore[attr-defined]
        if parameter.required:
            found += ["x"] if parameter.param_type_name == "argument" else [parameter.opts[0], "x"]
    return found


def test_the_options_that_are_numbers_are_found() -> None:
    assert {("nms", "--min-score"), ("predict", "--offset"), ("extract", "--patience")} < set(FLOAT_OPTIONS)


@pytest.mark.parametrize(("command", "option"), FLOAT_OPTIONS)
@pytest.mark.parametrize("value", NOT_FINITE)
def test_an_option_that_is_not_finite_is_refused(
    command: str, option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [command, f"{option}={value}", *needed_words(command)]
    assert main(words) == 2
    said = capsys.readouterr()
    assert f"taltool {command}: error: Invalid value for '{option}': " in said.err
    assert said.out == ""


@pytest.mark.parametrize("command", ["predict", "train", "convert"])
@pytest.mark.parametrize("option", ["--fps", "--stride", "--window"])
@pytest.mark.parametrize("value", ["0", "-1"])
def test_an_option_of_the_clock_that_is_not_positive_is_refused(
    command: str, option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [command, f"{option}={value}", *needed_words(command)]
    assert main(words) == 2
    assert f"Invalid value for '{option}': {float(value)} is not a positive number" in capsys.readouterr().err


@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize(
    ("words", "option"),
    [
        ("evaluate gt.json p.json --fail-under average_mAP={}", "--fail-under"),
        ("evaluate gt.json p.json --tiou 0.5,{}", "--tiou"),
        ("evaluate gt.json p.json --ar-tiou 0.5:{}:0.1", "--ar-tiou"),
        ("evaluate gt.json p.json --kx 1,{}", "--kx"),
        ("diagnose gt.json p.json --tiou {}", "--tiou"),
        ("diagnose gt.json p.json --groups length=1,{}", "--groups"),
        ("extract videos -o f.h5 --fps {}", "--fps"),
        ("fuse a.jsonl b.jsonl --weights 1,{}", "--weights"),
        ("fuse a.jsonl b.jsonl --fit gt.json --map-tiou {}", "--map-tiou"),
    ],
)
def test_a_number_within_the_text_of_an_option_is_refused_too(
    words: str, option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = words.format(value).split()
    assert main(line) == 2
    assert f"error: {option} " in capsys.readouterr().err


def test_users_see_the_option_and_what_is_wrong(taltool: Run) -> None:
    done = taltool("nms", "--min-score", "nan", "p.jsonl")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(
        b"taltool nms: error: Invalid value for '--min-score': nan is not a finite number.\nUsage: taltool nms"
    )


@pytest.mark.parametrize("command", ["convert", "check"])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999"])
@pytest.mark.parametrize("column", ["start", "end", "score"])
def test_a_table_with_a_number_that_is_not_finite_is_refused_with_its_line(
    column: str, value: str, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"video_id": "v", "start": "1", "end": "2", "label": "a", "score": "0.5"}
    lines = [",".join(each) for each in (row, row.values(), (row | {column: value}).values())]
    (tmp_path / "p.csv").write_text("\n".join(lines) + "\n")
    words = [command, str(tmp_path / "p.csv")]
    assert main(words) == 3
    said = capsys.readouterr()
    assert f"p.csv:3: {'score' if column == 'score' else 'segment'} " in said.out + said.err
    assert "video_id" not in said.out


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ('"segments": [[0, 1]], "scores": [1e999]', "not JSON"),
        ('"segments": [[0, NaN]], "scores": [1]', "not JSON"),
        ('"segments": [[0, 1]], "scores": [null]', "score None of proposal 1 is not a finite number"),
        ('"segments": [[null, 1]], "scores": [1]', "segment [None, 1] of proposal 1 is not [start, end] in seconds"),
        ('"proposals": [{"segment": [null, 1], "score": 1}]', "segment [None, 1] of proposal 1 is not [start, end]"),
    ],
)
def test_a_line_with_a_number_that_is_not_finite_is_refused(taltool: Run, value: str, said: str) -> None:
    done = taltool("nms", stdin=f'{{"video_id": "v", {value}}}\n'.encode())
    assert (done.returncode, done.stdout) == (3, b"")
    assert re.search(rf"^taltool nms: error: -:1: .*{re.escape(said)}", done.stderr.decode(), re.MULTILINE)
