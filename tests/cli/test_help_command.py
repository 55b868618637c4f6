"""`taltool help`: every page as text, without man(1)."""

import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from project import PROJECT

from taltool.cli.main import command_names, main
from taltool.cli.manual import overstruck, pages
from taltool.errors import DataError

PAGES = sorted(pages().values())


def shown(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["help", *words]) == 0
    return capsys.readouterr().out


def test_every_command_guide_and_format_is_listed_with_what_it_is_about(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown([], capsys)
    topics = re.findall(r"^  (\S+) +\S", text, re.MULTILINE)
    assert set(topics) >= {*command_names(), "tutorial", "models", "backbones", "faq", "proposals", "annotations"}
    assert sorted(topics) == sorted(pages())
    assert "extract      turn videos into features\n" in text


@pytest.mark.parametrize("topic", ["nms", "taltool-nms"])
def test_a_page_comes_plain_into_a_pipe(topic: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown([topic], capsys)
    assert text.startswith("NAME\n       taltool-nms - remove or down-weight duplicate detections")
    assert "\n       --sigma S\n               Width of the Gaussian" in text
    assert "\b" not in text
    assert "\x1b" not in text


def test_a_topic_that_is_none_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "tutoral"]) == 2
    said = capsys.readouterr().err
    assert "no page is named 'tutoral'; did you mean 'tutorial'?; `taltool help` lists all" in said


def test_a_terminal_gets_the_page_through_its_pager() -> None:
    ours, theirs = pty.openpty()
    settings = os.environ | {"PYTHONPATH": str(PROJECT), "TERM": "xterm", "MANPAGER": "head -n 1", "COLUMNS": "60"}
    command = [sys.executable, "-m", "taltool", "help", "nms"]
    with subprocess.Popen(command, env=settings, stdin=theirs, stdout=theirs) as process:
        assert process.wait(timeout=60) == 0
    assert os.read(ours, 1000) == b"N\bNA\bAM\bME\bE\r\n"


def test_an_installation_has_its_pages_under_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "lib/python3.11/site-packages/taltool/cli"
    (tmp_path / "share/man/man1").mkdir(parents=True)
    (tmp_path / "share/man/man1/taltool.1").write_text(".TH TALTOOL 1\n.SH NAME\ntaltool \\- installed\n")
    monkeypatch.setattr("taltool.cli.manual.__file__", str(package / "manual.py"))
    assert pages() == {"taltool": tmp_path / "share/man/man1/taltool.1"}


def test_missing_pages_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("taltool.cli.manual.__file__", str(tmp_path / "taltool/cli/manual.py"))
    assert main(["help"]) == 3
    assert "no manual pages: neither beside" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_the_words_that_mandoc_prints(page: Path) -> None:
    own = re.sub(".\b", "", overstruck(page.read_text(encoding="utf-8"), 78))
    command = ["mandoc", "-T", "utf8", "-O", "width=78", page]
    theirs = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    body = re.sub(".\b", "", theirs).splitlines()[1:-1]  # Between the head and the foot.
    assert _words(own) == _words("\n".join(body))


def _words(text: str) -> list[str]:
    """The words of a page, whether or not a line ends at a hyphen."""
    return re.sub(r"-\n\s*", "-", text.replace("‐", "-").replace("−", "-")).split()


def test_text_is_filled_to_the_width_beside_its_tag() -> None:
    roff = ".SH OPTIONS\n.TP\n.B \\-o\none two three four five six seven\n.PP\n.nf\nas  it is\n.fi\n"
    lines = re.sub(".\b", "", overstruck(roff, 35)).splitlines()
    assert lines == [
        "OPTIONS",
        "       -o      one two three four",
        "               five six seven",
        "",
        "       as  it is",
    ]


def test_a_request_that_is_not_understood_is_an_error() -> None:
    with pytest.raises(DataError, match=r"the request \.TS, which is not understood"):
        overstruck(".SH NAME\n.TS\n", 78)
