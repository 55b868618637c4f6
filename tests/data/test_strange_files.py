"""No file whatever stops a command with a traceback, and no text is read as something that it does not say."""

import contextlib
import gzip
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from taltool.data.class_lists import read_classes
from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Annotations, FormatOptions, Opening
from taltool.data.formats.sniffing import format_named, open_content, sniff
from taltool.data.sidecars import read_durations, read_relabelling
from taltool.errors import DataError
from taltool.inspection.info import kind_of


def odd_beginnings() -> Iterator[bytes]:
    """Beginnings of files that no format, or a broken one, has: noise, mutations, pieces, NULs, long lines, lone CR."""
    random = np.random.default_rng(20)
    headers = (
        b"video_id,start,end,label\nv,1,2,a\n",
        b'{"taltool": {"version": 1}}\n{"video_id": "v", "proposals": []}\n',
        b'{"version": "1", "database": {"v": [{"segment": [1, 2]}]}}',
        b'{"epoch": 1, "lr": 0.1}\n',
        b"\x89HDF\r\n\x1a\n" + bytes(40),
        b"\x02\x00\x00\x00\x00\x00\x00\x00{}",
        b"MATLAB 5.0 MAT-file\rvideo_id,start,end",
        gzip.compress(b"video_id,start,end\n"),
        "video_id,start,end\n".encode("utf-16"),
    )
    yield from (b"\r", b"a\rb\n", b'"', b'"a\r\n', b"\0", b"a,\0,b\n", b"\xef\xbb\xbf", b'{"database": {"\\')
    yield from (b"," * 300_000, b"x" * 300_000 + b"\r", b'"' + b"x" * 200_000 + b'",b')
    yield from (b"[" * 5000, b'{"a":' * 5000, b"1" * 5000)
    for header in headers:
        yield from (header[:length] for length in range(len(header)))
        yield header.replace(b"\n", b"\r")
        for _ in range(60):
            mutated = bytearray(header)
            for place in random.integers(len(header), size=3):
                mutated[place] = random.choice((0, 10, 13, 34, 44, 92, 123, int(random.integers(256))))
            yield bytes(mutated)
    yield from (random.bytes(int(length)) for length in random.integers(1, 3000, size=300))


def test_recognisers_raise_for_no_file() -> None:
    formats = [format_named(name) for name in FORMATS.names()]
    for head in islice(odd_beginnings(), None, None, 3):
        for each in formats:
            assert each.recognises(Opening("x", head)) in (True, False)


def test_the_kind_of_any_file_is_told_or_refused_in_words(tmp_path: Path) -> None:
    place = tmp_path / "x"
    for head in islice(odd_beginnings(), None, None, 40):  # Each is opened as every format that it might be.
        place.write_bytes(head)
        with contextlib.suppress(DataError):
            assert kind_of(str(place)) in ("checkpoint", "metrics", "content")
        with contextlib.suppress(DataError):
            assert sniff(str(place)) in FORMATS.names()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_csv_is_read_with_the_line_ends_of_every_system(end: str, tmp_path: Path) -> None:
    lines = ["", '"video_id",start,end,label', "v,1,2,a", "", 'w,3,4,"b, c"', ""]
    (tmp_path / "x.csv").write_bytes(end.join(lines).encode())
    with open_content(str(tmp_path / "x.csv")) as content:
        assert isinstance(content, Annotations)
        assert {key: entry["annotations"] for key, entry in content.entries} == {
            "v": [{"segment": [1, 2], "label": "a"}],
            "w": [{"segment": [3, 4], "label": "b, c"}],
        }


@pytest.mark.parametrize("name", ["csv", "thumos14"])
def test_text_in_another_encoding_is_refused_and_no_names_become_one(name: str, tmp_path: Path) -> None:
    if name == "csv":
        place = tmp_path / "x.csv"
        place.write_bytes("video_id,start,end,label\nv,1,2,足球\nv,3,4,排球\n".encode("gbk"))
    else:
        (tmp_path / "Dive_val.txt").write_bytes("a 1 2\nvidéo 1 2\nvidèo 1 2\n".encode("latin1"))
        place = tmp_path
    with pytest.raises(DataError, match=r":2: not UTF-8 .* iconv"), open_content(str(place)):
        pass


def test_utf16_is_called_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes("video_id,start,end,label\nv,1,2,a\n".encode("utf-16"))
    with pytest.raises(DataError, match=r"x\.csv: UTF-16, .* iconv -f utf-16"), open_content(str(tmp_path / "x.csv")):
        pass


def test_csv_is_not_written_with_a_name_that_it_could_not_be_read_with(tmp_path: Path) -> None:
    annotations = [{"segment": [1.0, 2.0], "label": "two\nlines"}]
    content = Annotations([("v", {"duration": 9.5, "annotations": annotations})])
    with pytest.raises(DataError, match=r"x\.csv: the name 'two\\nlines' does not fit"):
        format_named("csv").write(content, str(tmp_path / "x.csv"), FormatOptions())
    assert not (tmp_path / "x.csv").exists()


STRANGE_SIDECARS = {
    "Latin-1": "Élan\nPlongée\n".encode("latin1"),
    "Shift-JIS": "video_id,duration\n跳,5\n".encode("shift_jis"),
    "UTF-16": "video_id,duration\nv,5\n".encode("utf-16"),
    "video": b"\0\0\0\x18ftypmp42\r duration \n\xff\xfe",
}


@pytest.mark.parametrize("name", STRANGE_SIDECARS)
@pytest.mark.parametrize("read", [read_durations, read_classes, read_relabelling])
def test_sidecar_files_that_are_not_utf8_are_refused(read: Any, name: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(STRANGE_SIDECARS[name])
    with pytest.raises(DataError, match=r"x(:\d+)?: "):
        read(str(tmp_path / "x"))


def test_sidecar_files_are_read_with_lone_carriage_returns_and_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_bytes(b"\xef\xbb\xbfvideo_id,duration\rv,5\rw,6\r")
    (tmp_path / "c.txt").write_bytes(b"\xef\xbb\xbfDive\rJump\r")
    assert read_durations(str(tmp_path / "d.csv")) == {"v": 5, "w": 6}
    assert read_classes(str(tmp_path / "c.txt")) == {"Dive": 0, "Jump": 1}
