"""Writing beside and renaming, and what must never be renamed over."""

import codecs
import gzip
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from project import PROJECT

from taltool.data.file_names import create_below, file_name
from taltool.data.files import open_output, peek, read_text, replacing
from taltool.errors import DataError


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe, heard = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: heard.append(pipe.read_bytes()))
    reader.start()
    with open_output(str(pipe)) as stream:
        stream.write(b"proposals")
    reader.join(timeout=10)
    assert heard == [b"proposals"]
    assert pipe.is_fifo()


def test_the_null_device_is_not_replaced() -> None:
    with open_output(os.devnull) as stream:
        stream.write(b"proposals")
    assert Path(os.devnull).is_char_device()
    with pytest.raises(DataError, match="not a regular file"), replacing(os.devnull):
        pass
    assert Path(os.devnull).is_char_device()


def test_a_symbolic_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_bytes(b"old")
    link.symlink_to(file)
    with open_output(str(link)) as stream:
        stream.write(b"new")
    assert link.is_symlink()
    assert file.read_bytes() == b"new"


def test_a_file_keeps_its_old_content_when_writing_fails(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")

    def write_half() -> None:
        with open_output(str(file)) as stream:
            stream.write(b"half of the new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_cannot_be_written_over(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a regular file"), replacing(tmp_path):
        pass


@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_text_has_one_kind_of_line_end_and_no_byte_order_mark(ends: bytes, mark: bytes, tmp_path: Path) -> None:
    content = mark + "é".encode() + ends + b"b" + ends
    (tmp_path / "plain").write_bytes(content)
    (tmp_path / "zipped").write_bytes(gzip.compress(content))
    for name in ("plain", "zipped"):
        assert read_text(str(tmp_path / name)) == "é\nb\n"
        assert peek(str(tmp_path / name)).startswith("é".encode())


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("a\nb\n排球\n".encode("gbk"), r":3: not UTF-8 \(byte 0xc5\); convert it: iconv -f ENCODING"),
        ("a\rb\ré\r".encode("latin1"), ":3: not UTF-8"),
        ("a\r\n跳\r\n".encode("shift_jis"), ":2: not UTF-8"),
        ("\ufeffa\né".encode()[:-1], ":2: not UTF-8"),
        ("a\n".encode("utf-16"), ":1: UTF-16, .* iconv -f utf-16 -t utf-8"),
        ("ab\n".encode("utf-16-le"), ":1: a NUL byte"),
        (b"a\nb\n\0", ":3: a NUL byte"),
    ],
)
def test_text_that_is_not_utf8_is_refused_with_its_line(content: bytes, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DataError, match=f"x{complaint}"):
        read_text(str(tmp_path / "x"))


LEADING_ELSEWHERE = ["", "..", "../x", "../../x", "/x", "/etc/x", "a/../../x", "a//b", "a/", "./a", "a/.", "a\0b"]


@pytest.mark.parametrize("name", LEADING_ELSEWHERE)
def test_a_name_out_of_a_file_that_leads_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "er"
    folder.mkdir(parents=True)
    with pytest.raises(DataError, match=r"there .* cannot be the name of a file or folder; rename it"):
        create_below(folder, name, ".npy", "there")
    with pytest.raises(DataError, match="cannot be the name"):
        file_name(name, "there")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("name", ["a", "...", ".hidden", "a b", "日本", "a..b", "-", "a\\b", "con:x", "a.npy"])
def test_other_names_name_files_and_a_stroke_makes_folders(name: str, tmp_path: Path) -> None:
    assert file_name(name, "there") == name
    create_below(tmp_path, f"{name}/{name}", ".npy", "there").close()
    assert (tmp_path / name / f"{name}.npy").is_file()


@pytest.mark.parametrize(("first", "second"), [("a", "a"), ("a", "a.npy/b"), ("a.npy/b", "a")])
def test_two_names_never_land_in_one_file(first: str, second: str, tmp_path: Path) -> None:
    create_below(tmp_path, first, ".npy", "there").close()
    with pytest.raises(DataError, match=f"there '{second}': a file of that name is there already"):
        create_below(tmp_path, second, ".npy", "there")


def test_what_a_killed_process_left_is_removed_by_the_next_that_writes_there(tmp_path: Path) -> None:
    path = tmp_path / "a[b].json"
    half = (
        "import os, signal, sys; from taltool.data.files import open_output\n"
        "with open_output(sys.argv[1]) as stream:\n"
        "    stream.write(b'half'); stream.flush(); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    for _ in range(2):
        environment = os.environ | {"PYTHONPATH": str(PROJECT)}
        subprocess.run([sys.executable, "-c", half, str(path)], env=environment, check=False)
    (leftover,) = tmp_path.iterdir()  # The second removed what the first left.
    assert leftover.read_bytes() == b"half"
    other = tmp_path / re.sub(r"\.\d+@", ".1@", leftover.name)
    other.write_bytes(b"of a process that runs")
    with open_output(str(path)) as stream:
        stream.write(b"whole")
        assert not leftover.exists()
    assert path.read_bytes() == b"whole"
    assert other.exists()


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 125 + ".json")
    with open_output(str(path)) as stream:
        stream.write(b"{}")
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
