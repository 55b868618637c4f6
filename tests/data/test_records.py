"""LabelVocabulary, the total order of proposals, and subsets of ground truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taltool.data.records import GroundTruth, LabelVocabulary, VideoAnnotations, VideoProposals
from taltool.errors import DataError

NAMES = st.lists(st.text(max_size=4), min_size=1, max_size=12)
ROWS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 1.0, 2.0]),
        st.sampled_from([2.0, 3.0]),
        st.sampled_from([0.1, 0.5]),
        st.text("bac", min_size=1, max_size=2),
    ),
    max_size=12,
)


def proposals(rows: list[tuple[float, float, float, str]], names: LabelVocabulary | None = None) -> VideoProposals:
    names = names if names is not None else LabelVocabulary()
    labels = names.numbered([row[3] for row in rows])
    segments = np.array([row[:2] for row in rows], np.float64).reshape(-1, 2)
    return VideoProposals("v", segments, np.array([row[2] for row in rows], np.float64), labels, names)


def rows_of(video: VideoProposals) -> list[tuple[float, float, float, str]]:
    assert video.labels is not None
    names = video.names.names
    return [
        (*segment, score, names[label])
        for segment, score, label in zip(
            video.segments.tolist(), video.scores.tolist(), video.labels.tolist(), strict=True
        )
    ]


@given(NAMES)
def test_labels_are_numbered_by_first_appearance(names: list[str]) -> None:
    labels = LabelVocabulary(names)
    assert labels.names == sorted(set(names), key=names.index)
    assert [labels.names[number] for number in labels.numbered(names)] == names


@given(NAMES)
def test_alphabetical_ranks_sort_the_names(names: list[str]) -> None:
    labels = LabelVocabulary(names)
    ranks = labels.alphabetical_ranks()
    assert [name for _, name in sorted(zip(ranks, labels.names, strict=True))] == sorted(set(names))


def test_labels_grow_with_new_names() -> None:
    labels = LabelVocabulary(["a"])
    assert labels.numbered(["b", "a", "c"]).tolist() == [1, 0, 2]
    assert "c" in labels


@given(ROWS)
def test_ranked_is_the_total_order_of_plain_sorting(rows: list[tuple[float, float, float, str]]) -> None:
    wanted = sorted(rows, key=lambda row: (-row[2], row[0], row[1], row[3]))
    assert rows_of(proposals(rows).ranked()) == wanted


@given(ROWS, st.randoms(use_true_random=False))
def test_order_of_arrival_does_not_matter(rows: list[tuple[float, float, float, str]], random: object) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    # The names arrive in another order too; labels compare by name, not by number.
    assert rows_of(proposals(shuffled).ranked()) == rows_of(proposals(rows, LabelVocabulary(["c", "b"])).ranked())


def test_take_keeps_segments_scores_and_labels_together() -> None:
    video = proposals([(0, 1, 0.1, "a"), (1, 2, 0.2, "b"), (2, 3, 0.3, "c")])
    assert rows_of(video.take(np.array([2, 0]))) == [(2, 3, 0.3, "c"), (0, 1, 0.1, "a")]


def truth(**subsets: str | None) -> GroundTruth:
    empty, none = np.empty((0, 2)), np.empty(0, np.int64)
    return GroundTruth(
        {k: VideoAnnotations(k, 1.0, s, empty, none) for k, s in subsets.items()}, LabelVocabulary(), "gt.json"
    )


def test_subset_picks_several_in_file_order() -> None:
    found = truth(a="training", b="testing", c="validation").subset("validation, training")
    assert list(found.videos) == ["a", "c"]


def test_unknown_subset_lists_those_that_are_there() -> None:
    with pytest.raises(DataError, match=r"gt\.json: no subset 'test' \(there are: training, testing\)"):
        truth(a="training", b="testing").subset("test")


def test_ground_truth_without_subsets_means_all_its_videos() -> None:
    assert list(truth(a=None, b=None).subset("validation").videos) == ["a", "b"]


def test_split_replaces_subsets_and_leaves_the_unlisted_in_none() -> None:
    found = truth(a="training", b="training").with_split({"a": "validation"})
    assert found.subsets == ["validation"]
    assert list(found.subset("validation").videos) == ["a"]
