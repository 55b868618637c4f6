"""What a timeline shows: order, overlap, colours, lanes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from taltool.data.records import LabelVocabulary, VideoAnnotations, VideoProposals
from taltool.ops.timeline import (
    OTHER_COLOUR,
    PALETTE,
    Row,
    Timeline,
    colours,
    lanes,
    palettes,
    prediction_row,
    truth_row,
)

VIDEO = VideoAnnotations("v", 40.0, None, np.array([[20.0, 30], [0, 10]]), np.array([1, 0]))
TRUTH = truth_row(VIDEO, ["run", "jump"])


def proposals(rows: list[tuple[float, float, float, str]]) -> VideoProposals:
    names = LabelVocabulary()
    return VideoProposals(
        "v",
        np.array([row[:2] for row in rows]),
        np.array([row[2] for row in rows]),
        names.numbered([row[3] for row in rows]),
        names,
    )


def test_the_ground_truth_is_in_order_of_time() -> None:
    assert TRUTH.labels == ["run", "jump"]
    np.testing.assert_array_equal(TRUTH.segments, [[0, 10], [20, 30]])


def test_predictions_are_best_first_with_their_overlap_with_the_same_label() -> None:
    row = prediction_row("a", proposals([(0, 10, 0.2, "jump"), (0, 5, 0.9, "run"), (50, 60, 0.1, "fly")]), TRUTH)
    assert row.labels == ["run", "jump", "fly"]
    np.testing.assert_allclose(row.tious, [0.5, 0, 0])


def test_predictions_without_labels_overlap_any_instance() -> None:
    row = prediction_row("a", VideoProposals("v", np.array([[20.0, 25]]), np.array([0.5])), TRUTH)
    assert row.labels == [""]
    np.testing.assert_allclose(row.tious, [0.5])


def test_top_keeps_the_best_predictions_and_the_whole_ground_truth() -> None:
    row = prediction_row("a", proposals([(0, 10, 0.2, "jump"), (0, 5, 0.9, "run")]), TRUTH)
    assert row.top(1).labels == ["run"]
    assert TRUTH.top(1) is TRUTH


def test_the_labels_of_the_ground_truth_have_the_first_colours_then_the_best_ranked() -> None:
    first = Row("a", np.zeros((10, 2)), [f"a{n}" for n in range(10)], np.zeros(10))
    second = Row("b", np.zeros((1, 2)), ["b0"], np.zeros(1))
    found = colours(Timeline("v", 40.0, [TRUTH, first, second]))
    assert [found[name] for name in ("run", "jump", "a0", "b0", "a1")] == list(PALETTE[:5])
    assert found["a9"] == OTHER_COLOUR


def test_a_prediction_far_beyond_the_end_does_not_squeeze_the_video() -> None:
    row = prediction_row("a", proposals([(0, 1e6, 0.2, "jump")]), TRUTH)
    assert Timeline("v", 40.0, [TRUTH, row]).extent == 48


def test_annotations_beyond_the_end_are_shown() -> None:
    beyond = Row("ground truth", np.array([[50.0, 700]]), ["run"])
    assert Timeline("v", 40.0, [beyond]).extent == 700


pairs = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 10)), max_size=25)


@given(pairs)
def test_segments_in_one_lane_do_not_overlap(found: list[tuple[int, int]]) -> None:
    segments = np.array([(start, start + length) for start, length in found], float).reshape(-1, 2)
    lane = lanes(segments, 100)
    for number in range(lane.max(initial=0) + 1):
        inside = segments[lane == number]
        inside = inside[np.argsort(inside[:, 0])]
        assert (inside[1:, 0] >= inside[:-1, 1]).all()


def test_the_last_lane_takes_what_does_not_fit() -> None:
    np.testing.assert_array_equal(lanes(np.array([[0.0, 9], [1, 9], [2, 9], [9, 10]]), 2), [0, 1, 1, 0])


def test_a_label_has_one_colour_in_all_panels_while_there_are_enough() -> None:
    def video(*labels: str) -> Timeline:
        return Timeline("v", 9.0, [Row("ground truth", np.array([[0.0, 1.0]] * len(labels)), list(labels))])

    first, second = palettes([video("run", "jump"), video("jump", "swim")])
    assert first["jump"] == second["jump"]
    assert len({first["run"], first["jump"], second["swim"]}) == 3
    many = [video(*(f"{n}-{k}" for k in range(len(PALETTE)))) for n in range(2)]
    assert palettes(many) == [colours(each) for each in many]


def test_without_a_ground_truth_there_is_no_overlap_and_the_best_label_is_first() -> None:
    row = prediction_row("a", proposals([(0, 10, 0.2, "jump"), (0, 5, 0.9, "run")]), None, total=9)
    assert row.tious is None
    assert (row.top(1).total, row.top(1).labels) == (9, ["run"])
    found = colours(Timeline("v", 40.0, [row]))
    assert [found[name] for name in ("run", "jump")] == list(PALETTE[:2])


def test_a_video_whose_length_nobody_said_ends_with_its_last_segment() -> None:
    row = prediction_row("a", proposals([(0, 1e4, 0.2, "jump")]), None)
    assert Timeline("v", None, [row]).extent == 1e4
    assert Timeline("v", None, [Row("a", np.empty((0, 2)), [], np.empty(0))]).extent > 0
    assert Timeline("v", None, [row]).num_instances == 0
