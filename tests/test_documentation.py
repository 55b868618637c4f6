"""What README and the guides say holds: their links, commands, options, messages and numbers."""

import dataclasses
import functools
import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from project import PROJECT
from test_stages import STAGES

from taltool.backbones import BACKBONES
from taltool.cli.main import build, command_names
from taltool.experiment.settings import PredictionSettings, SamplingSettings, TrainingSettings
from taltool.extraction.settings import preset_names
from taltool.models import MODELS
from taltool.ops.nms_settings import PRESETS, Suppression

GUIDES = sorted((PROJECT / "man").glob("*.md"))
TEXTS = [PROJECT / "README.md", *GUIDES]
MOST_WORDS = 900
SETTINGS = (PROJECT / "man/settings.md").read_text(encoding="utf-8")
RESULTS = (PROJECT / "man/results.md").read_text(encoding="utf-8")


def ids(file: Path) -> str:
    return file.name


def test_readme_is_short() -> None:
    assert len((PROJECT / "README.md").read_text(encoding="utf-8").split()) <= MOST_WORDS


@pytest.mark.parametrize("file", [*TEXTS, PROJECT / ".github/CONTRIBUTING.md"], ids=ids)
def test_links_lead_to_files(file: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)\)", re.sub(r"(?m)^ {4}.*$", "", file.read_text(encoding="utf-8")))
    near = [link for link in links if "://" not in link]
    assert [link for link in near if not (file.parent / link).exists()] == []


@pytest.mark.parametrize("file", TEXTS, ids=ids)
def test_pages_that_are_named_exist(file: Path) -> None:
    named = set(re.findall(r"\b(taltool[\w-]*)\((\d)\)", file.read_text(encoding="utf-8")))
    assert [page for page in named if not (PROJECT / f"man/man{page[1]}/{page[0]}.{page[1]}").exists()] == []


@pytest.mark.parametrize("file", TEXTS, ids=ids)
def test_files_of_the_source_that_are_named_exist(file: Path) -> None:
    named = set(re.findall(r"\b((?:examples|tests|taltool)/[\w/.-]*\w)", file.read_text(encoding="utf-8")))
    assert [name for name in sorted(named) if not (PROJECT / name).exists()] == []


def commands(text: str) -> Iterator[list[str]]:
    """The words of every `taltool COMMAND ...`, in blocks of code and within lines."""
    lines = re.sub(r"\\\n\s+", "", text)
    lines = re.sub(r"\|\n\s+", "| ", lines)
    for code in re.findall(r"^ {4}(.*)$|`([^`\n]+)`", lines, re.MULTILINE):
        for part in re.split(r"[|;]|&&|<\(", code[0] or code[1]):
            words = re.sub(r" # .*", "", part).strip().removeprefix("torchrun --nproc-per-node 8 -m ")
            words = words.removeprefix("do ")
            if re.match(r"taltool [a-z]", words):
                yield shlex.split(words.rstrip(")"))


@functools.cache
def options_of(name: str) -> dict[str, Any]:
    group: Any = typer.main.get_command(build([name]))
    return {word: each for each in group.commands[name].params for word in (*each.opts, *each.secondary_opts)}


@pytest.mark.parametrize("file", TEXTS, ids=ids)
def test_commands_have_the_options_that_are_shown(file: Path) -> None:
    wrong = []
    for _, name, *words in commands(file.read_text(encoding="utf-8")):
        if name not in command_names():
            wrong.append(name)
            continue
        known = {"--help", *options_of(name)}
        used = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
        wrong += [f"{name} {word}" for word in used if word not in known]
    assert wrong == []


@pytest.mark.parametrize("name", command_names())
def test_every_option_is_described(name: str) -> None:
    page = (PROJECT / f"man/man1/taltool-{name}.1").read_text(encoding="utf-8")
    common = (PROJECT / "man/man1/taltool.1").read_text(encoding="utf-8")
    for word, parameter in options_of(name).items():
        assert parameter.help, f"{name} {word} has no help"
        assert not word.startswith("-") or rf"\fB{word.replace('-', chr(92) + '-')}\fR" in page + common


# Every class of settings by its section, and the heading under which settings.md has it.
KINDS: list[tuple[str, str, type]] = [
    *((f"Model {name}", "model", MODELS.load(name).Config) for name in MODELS.built_in()),
    ("Section sampling", "sampling", SamplingSettings),
    ("Section training", "training", TrainingSettings),
    ("Section prediction", "prediction", PredictionSettings),
    ("Section nms", "nms", Suppression),
    *((f"Backbone {name}", "backbone", BACKBONES.load(name).Config) for name in BACKBONES.built_in()),
]


@pytest.mark.parametrize(("heading", "section", "kind"), KINDS, ids=[kind[0] for kind in KINDS])
def test_every_setting_is_described(heading: str, section: str, kind: type) -> None:
    text = SETTINGS.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    for field in dataclasses.fields(kind):
        (said,) = re.findall(
            rf"^- `{section}\.{field.name}` = [^:]*?(?: \(one of [^)]*\))?(: .+)?$", text, re.MULTILINE
        )
        told = " ".join(inspect.getdoc(base) or "" for base in kind.__mro__[:-1])
        assert said or re.search(rf"\b{field.name}\b", told), f"say what {section}.{field.name} does, in a comment"


def test_every_preset_is_named() -> None:
    names = {*PRESETS, *preset_names(), "auto"}
    for model in MODELS.built_in():
        names |= set(MODELS.load(model).presets)
    assert [name for name in sorted(names) if f"`{name}`" not in SETTINGS] == []


def test_every_model_and_backbone_has_its_place() -> None:
    models, backbones = ((PROJECT / f"man/{name}.md").read_text(encoding="utf-8") for name in ("models", "backbones"))
    readme = TEXTS[0].read_text(encoding="utf-8")
    assert [name for name in MODELS.built_in() if f"| `{name}` |" not in models or f"| `{name}` |" not in readme] == []
    assert [name for name in BACKBONES.built_in() if f"| `{name}`" not in backbones] == []


def test_every_stage_is_on_the_page_of_python() -> None:
    text = (PROJECT / "man/python.md").read_text(encoding="utf-8")
    assert dict(re.findall(r"^\| `(\w+)` \| `([\w.]+)\.\w+` \|$", text, re.MULTILINE)) == STAGES


def tables(text: str) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """The paragraph above each table, its head and its rows."""
    for above, block in re.findall(r"(?:^|\n\n)([^\n|][^|]*?)?\n*((?:^\|.*\n)+)", text, re.MULTILINE):
        head, _, *rows = ([cell.strip() for cell in line.strip()[1:-1].split("|")] for line in block.splitlines())
        yield above, head, rows


def test_means_in_the_results_are_those_of_their_folds() -> None:
    checked = 0
    for _, head, rows in tables(RESULTS):
        if "mean" not in head:
            continue
        first = head.index("fold 1")
        for row in rows:
            folds = row[first : first + 5]
            if all(folds):
                mean = sum(map(float, folds)) / 5
                assert float(row[head.index("mean")]) == pytest.approx(mean, abs=0.1), row
                checked += 1
    assert checked > 25


def test_accuracies_in_the_readme_are_those_of_the_results() -> None:
    found = {}
    for above, head, rows in tables(RESULTS):
        if "mean" in head and (above.endswith("0.3:0.1:0.7:") or head[0] == "AUC"):
            measure = head[0] or "mAP"
            found |= {(measure, row[0].strip("`")): row[head.index("mean")] for row in rows}
    shown = re.findall(r"^\| `([\w-]+)` \| .* \| (mAP|AUC) ([\d.]+) \|$", TEXTS[0].read_text("utf-8"), re.MULTILINE)
    assert len(shown) == len(MODELS.built_in())
    assert {(measure, name): value for name, measure, value in shown}.items() <= found.items()


def test_messages_that_the_questions_quote_are_those_of_the_program() -> None:
    """Of each quoted message, three words in a row stand in the source, where variables part it."""
    sources = "".join(file.read_text(encoding="utf-8") for file in sorted((PROJECT / "taltool").rglob("*.py")))
    source = " ".join(re.sub(r'"\s*\n\s*f?"', "", sources).split())
    text = (PROJECT / "man/faq.md").read_text(encoding="utf-8")
    quoted = [line for line in re.findall(r"^### (.*)$", text, re.MULTILINE) if re.match(r"[a-z\d-]", line)]
    quoted = [line for line in quoted if not line.startswith(("man ", "mAP "))]  # Not of this program.
    assert len(quoted) > 10
    for message in quoted:
        words = message.split()
        runs = [" ".join(words[at : at + 3]) for at in range(max(len(words) - 2, 1))]
        assert any(run in source for run in runs), f"no message of the program is like '{message}'"
