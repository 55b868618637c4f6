"""The registry: names without imports, words for a wrong name, other packages by entry point, files by their path."""

import multiprocessing
import pickle
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from project import Run

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


def mine(folder: Path, text: str, name: str = "mine.py") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


ONE = """from dataclasses import dataclass

from shelf import SHELF


@dataclass(frozen=True)
class Config:
    width: "int" = 8


@SHELF.register("mine", aliases=("m",))
class Mine:
    Config = Config
"""


def test_the_path_of_a_file_is_a_name(shelf: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = mine(tmp_path, ONE)
    assert "mine" not in shelf.names()
    before = list(sys.path)
    assert shelf.canonical(path) == "mine"
    monkeypatch.chdir(tmp_path)
    assert shelf.load("mine.py") is shelf.load("./mine.py") is shelf.load("mine") is shelf.load("m") is shelf.load(path)
    assert "mine" in shelf.names()
    assert sys.path == before
    assert "mine" not in sys.modules


def test_a_file_is_found_only_where_it_is_named(
    shelf: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine(tmp_path, ONE)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shelf" / "other.py").write_text(ENTRY.format(name="other", alias="o"))
    with pytest.raises(UsageError, match="no thing is named 'mine'"):
        shelf.load("mine")


def test_a_file_is_imported_once(shelf: Registry, tmp_path: Path) -> None:
    path = mine(tmp_path, f"open({str(tmp_path / 'log')!r}, 'a').write('imported ')\n{ONE}")
    (tmp_path / "link.py").symlink_to(path)
    assert shelf.load(path) is shelf.load(path) is shelf.load(str(tmp_path / "link.py"))
    assert (tmp_path / "log").read_text() == "imported "


def test_files_of_one_name_in_two_folders_do_not_clash(shelf: Registry, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    first = shelf.load(mine(tmp_path / "a", ONE))
    second = shelf.load(mine(tmp_path, ONE.replace('"mine"', '"yours"').replace('"m"', '"y"')))
    assert first.__module__ != second.__module__
    assert sys.modules[first.__module__].Mine is first


def test_objects_of_a_files_classes_are_pickled(shelf: Registry, tmp_path: Path) -> None:
    config = shelf.load(mine(tmp_path, ONE)).Config(width=3)
    assert pickle.loads(pickle.dumps(config)) == config


def test_a_worker_that_is_given_the_word_knows_the_class(shelf: Registry, tmp_path: Path) -> None:
    path = mine(tmp_path, ONE)
    config = shelf.load(path).Config(width=3)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=_load, initargs=(path,)) as pool:
        assert pool.submit(_width, config).result() == 3


def _load(path: str) -> None:
    from shelf import SHELF

    SHELF.load(path)


def _width(config: Any) -> int:
    return config.width  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("\nimport no_such_module_anywhere\n", ":2: ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
        ("def broken():\n    1 / 0\n\n\nbroken()\n", ":2: ZeroDivisionError: division by zero"),
        ("x = 1\nif x\n    pass\n", ":2: SyntaxError: expected ':'"),
        ("import sys\nsys.exit('used as a module')\n", ":2: SystemExit: used as a module"),
        ("import json\n\njson.loads('{')\n", ":3: JSONDecodeError: Expecting property name"),
        ("x = 1\n", ': registers no thing (a line @THINGS.register("NAME") does)'),
        (ONE + "SHELF.register('two')(Config)\n", ": registers 2 things (mine, two); expected one"),
        (
            ONE.replace('"mine"', '"two-words"'),
            ":11: there is a thing named 'two-words' already; if it is this very file, say two-words",
        ),
        (
            ONE.replace('"m"', '"other"'),
            ":11: there is a thing named 'other' already; if it is this very file, say other",
        ),
    ],
)
def test_a_file_that_is_no_entry_is_named_with_the_line(
    text: str, complaint: str, shelf: Registry, tmp_path: Path
) -> None:
    path = mine(tmp_path, text)
    for _ in range(2):  # A second try finds the same.
        with pytest.raises(UsageError) as raised:
            shelf.load(path)
        assert str(raised.value).startswith(path + complaint)


def test_a_file_that_is_not_there_is_named(shelf: Registry) -> None:
    with pytest.raises(UsageError, match=r"^nowhere/mine\.py: no such file$"):
        shelf.canonical("nowhere/mine.py")


def test_a_file_that_was_mended_is_imported_anew(shelf: Registry, tmp_path: Path) -> None:
    path = mine(tmp_path, ONE + "1 / 0\n")
    with pytest.raises(UsageError, match="ZeroDivisionError"):
        shelf.load(path)
    assert shelf.load(mine(tmp_path, ONE)).__name__ == "Mine"


def test_a_plug_in_that_cannot_be_imported_is_named_with_its_line(
    shelf: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shelf" / "other.py").write_text(ENTRY.format(name="other", alias="o"))
    path = mine(tmp_path, "import no_such_module_anywhere\n", "their_package.py")
    points = [EntryPoint(name, value, "shelf.things") for name, value in THEIRS.items()]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points)
    failure = f"{path}:1: ModuleNotFoundError: No module named 'no_such_module_anywhere'"
    with pytest.raises(UsageError) as raised:
        shelf.load("theirs")
    assert str(raised.value) == f"thing 'theirs' cannot be imported: {failure}"
    with pytest.raises(UsageError, match="'gone' cannot be imported: ModuleNotFoundError: No module named 'no_package"):
        shelf.load("gone")
    assert shelf.canonical("tw") == "two-words"  # The alias is elsewhere.
    with pytest.raises(UsageError, match=r"no thing is named 'theres'.* 'theirs' cannot be imported: "):
        shelf.canonical("theres")


THEIRS = {"theirs": "their_package:Thing", "gone": "no_package_of_theirs:Thing"}


def test_the_command_line_says_what_is_wrong_with_a_file(taltool: Run, tmp_path: Path) -> None:
    path = mine(tmp_path, "1 / 0\n")
    done = taltool("convert", "--to", path, "-", stdin=b'{"video_id":"v","proposals":[]}\n')
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().startswith(f"taltool convert: error: {path}:1: ZeroDivisionError: division by zero\n")
    done = taltool("convert", "-v", "--to", path, "-", stdin=b'{"video_id":"v","proposals":[]}\n')
    assert "Traceback" in done.stderr.decode()
    assert "    1 / 0\n" in done.stderr.decode()
