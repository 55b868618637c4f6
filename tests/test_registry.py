"""The registry: names without imports, words for a wrong name, other packages by entry point."""

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from taltool.errors import UsageError
from taltool.registry import Registry

ENTRY = "from shelf import SHELF\n@SHELF.register('{name}', aliases=({alias!r},))\nclass Found: ...\n"


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    folder = tmp_path / "shelf"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from taltool.registry import Registry\nSHELF = Registry('thing', 'shelf', 'shelf.things')\n"
    )
    (folder / "two_words.py").write_text(ENTRY.format(name="two-words", alias="tw"))
    (folder / "other.py").write_text(ENTRY.format(name="other", alias="o") + "raise RuntimeError('imported')\n")
    (folder / "mistaken.py").write_text(ENTRY.format(name="mistook", alias="m"))
    (folder / "contract.py").write_text('"""    @SHELF.register("contract") is how to enter."""\n')
    (folder / "shared_math.py").write_text('"""What several entries use."""\n')
    for name, file in (("in_a_folder", "thing.py"), ("helpers", "things.py")):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("")
        (folder / name / file).write_text(ENTRY.format(name=name.replace("_", "-"), alias=name[0]))
    monkeypatch.syspath_prepend(str(tmp_path))
    from shelf import SHELF  # type: ignore[import-not-found]

    yield SHELF
    for name in [name for name in sys.modules if name.partition(".")[0] == "shelf"]:
        del sys.modules[name]


def test_names_are_what_registers_itself_and_nothing_is_imported(shelf: Registry) -> None:
    assert shelf.names() == ["in-a-folder", "mistaken", "other", "two-words"]
    assert "shelf.two_words" not in sys.modules
    assert "shelf.in_a_folder.thing" not in sys.modules


def test_an_entry_may_be_a_folder(shelf: Registry) -> None:
    assert shelf.load("in-a-folder").__module__ == "shelf.in_a_folder.thing"


def test_loading_imports_one_file_only(shelf: Registry) -> None:
    assert shelf.load("two-words").__name__ == "Found"
    assert "shelf.other" not in sys.modules


def test_wrong_name_is_corrected_and_the_known_ones_listed(shelf: Registry, tmp_path: Path) -> None:
    (tmp_path / "shelf" / "other.py").write_text(ENTRY.format(name="other", alias="o"))
    with pytest.raises(UsageError, match=r"no thing is named 'two-word'; did you mean 'two-words'\? \(there are: "):
        shelf.load("two-word")
    assert shelf.load("tw").__name__ == "Found"


def test_file_that_registers_another_name_is_named(shelf: Registry) -> None:
    with pytest.raises(UsageError, match="thing 'mistaken': its module was imported but registers no such name"):
        shelf.load("mistaken")


def test_another_package_joins_by_entry_point(shelf: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("theirs", "collections:OrderedDict", "shelf.things")
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [point] if group == "shelf.things" else [])
    assert "theirs" in shelf.names()
    assert shelf.load("theirs").__name__ == "OrderedDict"
