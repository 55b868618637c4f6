"""What developers put beside commands, models, backbones and formats: an entry is found, a helper is none."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from taltool.backbones import BACKBONES
from taltool.cli.main import build, command_names, main
from taltool.data.formats import FORMATS
from taltool.models import MODELS
from taltool.ops.metrics import METRICS
from taltool.registry import Registry

HELPERS = {
    "colours.py": '"""Colours of several commands."""\n',
    "shared_math.py": '"""Sums of several entries."""\n\n\ndef shared(number: int) -> int:\n    return number\n',
    "entering.py": '"""How to enter:\n\n    @THINGS.register("entering")\n"""\n',
    "blocks/__init__.py": '"""Blocks of several entries."""\n',
    "blocks/attention.py": "class Attention: ...\n",
}
ZOOM = '''"""One command."""


def zoom() -> None:
    """Look closer."""
    print("zoomed")
'''
Add = Callable[[str, dict[str, str]], None]


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Add]:
    """Put files, by their paths, beside those of a package, and take them away again."""
    packages = []

    def put(package: str, files: dict[str, str]) -> None:
        folder = tmp_path / package
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        module = importlib.import_module(package)
        monkeypatch.setattr(module, "__path__", [*module.__path__, str(folder)])
        packages.append(module)

    before = set(sys.modules)
    yield put
    for module in packages:
        for name in {name for name in sys.modules if name.startswith(f"{module.__name__}.")} - before:
            if str(tmp_path) in str(sys.modules[name].__file__):
                del sys.modules[name]
                delattr(module, name.rpartition(".")[2])


def help_page() -> str:
    done = CliRunner().invoke(build(), ["--help"])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("package", ["taltool.cli", "taltool.cli.commands"])
def test_a_helper_beside_the_commands_is_no_command(package: str, add: Add) -> None:
    names, page = command_names(), help_page()
    add(package, HELPERS)
    assert command_names() == names
    assert help_page() == page
    wrong = CliRunner().invoke(build(["colours"]), ["colours"])
    assert wrong.exit_code == 2
    assert "No such command 'colours'" in wrong.output


def test_a_file_with_a_function_of_its_name_is_a_command(add: Add) -> None:
    names = command_names()
    add("taltool.cli.commands", {"zoom.py": ZOOM})
    assert command_names() == [*names, "zoom"]
    assert "Look closer." in help_page()
    assert CliRunner().invoke(build(["zoom"]), ["zoom"]).output == "zoomed\n"


def test_main_and_the_wrapper_are_all_that_stands_above_a_command(add: Add, capsys: pytest.CaptureFixture[str]) -> None:
    call = "print([each.name for each in __import__('traceback').extract_stack() if '/cli/' in each.filename])"
    add("taltool.cli.commands", {"zoom.py": ZOOM.replace('print("zoomed")', call)})
    assert main(["zoom"]) == 0
    assert capsys.readouterr().out == "['main', 'command']\n"


@pytest.mark.parametrize("kept", [MODELS, BACKBONES, FORMATS, METRICS], ids=lambda registry: registry.kind)
def test_a_helper_beside_models_backbones_formats_or_metrics_is_no_entry(kept: Registry, add: Add) -> None:
    def fresh() -> Registry:  # A registry looks at its package once.
        return Registry(kept.kind, kept.package, kept.group)

    names = fresh().names()
    silent = {"no_entry/__init__.py": "", f"no_entry/{kept.kind}.py": '"""It registers nothing."""\n'}
    add(kept.package, HELPERS | silent)
    assert fresh().names() == names
    entry = f"from {kept.package} import *\n\n\n@ENTRIES.register('{{}}')\nclass Entry: ...\n"
    files = {"new_file.py": entry.format("new-file"), f"new_folder/{kept.kind}.py": entry.format("new-folder")}
    add(kept.package, {**files, "new_folder/__init__.py": ""})
    assert set(fresh().names()) - set(names) == {"new-file", "new-folder"}
