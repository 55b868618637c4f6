"""The pages of --help: whole at every width, with every option and name that there is."""

import re
import subprocess

import pytest
from project import PROJECT, Run

from taltool.backbones import BACKBONES
from taltool.cli.main import command_names
from taltool.data.formats import FORMATS
from taltool.models import MODELS

# An entry: two blanks, the name, and what it means from column 26 on, there or in the next line.
ENTRY = re.compile(r"^  (\S.*?)(?:  +(\S.*))?$")


def page(taltool: Run, *words: str, width: int = 80) -> str:
    done = taltool(*words, env={"COLUMNS": str(width)})
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


@pytest.mark.parametrize("width", [60, 80, 140])
@pytest.mark.parametrize("name", ["", *command_names()])
def test_no_line_is_wider_than_the_terminal_or_a_hundred(name: str, width: int, taltool: Run) -> None:
    lines = page(taltool, *name.split(), "--help", width=width).splitlines()
    assert [line for line in lines if len(line) > min(width, 100)] == []


@pytest.mark.parametrize("name", command_names())
def test_sections_come_in_the_order_of_the_work_and_name_every_option_once(name: str, taltool: Run) -> None:
    text = page(taltool, name, "--help", width=100)
    headings = re.findall(r"^(\w+):$", text, re.MULTILINE)
    assert headings == [word for word in ("Input", "Method", "Output", "Running", "Examples") if word in headings]
    roff = (PROJECT / f"man/man1/taltool-{name}.1").read_text().replace("\\-", "-")
    options = text.partition("Examples:")[0]
    entries = [found[1] for line in options.splitlines() if (found := ENTRY.match(line))]
    for option in re.findall(r"^\\fB(?:-\w\\fR, \\fB)?(--[\w-]+)\\fR", roff, re.MULTILINE):
        assert len([entry for entry in entries if re.search(rf"(^|, ){option}\b(?!-)", entry)]) == 1, option


@pytest.mark.parametrize(
    ("command", "option", "names"),
    [
        ("extract", "--backbone", BACKBONES.names()),
        ("train", "--model", MODELS.names()),
        ("convert", "--from", FORMATS.names()),
        ("extract", "--preset", [path.stem for path in (PROJECT / "taltool/extraction/presets").glob("*.toml")]),
        ("train", "--preset", ["thumos14-frames-paper", "tags", "code-thumos14", "activitynet12"]),
    ],
)
def test_every_name_that_there_is_is_listed(command: str, option: str, names: list[str], taltool: Run) -> None:
    rest = re.split(rf"\n  (?:-\w, )?{option} ", page(taltool, command, "-h"))[1]
    entry = " ".join(re.split(r"\n  \S", rest)[0].split())
    assert set(names) <= set(re.findall(r"[\w-]+", entry.partition("There are")[2]))


def test_examples_can_be_copied_at_any_width(taltool: Run) -> None:
    """Broken after a pipe or a backslash only, so that a shell reads what the source says."""
    _, _, examples = page(taltool, "nms", "-h", width=40).partition("Examples:\n")
    counted = (
        "taltool() { echo $# >&2; cat 2> /dev/null; }\n"
        + examples.replace("for s", "true; : for s").split("# every")[0]
    )
    done = subprocess.run(["bash", "-c", counted], input=b"", capture_output=True, check=True)
    assert sorted(map(int, done.stderr.split())) == [2, 3, 4, 9, 10]


def test_alone_it_shows_what_there_is(taltool: Run) -> None:
    alone = page(taltool)
    assert alone == page(taltool, "-h") == page(taltool, "--help")
    assert [name for name in command_names() if f"\n  {name} " not in alone] == []


def test_version_has_a_letter_too(taltool: Run) -> None:
    assert page(taltool, "-V") == page(taltool, "--version")


def test_defaults_are_words(taltool: Run) -> None:
    text = " ".join(page(taltool, "extract", "-h").split())
    assert "Give a video up that gives nothing for so long; 0: never. Default: 300." in text
    assert "Feature file (HDF5) to make or extend. Required." in text
    assert "Default: --provenance." in text
    assert not re.search(r"<\w+>|\[default|\.{6}|x>=", text)
