"""Names that a file system, a format or a header cannot hold are spelled out or refused, never a traceback."""

import os
from pathlib import Path

import numpy as np
import orjson
import pytest
from project import Run

from taltool.data.convert import convert
from taltool.data.proposals import ProposalReader
from taltool.errors import DataError
from taltool.inspection.check import check

ROW = '{"video_id": "v", "segments": [[1, 2]], "scores": [1], "labels": ["%s"]}\n'


def test_file_whose_name_is_not_utf8_is_read_and_named_in_the_chain(taltool: Run, tmp_path: Path) -> None:
    source = os.fsencode(tmp_path) + b"/caf\xe9.csv"
    Path(os.fsdecode(source)).write_text("video_id,start,end,score\nv,1,2,1\n")
    result = taltool("convert", os.fsdecode(source))
    assert result.returncode == 0, result.stderr
    (step,) = orjson.loads(result.stdout.splitlines()[0])["taltool"]["provenance"]
    assert step["inputs"][0]["name"] == "caf\\xe9.csv"


@pytest.mark.parametrize("ending", [b"_val.txt", b".npy"])
def test_file_name_that_names_a_class_or_a_video_must_be_utf8(ending: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9" + ending)).open("wb") as stream:
        if ending == b".npy":
            np.save(stream, np.ones((2, 2), np.float32))
        else:
            stream.write(b"v 1 2\n")
    target = tmp_path / ("out.h5" if ending == b".npy" else "out.csv")
    with pytest.raises(DataError, match=r"caf\\xe9.* is not UTF-8"):
        convert(str(folder), output=str(target), fps=25, stride=8, window=16)
    assert not target.exists()


def test_name_longer_than_a_field_of_csv_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(ROW % ("x" * 131_073))
    with pytest.raises(DataError, match="at most 131072 characters"):
        convert(str(tmp_path / "a"), output=str(tmp_path / "b.csv"))
    assert not (tmp_path / "b.csv").exists()


def test_annotation_without_a_label_is_refused_in_a_table(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("video_id,start,end,label\nv,1,2,x\nv,1,2,\n")
    with pytest.raises(DataError, match="a:3: no label"):
        convert(str(tmp_path / "a"), output=str(tmp_path / "b.json"), durations={"v": 3})
    assert not (tmp_path / "b.json").exists()


def test_table_of_annotations_is_whole_though_it_holds_no_durations(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("video_id,start,end,label\nv,1,2,x\nw,0,9,y\n")
    found = check(str(tmp_path / "a"))
    assert (found.is_whole, found.summary) == (True, "annotations, 2 videos, 2 instances, 2 classes")
    assert found.oddities == (
        "2 videos without a duration: give --durations where they are used (first: video 'v', video 'w')",
    )


@pytest.mark.parametrize("facts", ['"version": true', '"version": 2, "videos": true', '"version": 2, "videos": -1'])
def test_header_counts_in_whole_numbers(facts: str, tmp_path: Path) -> None:
    header = '{"taltool": {"kind": "proposals", ' + facts + "}}\n"
    (tmp_path / "a").write_text(header + '{"end": {"videos": 0}}\n')
    with pytest.raises(DataError, match="a:1: "), ProposalReader(str(tmp_path / "a")) as reader:
        list(reader)


def test_end_line_counts_in_whole_numbers(tmp_path: Path) -> None:
    (tmp_path / "a").write_text('{"taltool": {"kind": "proposals", "version": 2}}\n{"end": {"videos": false}}\n')
    with pytest.raises(DataError, match="end line says False"), ProposalReader(str(tmp_path / "a")) as reader:
        list(reader)


def test_key_twice_is_seen_beside_another_list_of_proposals(tmp_path: Path) -> None:
    line = '{"video_id": "v", "segments": [[1, 2]], "scores": [1], "scores": [2], "proposals": ["a long text"]}\n'
    (tmp_path / "a").write_text(line)
    with pytest.raises(DataError, match="'scores' is there twice"), ProposalReader(str(tmp_path / "a")) as reader:
        list(reader)
