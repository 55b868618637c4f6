"""The rules of the house: imports go down only, heavy ones stay where they belong, files stay short and documented."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from project import PROJECT

from taltool.cli.main import command_names

PACKAGE = PROJECT / "taltool"
FILES = sorted(PACKAGE.rglob("*.py"))
NAMES = [file.relative_to(PROJECT).as_posix() for file in FILES]
# The floors from the ground up; a file may import from its own floor and those below. Two floors of one height know
# nothing of each other.
HEIGHTS = {
    "__init__": 0,
    "errors": 1,
    "reporting": 1,
    "registry": 2,
    "data": 3,
    "ops": 4,
    "video": 5,
    "nn": 5,
    "postprocessing": 5,
    "models": 6,
    "backbones": 6,
    "evaluation": 6,
    "inspection": 6,
    "experiment": 7,
    "extraction": 8,
    "prediction": 9,
    "training": 10,
    "cli": 11,
    "__main__": 12,
}
# The floors that know torch. Of the others none imports it anywhere, but the command line inside of its functions.
TORCH_FLOORS = ("nn", "models", "backbones", "experiment", "extraction", "prediction", "training")
HEAVY = ("torch", "pandas", "scipy", "matplotlib", "av", "cv2", "safetensors", "ray", "tensorboard")
MAX_LINES = 400
# One field more in the middle of a long record would silently shift the rest.
MAX_FIELDS_BY_POSITION = 6


def floor(name: str) -> str:
    """The floor of a module of the package, by its dotted name."""
    return f"{name}.__init__".split(".")[1]


def imported(tree: ast.AST) -> Iterator[str]:
    """The dotted names of all modules that a tree imports, wherever."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield node.module or ""
            # `from taltool import models` imports a module too.
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module == "taltool")


def imported_with_the_module(tree: ast.Module) -> Iterator[str]:
    """The dotted names of what a module imports when it is itself imported."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield from imported(node)


def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_imports_go_down_only(name: str) -> None:
    own = floor(name.removesuffix(".py").replace("/", "."))
    for other in imported(parsed(PROJECT / name)):
        theirs = floor(other) if other.partition(".")[0] == "taltool" else None
        if theirs is not None and theirs in HEIGHTS and theirs != own:
            assert HEIGHTS[theirs] < HEIGHTS[own], f"{own} must not import {other}"


@pytest.mark.parametrize(
    "name", [name for name in NAMES if name.startswith("taltool/models/") and name.count("/") == 3]
)
def test_papers_do_not_know_each_other(name: str) -> None:
    others = {path.name for path in (PACKAGE / "models").iterdir() if path.is_dir()} - {name.split("/")[2]}
    for module in imported(parsed(PROJECT / name)):
        assert not module.startswith(tuple(f"taltool.models.{other}." for other in others))


@pytest.mark.parametrize("name", NAMES)
def test_heavy_modules_are_imported_where_they_are_needed(name: str) -> None:
    own = floor(name.removesuffix(".py").replace("/", "."))
    roots = {other.partition(".")[0] for other in imported_with_the_module(parsed(PROJECT / name))} & set(HEAVY)
    if own in TORCH_FLOORS:
        roots -= {"torch", "safetensors"}
    if own in ("video", "backbones"):
        roots -= {"av", "cv2"}
    assert roots == set()


@pytest.mark.parametrize("name", NAMES)
def test_only_the_floors_of_torch_know_it(name: str) -> None:
    own = floor(name.removesuffix(".py").replace("/", "."))
    if own not in (*TORCH_FLOORS, "cli"):
        assert "torch" not in {other.partition(".")[0] for other in imported(parsed(PROJECT / name))}


def records() -> Iterator[str]:
    """The names of the data classes and named tuples of the package."""
    for node in (node for file in FILES for node in ast.walk(parsed(file)) if isinstance(node, ast.ClassDef)):
        marks = [ast.unparse(mark) for mark in (*node.decorator_list, *node.bases)]
        if any(mark.startswith(("dataclass", "NamedTuple")) for mark in marks):
            yield node.name


RECORDS = set(records())


@pytest.mark.parametrize("name", NAMES)
def test_long_records_are_made_by_the_names_of_their_fields(name: str) -> None:
    calls = [node for node in ast.walk(parsed(PROJECT / name)) if isinstance(node, ast.Call)]
    made = [call for call in calls if ast.unparse(call.func) in RECORDS]
    assert [ast.unparse(call)[:80] for call in made if len(call.args) > MAX_FIELDS_BY_POSITION] == []


@pytest.mark.parametrize("name", NAMES)
def test_nothing_changes_behind_the_arguments(name: str) -> None:
    tree = parsed(PROJECT / name)
    assert not any(isinstance(node, ast.Global) for node in ast.walk(tree))
    assert "contextvars" not in set(imported(tree))


def test_registries_import_no_torch() -> None:
    for package in ("models", "backbones", "data/formats", "ops/metrics"):
        assert "torch" not in {name.partition(".")[0] for name in imported(parsed(PACKAGE / package / "__init__.py"))}


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("taltool/ops/")])
def test_ops_do_no_input_or_output(name: str) -> None:
    roots = {other.partition(".")[0] for other in imported(parsed(PROJECT / name))}
    assert roots.isdisjoint({"h5py", "pathlib", "os", "sys", "subprocess", "tempfile"})


def test_every_floor_is_known() -> None:
    there = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert there <= set(HEIGHTS)


@pytest.mark.parametrize("name", NAMES)
def test_files_stay_short(name: str) -> None:
    assert len((PROJECT / name).read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("name", NAMES)
def test_every_module_says_what_it_is(name: str) -> None:
    assert ast.get_docstring(parsed(PROJECT / name))


@pytest.mark.parametrize("name", NAMES)
def test_every_public_function_and_class_says_what_comes_back(name: str) -> None:
    tree = parsed(PROJECT / name)
    missing = [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert missing == []


@pytest.mark.parametrize("name", command_names())
def test_every_command_is_documented(name: str) -> None:
    page = PROJECT / f"man/man1/taltool-{name}.1"
    assert page.exists(), "run python man/generate.py"
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert re.search(rf"taltool {name}\b|`{name}`", readme), "say it in README.md"


def test_no_machine_path_is_written_down() -> None:
    for file in [*FILES, *(PROJECT / "man").rglob("*.[157]"), *(PROJECT / "examples").glob("*")]:
        if file.is_file():
            assert "/work/" not in file.read_text(encoding="utf-8"), file
