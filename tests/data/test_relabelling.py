"""Two data sets made to speak of the same classes."""

import json
from pathlib import Path

import numpy as np
import pytest
from project import Run

from taltool.data.contents import relabelled
from taltool.data.formats.contract import Annotations, Proposals
from taltool.data.records import LabelVocabulary, VideoProposals
from taltool.data.sidecars import read_relabelling
from taltool.errors import DataError

SHARED = "label,new_label\nLongJump,long jump\nLong jump,long jump\nDiving,diving\nCliffDiving,diving\n"
NAMES = {"LongJump": "long jump", "Long jump": "long jump", "Diving": "diving", "CliffDiving": "diving"}


def written(folder: Path, text: str) -> Path:
    (folder / "shared.csv").write_text(text)
    return folder / "shared.csv"


def annotation(label: str, start: float, **more: object) -> dict[str, object]:
    return {"label": label, "segment": [start, start + 1.0], **more}


def document() -> dict[str, object]:
    database = {
        "both": {"duration": 9.0, "annotations": [annotation("LongJump", 1, label_id=4), annotation("Billiards", 3)]},
        "other": {"duration": 9.0, "annotations": [annotation("Billiards", 3)]},
        "empty": {"duration": 9.0, "subset": "testing", "annotations": []},
    }
    return {"version": "1", "taxonomy": ["of the old names"], "database": database}


def test_a_table_names_what_stays_and_becomes(tmp_path: Path) -> None:
    assert read_relabelling(str(written(tmp_path, SHARED))) == NAMES


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("label,new_label\nDiving,a\nDiving,b\n", r"shared.csv:3: label 'Diving' becomes 'b' here and 'a' above"),
        ("label,new_label\n", "names no label"),
        ("label\nDiving\n", "no column 'new_label'"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_relabelling(str(written(tmp_path, text)))


def test_other_labels_go_and_with_them_videos_that_have_no_others() -> None:
    content = relabelled(Annotations(document()["database"].items(), document()), NAMES)
    assert isinstance(content, Annotations)
    assert dict(content.entries) == {
        "both": {"duration": 9.0, "annotations": [annotation("long jump", 1)]},
        "empty": {"duration": 9.0, "subset": "testing", "annotations": []},
    }
    assert "taxonomy" not in content.head
    assert content.notes == ["2 annotations of other labels, and 1 videos that had no others"]


def detections(names: list[str]) -> VideoProposals:
    known = LabelVocabulary(["Billiards", "Diving", "CliffDiving"])
    segments = np.array([[n, n + 1.0] for n in range(len(names))])
    return VideoProposals("v", segments, np.linspace(0.9, 0.5, len(names)), known.numbered(names), known)


def test_detections_of_several_labels_may_become_one_class() -> None:
    content = relabelled(
        Proposals([detections(["CliffDiving", "Billiards", "Diving"])], LabelVocabulary(["Billiards", "Diving"])), NAMES
    )
    assert isinstance(content, Proposals)
    assert content.names.names == ["diving"]
    (video,) = content.videos
    assert [video.names.names[label] for label in video.labels] == ["diving", "diving"]  # type: ignore[union-attr]
    assert video.segments.tolist() == [[0, 1], [2, 3]]
    assert content.notes == ["1 detections of other labels"]


def test_convert_tells_what_it_left_out(taltool: Run, tmp_path: Path) -> None:
    (tmp_path / "gt.json").write_text(json.dumps(document()))
    words = ("--relabel", written(tmp_path, SHARED), "-o", tmp_path / "shared.json")
    done = taltool("convert", tmp_path / "gt.json", *words)
    assert done.returncode == 0
    assert b"left out 2 annotations of other labels, and 1 videos that had no others" in done.stderr
    assert set(json.loads((tmp_path / "shared.json").read_text())["database"]) == {"both", "empty"}
