"""Reading ground truth and splits: what is kept as it is, and what is refused with which words."""

import json
import math
from pathlib import Path

import pytest

from taltool.data.annotations import checked_videos, read_ground_truth, read_split
from taltool.data.records import LabelVocabulary
from taltool.errors import DataError, UsageError


def written(folder: Path, document: object, name: str = "gt.json") -> str:
    (folder / name).write_text(json.dumps(document))
    return str(folder / name)


def database(**changes: object) -> dict[str, object]:
    entry = {"duration": 10.0, "subset": "validation", "annotations": [{"segment": [1, 2], "label": "Dive"}]}
    return {"database": {"v": entry | changes}}


def test_oddities_of_real_data_sets_are_kept(tmp_path: Path) -> None:
    odd = [{"segment": [12, 13], "label": "a"}, {"segment": [3, 3], "label": "b"}, {"segment": [12, 13], "label": "a"}]
    (video,) = read_ground_truth(written(tmp_path, database(annotations=odd))).videos.values()
    assert video.segments.tolist() == [[12, 13], [3, 3], [12, 13]]
    assert video.labels.tolist() == [0, 1, 0]


def test_withheld_annotations_mean_none(tmp_path: Path) -> None:
    document = {"database": {"v": {"duration": 3, "subset": "testing"}}}
    assert read_ground_truth(written(tmp_path, document)).num_instances == 0


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        (
            database(annotations=[{"segment": [2, 1], "label": "a"}]),
            r"annotation 1: segment \[2, 1\] ends before it starts",
        ),
        (database(annotations=[{"segment": [1], "label": "a"}]), r"annotation 1: segment \[1\] is not \[start, end\]"),
        (
            database(annotations=[{"segment": [1], "label": "a"}, {"segment": [2, 3, 4], "label": "a"}]),
            r"annotation 1: segment \[1\] is not \[start, end\]",
        ),
        (database(annotations=[{"segment": [1, 2]}]), "annotation 1 has no label"),
        (database(annotations=[{"segment": [1, 2], "label": 3}]), "annotation 1: label 3 is not a name"),
        (database(annotations=["dive"]), "annotation 1 has no label"),
        (database(annotations=[{"label": "a"}]), "annotation 1: segment None is not"),
        (database(annotations=[{"segment": [False, 2], "label": "a"}]), r"segment \[False, 2\] is not \[start, end\]"),
        (
            database(annotations=[{"segment": [1, "x"], "label": "a"}]),
            r"segment \[1(\.0)?, 'x'\] is not \[start, end\]",
        ),
        (database(annotations=[{"segment": "12", "label": "a"}]), "segment '12' is not"),
        (database(annotations={"label": 3}), "expected a list of annotations, found dict"),
        (database(duration=True), "duration True is not"),
        (database(duration=0), "duration 0 is not"),
        (database(duration=-1.5), r"duration -1\.5 is not"),
        (database(subset=1), "subset 1 is not a name"),
        ({"database": {"v": 3}}, "video 'v': expected an object, found int"),
        ({"database": {"v": None}}, "video 'v': expected an object, found NoneType"),
        ({"results": {}}, r"expected a ground truth .* \(these are proposals\)"),
        ([], "expected a JSON object, found list"),
    ],
)
def test_broken_annotation_is_named(document: object, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"gt\.json: .*{complaint}"):
        read_ground_truth(written(tmp_path, document))


def test_the_first_of_several_broken_annotations_is_named(tmp_path: Path) -> None:
    fine = {"segment": [1, 2], "label": "a"}
    document = {
        "database": {
            "fine": {"duration": 3, "annotations": [fine]},
            "first": {"duration": 3, "annotations": [fine, fine, {"segment": [2, 1], "label": "a"}]},
            "second": {"duration": -3, "annotations": [{}]},
        }
    }
    with pytest.raises(DataError, match=r"video 'first': annotation 3: segment \[2, 1\] ends before it starts"):
        read_ground_truth(written(tmp_path, document))


def test_what_json_cannot_hold_is_refused_too() -> None:
    entries = database(annotations=[{"segment": (1, 2), "label": "a"}])["database"]
    with pytest.raises(DataError, match=r"segment \(1, 2\) is not \[start, end\]"):
        checked_videos(entries, LabelVocabulary(), "gt.json")
    for broken in (math.inf, math.nan):
        with pytest.raises(DataError, match="is not a positive number"):
            checked_videos(database(duration=broken)["database"], LabelVocabulary(), "gt.json")
        entries = database(annotations=[{"segment": [0, broken], "label": "a"}])["database"]
        with pytest.raises(DataError, match=r"is not \[start, end\]"):
            checked_videos(entries, LabelVocabulary(), "gt.json")


def test_each_video_has_its_own_annotations(tmp_path: Path) -> None:
    document = {
        "database": {
            "a": {"duration": 9, "annotations": [{"segment": [0, 1], "label": "x"}, {"segment": [1, 2], "label": "y"}]},
            "none": {"duration": 9, "annotations": []},
            "b": {"duration": 9, "annotations": [{"segment": [3, 4], "label": "y", "agreement": 0.5}]},
        }
    }
    truth = read_ground_truth(written(tmp_path, document))
    assert [video.segments.tolist() for video in truth.videos.values()] == [[[0, 1], [1, 2]], [], [[3, 4]]]
    assert truth.videos["none"].segments.shape == (0, 2)
    assert [video.labels.tolist() for video in truth.videos.values()] == [[0, 1], [], [1]]
    assert truth.names.names == ["x", "y"]
    found = {
        key: {name: v.tolist() for name, v in video.annotator_attributes.items()} for key, video in truth.videos.items()
    }
    assert found == {"a": {}, "none": {}, "b": {"agreement": [0.5]}}


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('{"database": {"v": {"duration": 3}, "v": {"duration": 3}}}', "v"),
        (
            '{"database": {"v": {"duration": 3, "annotations": [{"segment": [0, 1], "segment": [1, 2]}]}}}',
            "segment",
        ),
    ],
)
def test_a_key_twice_is_refused(text: str, key: str, tmp_path: Path) -> None:
    (tmp_path / "gt.json").write_text(text)
    with pytest.raises(DataError, match=rf"gt\.json: '{key}' is there twice in one object"):
        read_ground_truth(str(tmp_path / "gt.json"))


def test_split_names_the_subset_of_each_video(tmp_path: Path) -> None:
    written(tmp_path, {"one": {"training": ["a", "b"], "validation": ["c"]}}, "s.json")
    assert read_split(f"{tmp_path}/s.json:one") == {"a": "training", "b": "training", "c": "validation"}


def test_unknown_split_lists_those_that_are_there(tmp_path: Path) -> None:
    written(tmp_path, {"one": {}, "two": {}}, "s.json")
    with pytest.raises(DataError, match=r"no split 'three' \(there are: one, two\)"):
        read_split(f"{tmp_path}/s.json:three")


def test_split_with_a_video_twice_or_unknown_is_refused(tmp_path: Path) -> None:
    written(tmp_path, {"one": {"training": ["v", "v"]}, "two": {"training": ["w"]}}, "s.json")
    truth = read_ground_truth(written(tmp_path, database()))
    with pytest.raises(DataError, match="video 'v' is listed twice"):
        read_split(f"{tmp_path}/s.json:one", truth)
    with pytest.raises(DataError, match="video 'w' is not in"):
        read_split(f"{tmp_path}/s.json:two", truth)


def test_split_without_a_name_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="expected FILE:NAME"):
        read_split("splits.json")


def test_the_counts_of_the_public_ground_truths(shared: Path) -> None:
    # The numbers that the data sets' papers state.
    thumos = read_ground_truth(str(shared / "data/thumos14_gt.json"))
    counts = {name: (len(part.videos), part.num_instances) for name in thumos.subsets for part in [thumos.subset(name)]}
    assert counts == {"testing": (213, 3358), "validation": (200, 3007)}
    assert len(thumos.names) == 20


def test_proposals_in_its_place_are_called_so(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text('{"taltool": {"kind": "proposals", "version": 1}}\n{"end": {"videos": 0}}\n')
    with pytest.raises(
        DataError, match=r"d\.jsonl: expected a ground truth, found a stream of proposals; are two files"
    ):
        read_ground_truth(str(tmp_path / "d.jsonl"))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b'{"taltool":{"kind":"proposals","version":1}}\n{"end":{"videos":0}}\n', "a stream of proposals"),
        (b"\x89HDF\r\n\x1a\n\x00\x00", "an HDF5 file"),
    ],
)
def test_files_in_the_wrong_order_are_recognised(content: bytes, found: str, tmp_path: Path) -> None:
    path = tmp_path / "features.h5"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_ground_truth(str(path))
    assert str(caught.value) == f"{path}: expected a ground truth, found {found}; are two files exchanged?"
