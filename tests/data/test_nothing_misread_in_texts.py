"""Files that were taken for others, or of which a part was passed over without a word."""

import gzip
import json
import os
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest
from project import Run

from taltool.data.annotations import read_ground_truth, read_split
from taltool.data.convert import convert
from taltool.data.files import peek, read_bytes
from taltool.data.formats.sniffing import sniff
from taltool.data.near_ids import renaming
from taltool.errors import DataError, UsageError

TRUTH = '{"database": {"v": {"duration": 9, "annotations": [{"segment": [1, 2], "label": "a"}]}}}'


def written(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rows(folder: Path, source: Path, **options: Any) -> tuple[list[str], tuple[str, ...]]:
    """The rows of the table that comes of a file, and what was left out."""
    done = convert(source, output=folder / "out.csv", **options)
    return (folder / "out.csv").read_text().splitlines()[1:], done.left_out


def test_a_row_without_times_is_no_segment(tmp_path: Path) -> None:
    table = written(tmp_path / "t.csv", "video,start,end,label\nv,1,2,a\nw,,,a\n")
    with pytest.raises(DataError, match=r"t\.csv:3: neither start nor end; --drop-invalid leaves"):
        rows(tmp_path, table)
    assert rows(tmp_path, table, drop_invalid=True) == (["v,1.0,2.0,a"], ("1 rows without times",))
    half = written(tmp_path / "t.csv", "video,start,end,label\nw,1,,a\n")
    with pytest.raises(DataError, match="are not start and end in seconds"):
        rows(tmp_path, half, drop_invalid=True)


def test_a_subset_is_of_all_rows_of_a_video(tmp_path: Path) -> None:
    table = "video,start,end,label,subset\nv,1,2,a,val\nv,3,4,a,{}\nw,1,2,a,\n"
    with pytest.raises(DataError, match="video 'v' is in the subset 'val' in some of its rows, in none in others"):
        rows(tmp_path, written(tmp_path / "t.csv", table.format("")))
    assert rows(tmp_path, written(tmp_path / "t.csv", table.format("val")))[0] == [
        "v,1.0,2.0,a,val",
        "v,3.0,4.0,a,val",
        "w,1.0,2.0,a,",
    ]


@pytest.mark.parametrize("length", [3, 5, 12, -20])
def test_a_broken_gzip_file_is_not_empty(length: int, tmp_path: Path) -> None:
    whole = gzip.compress(b"video,start,end,label\n" + b"".join(b"v%d,1,2,a\n" % n for n in range(5000)))
    broken = written(tmp_path / "t.csv.gz", whole[:length])
    with pytest.raises(DataError, match="the gzip file is broken or cut short"):
        rows(tmp_path, broken)
    # Nothing in it is something else.
    with pytest.raises(DataError, match="empty"):
        sniff(str(written(tmp_path / "e.csv.gz", gzip.compress(b""))))


def test_an_empty_name_is_no_folder() -> None:
    for read in (sniff, read_bytes, peek, read_ground_truth):
        with pytest.raises(UsageError, match="the name of a file is empty"):
            read("")


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("video_test_0000004 1.0 2.0 7 0.5", "thumos14-detections"),
        ("video_test_0000004 1 2 7 1", "thumos14-detections"),
        ("video_test_0000004 1 2 7 -12.5", "thumos14-detections"),
        # XD-Violence, annotations.txt: a video, and pairs of frames.
        ("A.Beautiful.Mind.2001__#00-01-45_00-02-50_label_A 89 93 120 130", ""),
        ("v 1 2 7 8", ""),
    ],
)
def test_lines_of_frames_are_no_detections(line: str, name: str, tmp_path: Path) -> None:
    path = written(tmp_path / "x.txt", f"{line}\n")
    if name:
        assert sniff(str(path)) == name
    else:
        with pytest.raises(DataError, match="looks like no known format: text that begins with"):
            sniff(str(path))


def test_a_readme_beside_the_classes_of_thumos_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "annotation"
    written(folder / "Run_val.txt", "video_validation_1 1 2\n")
    written(folder / "README_val.txt", "The temporal annotations\n")
    assert rows(tmp_path, folder) == (
        ["video_validation_1,1.0,2.0,Run,validation"],
        ("1 text files that are no class: README_val.txt",),
    )
    written(folder / "Notes_val.txt", "video_validation_1 3 4\n")
    written(folder / "Jump_val.txt", "broken\n")
    with pytest.raises(DataError, match=r"Jump_val\.txt:1: expected 'video start end', found 'broken'"):
        rows(tmp_path, folder)
    (folder / "Jump_val.txt").unlink()
    assert [row.split(",")[3] for row in rows(tmp_path, folder)[0]] == ["Notes", "Run"]


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_is_called_one_wherever_it_is_given(protocol: int, tmp_path: Path) -> None:
    path = str(written(tmp_path / "results.pkl", pickle.dumps({"results": {}}, protocol)))
    for read in (read_ground_truth, read_bytes):
        with pytest.raises(DataError, match=r"a pickle, which is not opened, .* json\.dump\(pickle\.load\(open\("):
            read(path)


def test_nms_calls_a_pickle_one_and_a_schema_wants_no_files(taltool: Run, tmp_path: Path) -> None:
    path = written(tmp_path / "results.pkl", pickle.dumps({"results": {}}))
    assert b"a pickle, which is not opened" in taltool("nms", path).stderr
    found = taltool("check", "--schema", "splits", path)
    assert (found.returncode, found.stdout) == (2, b"")
    assert b"--schema splits: prints one schema, and checks nothing; leave" in found.stderr


def pipe_of(content: str) -> str:
    """The name of a pipe out of which the content comes once, as a shell's `<(COMMAND)` is."""
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "w") as stream:
            stream.write(content)

    threading.Thread(target=write).start()
    return f"/dev/fd/{reading}"


def test_a_pipe_of_a_shell_is_read_as_a_file_is(tmp_path: Path) -> None:
    done = convert(pipe_of(TRUTH), output=tmp_path / "gt.csv")
    assert (done.kind, (tmp_path / "gt.csv").read_text()) == ("annotations", "video_id,start,end,label\nv,1.0,2.0,a\n")
    assert list(read_ground_truth(pipe_of(TRUTH.replace('"v"', '"w"'))).videos) == ["w"]
    splits = json.dumps({"one": {"training": ["v"], "validation": []}})
    assert read_split(f"{pipe_of(splits)}:one") == {"v": "training"}
    table = pipe_of("video_id,fold\nv,a\n")
    assert read_split(f"{table}:fold") == {"v": "a"}


def test_videos_whose_names_are_numbers_come_back_from_class_files(tmp_path: Path) -> None:
    (tmp_path / "gt.json").write_text(TRUTH.replace('"v"', '"7"'))
    convert(tmp_path / "gt.json", output=tmp_path / "classes", target="thumos14")
    done = convert(tmp_path / "classes", output=tmp_path / "back.csv", source="thumos14")
    assert (done.kind, (tmp_path / "back.csv").read_text().splitlines()[1]) == ("annotations", "7,1.0,2.0,a")


def test_an_empty_id_is_near_to_none() -> None:
    assert renaming([""], ["v_a", "b"]) == "" == renaming(["a"], [""])
    assert renaming([""], ["v_"]).endswith("('' is 'v_'): write the ids alike in both files")
