"""Writing beside and renaming, and what must never be renamed over."""

import os
import threading
from pathlib import Path

import pytest

from taltool.data.files import open_output, replacing
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
