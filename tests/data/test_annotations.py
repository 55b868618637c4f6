"""Reading ground truth and splits: what is kept as it is, and what is refused with which words."""

import json
from pathlib import Path

import pytest

from taltool.data.annotations import read_ground_truth, read_split
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
        (database(duration=None), "video 'v': duration None is not a positive number"),
        (
            database(annotations=[{"segment": [2, 1], "label": "a"}]),
            r"annotation 1: segment \[2, 1\] ends before it starts",
        ),
        (database(annotations=[{"segment": [1], "label": "a"}]), r"annotation 1: segment \[1\] is not \[start, end\]"),
        (database(annotations=[{"segment": [1, 2]}]), "annotation 1 has no label"),
        ({"database": {"v": 3}}, "video 'v': expected an object, found int"),
        ({"results": {}}, r"expected a ground truth .* \(these are proposals\)"),
        ([], "expected a ground truth"),
    ],
)
def test_broken_annotation_is_named(document: object, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"gt\.json: .*{complaint}"):
        read_ground_truth(written(tmp_path, document))


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
