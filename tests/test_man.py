"""The manual pages: current, complete, and free of errors of roff."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from project import PROJECT

from taltool.cli import commands
from taltool.data import hdf5_features, proposal_writer
from taltool.data.formats import FORMATS

PAGES = sorted((PROJECT / "man").glob("man*/*.[157]"))


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    specification = importlib.util.spec_from_file_location("generate_man", PROJECT / "man" / "generate.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_pages_are_current(generator: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert generator.main(["--check"]) == 0, capsys.readouterr().err


def test_check_fails_on_a_page_that_is_not_current(
    generator: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generator, "FOLDER", tmp_path)
    monkeypatch.setattr(generator, "pages", lambda: {"taltool.1": "all"})
    monkeypatch.setattr(generator, "guides", lambda: {"settings.md": "each", "taltool-faq.7": "answers"})
    gone = [tmp_path / "man1/taltool-gone.1", tmp_path / "man7/taltool-gone.7"]
    for page in gone:
        page.parent.mkdir()
        page.write_text("what is no more")
    assert generator.main(["--check"]) == 1
    stale = capsys.readouterr().err
    for name in ("man1/taltool-gone.1", "man7/taltool-gone.7", "man1/taltool.1", "man7/taltool-faq.7", "settings.md"):
        assert f"man/{name} is not current" in stale
    assert generator.main([]) == 0
    assert not any(page.exists() for page in gone)
    assert (tmp_path / "man7/taltool-faq.7").read_text() == "answers"
    assert generator.main(["--check"]) == 0


def test_a_new_command_changes_the_list_of_commands_and_no_other_page(
    generator: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = generator.pages()
    text = 'def zoom() -> None:\n    """Look closer."""\n\n\nEXAMPLES = "taltool predict f.h5 | taltool zoom"\n'
    (tmp_path / "zoom.py").write_text(text)
    monkeypatch.setattr(commands, "__path__", [*commands.__path__, str(tmp_path)])
    after = generator.pages()
    del sys.modules["taltool.cli.commands.zoom"], commands.zoom
    assert [name for name in after if before.get(name) != after[name]] == ["taltool.1", "taltool-zoom.1"]
    assert "\n.BR taltool\\-zoom (1)\n" in after["taltool.1"]
    assert after["taltool-zoom.1"].partition('.SH "SEE ALSO"\n')[2] == ".BR taltool (1),\n.BR taltool\\-predict (1)\n"


def test_help_is_printed_literally(generator: ModuleType) -> None:
    assert generator.escaped(".start \\n a-b\n'quoted'") == "\\&.start \\en a\\-b\n\\&'quoted'"


def test_markdown_becomes_roff(generator: ModuleType) -> None:
    page = """\
# taltool-x(7): what it shows

A `--word` of *one* line, see [taltool-nms(1)](nms.md).

## Both "kinds"

- first
- second

      code -x

| a | number |
|---|---:|
| b-c | 10 |
"""
    assert generator.to_roff(page, "1.0").splitlines() == [
        '.TH TALTOOL-X 7 "" "taltool 1.0" "taltool manual"',
        ".SH NAME",
        r"taltool\-x \- what it shows",
        ".SH DESCRIPTION",
        r"A \fB\-\-word\fR of \fIone\fR line, see \fBtaltool\-nms\fR(1).",
        r'.SH "BOTH \(dqKINDS\(dq"',
        r".IP \(bu 4",
        "first",
        r".IP \(bu 4",
        "second",
        ".PP",
        ".nf",
        ".RS 4",
        r"code \-x",
        ".RE",
        ".fi",
        ".PP",
        ".nf",
        r"\fBa    number\fR",
        r"b\-c      10",
        ".fi",
    ]


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("# no page\n\ntext\n", "expected '# taltool-NAME"),
        ("# taltool-x(7): y\n\n> quoted\n", "blockquote_open"),
        ("# taltool-x(7): y\n\n![a](b.png)\n", "image"),
        (f"# taltool-x(7): y\n\n| {'a' * 80} |\n|---|\n", "does not fit the page"),
    ],
)
def test_markdown_without_a_counterpart_is_an_error(generator: ModuleType, page: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        generator.to_roff(page, "1.0")


def test_the_comment_of_a_setting_is_its_description(generator: ModuleType) -> None:
    text = generator.settings_page()
    assert "- `sampling.train_stride` = 8: From one training window to the next.\n" in text  # Behind it.
    assert "- `training.select_tious` = [0.3, 0.4, 0.5, 0.6, 0.7]: Thresholds over which `select" in text  # Above it.
    assert "- `backbone.segments` = 1\n" in text  # Told by the class alone.
    assert "- `model.quality` = tiou (one of tiou, centerness, none): What the quality score learns (Table 2a)." in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_has_the_usual_sections(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    wanted = ["NAME", "DESCRIPTION", "SEE ALSO"] + (
        ["SYNOPSIS", "OPTIONS", "EXIT STATUS"] if page.suffix == ".1" else []
    )
    sections = [line.removeprefix(".SH").strip(' "') for line in text.splitlines() if line.startswith(".SH")]
    assert set(wanted) <= set(sections)
    assert len(sections) == len(set(sections))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_refers_only_to_pages_that_exist(page: Path) -> None:
    names = {each.name for each in PAGES}
    text = page.read_text(encoding="utf-8")
    within = re.findall(r"\\fB(taltool[\w\\-]*)\\fR\((\d)\)", text)
    assert {f"{name}.{section}".replace("\\-", "-") for name, section in within} <= names
    for line in text.splitlines():
        if line.startswith(".BR taltool"):
            name, section = line.removeprefix(".BR ").replace("\\-", "-").rstrip(".,;").split()
            assert f"{name}.{section.strip('().,;')}" in names


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_is_correct_roff(page: Path) -> None:
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True, check=False)
    complaints = [line for line in done.stdout.splitlines() if "missing date" not in line]
    assert complaints == []


def test_every_format_is_on_the_page_of_convert() -> None:
    text = (PROJECT / "man/man1/taltool-convert.1").read_text(encoding="utf-8")
    for name in [name for name in FORMATS.names() if FORMATS.load(name).__module__.startswith(FORMATS.package)]:
        assert f"\n.B {name}\n" in text
        assert FORMATS.load(name).summary.replace("-", r"\-") in text


def test_pages_of_section_5_are_of_the_version_that_is_written() -> None:
    for name, version in (("features", hdf5_features.VERSION), ("proposals", proposal_writer.VERSION)):
        text = (PROJECT / f"man/man5/taltool-{name}.5").read_text(encoding="utf-8")
        assert text.startswith(f'.TH TALTOOL\\-{name.upper()} 5 "" "format version {version}"')


def test_page_of_features_names_every_attribute(tmp_path: Path) -> None:
    import h5py
    import numpy as np

    from taltool.data.clock import FeatureClock

    with hdf5_features.FeatureWriter(str(tmp_path / "f.h5"), {"backbone": "b"}, {"rgb": (0, 1)}, []) as writer:
        writer.write(hdf5_features.VideoFeatures("v", np.zeros((1, 1)), FeatureClock(1, 1, 1, duration=1), {}))
    text = (PROJECT / "man/man5/taltool-features.5").read_text(encoding="utf-8")
    with h5py.File(tmp_path / "f.h5") as file:
        names = {*file.attrs, *file["v"].attrs, *hdf5_features.EXTRACTION_ATTRIBUTES}
    assert [name for name in sorted(names) if f"\n.B {name}\n" not in text or f"@{name} " not in text] == []
