"""A file that no format knows is called what it is, with what it lacks, and no advice that cannot help."""

import io
import pickle
import sqlite3
import zipfile
from pathlib import Path

import numpy as np
import pytest
from project import Run

from taltool.data.formats.sniffing import sniff
from taltool.errors import DataError


def archive(*names: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        for name in names:
            file.writestr(name, "x")
    return made.getvalue()


def arrays() -> bytes:
    made = io.BytesIO()
    np.savez(made, x=np.ones(3))
    return made.getvalue()


def array() -> bytes:
    made = io.BytesIO()
    np.save(made, np.ones(3))
    return made.getvalue()


FILES: dict[str, tuple[bytes | str, str]] = {
    "pickle": (pickle.dumps({"a": 1}), "a pickle; which is not opened"),
    "old pickle": (pickle.dumps({"a": 1}, 2), "a pickle; which is not opened"),
    "npz": (arrays(), "an npz archive; features are read as .*hdf5"),
    "npy": (array(), "a single array of NumPy; name the folder that it is in; features are read as .*hdf5"),
    "VIA 2": ('{"_via_settings": {"ui": {}}, "_via_img_metadata": {}}', "Annotator 2; which has regions of pictures"),
    "xlsx": (archive("[Content_Types].xml", "xl/workbook.xml"), "an Office document, as of Excel; save .* as CSV"),
    "zip": (archive("gt.json"), "a ZIP archive; unpack it"),
    "PDF": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "a PDF document"),
    "web page": ("\n<!doctype html>\n<html>", "a web page; was the page of a download saved"),
    "LFS": ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS, .*: git lfs pull"),
    "MATLAB": (b"MATLAB 5.0 MAT-file, Platform: GLNXA64\r\n", "a MATLAB file"),
    "noise": (bytes(range(1, 200)), "bytes that are no text"),
    "list of objects": ('[{"video": "a", "t": {}}, {"y": 2}]', "a JSON list of objects with the keys 'video', 't';"),
    "object": ('{"foo": {"database2": 1}, "b\\"r": [{"x": 1}]}', r"a JSON object with the keys 'foo', 'b.*r';"),
    "list of numbers": ("[1, 2]", "a JSON list of numbers or texts;"),
    "empty object": ("{}", "a JSON object with nothing in it;"),
    "broken JSON": ('{"a', "text that begins like JSON, and is none or not whole"),
    "XML": ("<?xml version='1.0'?><a/>", "XML that begins with"),
    "lines": ("v1 1.0 2.0\n", "text that begins with 'v1 1.0 2.0'; the first line of a table names its columns"),
    "no header": ("v1,1.0,2.0,run\n", "--no-header --columns video=1,start=2,end=3,label=4$"),
    "a duration too": ("v1,1,2,9,run,0.5\n", r"video=1,start=2,end=3,label=5,score=6 \(what 4 is, is not read: a dur"),
    "times in two ways": (
        "act\t\t00:00:01.000\t1.0\t00:00:01.500\t1.5\t00:00:00.500\t0.5\tDive\n",
        r"video=1,start=3,end=5,label=9 \(what 7 is, is not read",
    ),
    "Excel's own line": ("sep=;\r\nvideo;start;end;label\r\n", "line 2 names columns: remove what stands above"),
    "a title": ("Our labels,,,\n,,,\nvideo,start,end,label\n", "line 3 names columns: remove what stands above it"),
    "bars": ("video|start|end|label\nv1|1|2|A\n", "parted by commas, semicolons or tabs: video_id"),
    "SubStation": ("\ufeff[Script Info]\nTitle: x\n", "SubStation Alpha; write them as SRT"),
    "one task": (
        '{"id": 1, "data": {"video": "v.mp4"}, "annotations": [{"result": [{"from_name": "l"}]}]}',
        "a single task of Label Studio; make a list of it, .* jq -s",
    ),
    "lengths": ("v1,9,5,run\n", "--no-header --columns video=1,start=2,length=3,label=4$"),
    "numbered videos": ("7,0:01,0:09,run\n", "--no-header --columns video=1,start=2,end=3,label=4$"),
    "milliseconds": ("id,start_ms,End (ms)\n", "--columns 'start=start_ms,end=End .ms.' --times frames --fps 1000$"),
    "length": ("video,start,duration\n", "if 'duration' is that of the segment: taltool convert --columns length=dur"),
    "other names": ("clip,start,to,what\nv,1,2,a\n", "none is the video or the end .*--columns video=NAME,end=NAME$"),
    "two columns": ("a;b\n1;2\n", "a table with the columns 'a', 'b', of which none is .* a column for each"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_no_format_is_called_what_it_is(name: str, tmp_path: Path) -> None:
    content, said = FILES[name]
    (tmp_path / "x").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=said) as told:
        sniff(str(tmp_path / "x"))
    assert str(told.value).startswith(f"{tmp_path}/x: looks like no known format: ")
    assert "--from" not in str(told.value)


def test_databases_and_folders_are_told_too(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db") as base:
        base.execute("create table a (b)")
    with pytest.raises(DataError, match="an SQLite database; write its table as CSV"):
        sniff(str(tmp_path / "x.db"))
    (tmp_path / "mixed" / "sub").mkdir(parents=True)
    for name in ("a.pkl", "b.pkl", "sub/c.md"):
        (tmp_path / "mixed" / name).touch()
    with pytest.raises(DataError, match=r"a folder of 2 \.pkl, 1 \.md; of folders are read: .*thumos14"):
        sniff(str(tmp_path / "mixed"))
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="a folder of no file;"):
        sniff(str(tmp_path / "none"))
    (tmp_path / "empty").touch()
    with pytest.raises(DataError, match="empty: empty"):
        sniff(str(tmp_path / "empty"))


@pytest.mark.parametrize("name", FILES)
def test_no_beginning_of_one_raises_anything_else(name: str, tmp_path: Path) -> None:
    """A file that was cut short anywhere, or of which a byte is wrong, is refused in words."""
    content, _ = FILES[name]
    whole = content if isinstance(content, bytes) else content.encode()
    for size in {*range(1, min(len(whole), 24)), len(whole) // 2 + 1}:
        for text in (whole[:size], whole[:size] + b"\0", b'"' + whole[:size]):
            (tmp_path / "x").write_bytes(text)
            with pytest.raises(DataError, match=r"/x: "):
                sniff(str(tmp_path / "x"))


def test_reported_tables_are_told_what_they_lack(shared: Path, taltool: Run) -> None:
    (case,) = (shared / "cases").glob("16-*")
    refused = taltool("convert", "bmn-result.csv", "-o", "o.json", cwd=case)
    assert refused.returncode == 3
    assert (
        b"times are shares of the video, and the duration of 'bmn-result' is not known: give --durations"
        in refused.stderr
    )
    assert b"--from" not in refused.stderr
