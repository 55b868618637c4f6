"""mAP equals plain loops on every oddity, lies between the extremes on ties, and follows each protocol by hand."""

from itertools import permutations

import evaluation_twin as twin
import numpy as np
import pytest
from evaluation_cases import drawn_case, flat

from taltool.data.arrays import Detections
from taltool.ops.matching import match
from taltool.ops.metrics.map import MapResult, average_precisions, class_means, mean_average_precision
from taltool.ops.protocols import ACTIVITYNET, PROTOCOLS, THUMOS14, THUMOS14_2014, Protocol

TIOUS = [0.1, 0.3, 0.5, 0.75, 0.95]


def evaluated(truth: twin.Truth, detections: twin.Detections, tious: list[float], rules: Protocol) -> MapResult:
    within, found, _ = flat(truth, detections, excused=rules.excused)
    return mean_average_precision(within.truth, found, tious, rules, within.excused)


@pytest.mark.parametrize("name", ["activitynet", "thumos14", "thumos14-2014"])
@pytest.mark.parametrize("block", range(4))
def test_map_equals_plain_loops_on_random_cases(name: str, block: int) -> None:
    for seed in range(50 * block, 50 * (block + 1)):
        truth, detections = drawn_case(seed)
        result = evaluated(truth, detections, TIOUS, PROTOCOLS[name])
        expected = [twin.mean_average_precision(truth, detections, t, name) for t in TIOUS]
        np.testing.assert_allclose(result.map, expected, rtol=0, atol=1e-12, err_msg=f"seed {seed}")


@pytest.mark.parametrize("name", ["activitynet", "thumos14", "thumos14-2014"])
def test_map_equals_plain_loops_where_scores_tie(name: str) -> None:
    for seed in range(1000, 1050):
        truth, detections = drawn_case(seed, ties=True)
        result = evaluated(truth, detections, TIOUS, PROTOCOLS[name])
        expected = [twin.mean_average_precision(truth, detections, t, name) for t in TIOUS]
        np.testing.assert_allclose(result.map, expected, rtol=0, atol=1e-12, err_msg=f"seed {seed}")


@pytest.mark.parametrize("name", ["activitynet", "thumos14", "thumos14-2014"])
def test_order_of_the_file_does_not_matter(name: str) -> None:
    truth, detections = drawn_case(1003, ties=True)
    expected = evaluated(truth, detections, TIOUS, PROTOCOLS[name]).ap
    rng = np.random.default_rng(0)
    for _ in range(20):
        videos = [list(detections)[n] for n in rng.permutation(len(detections))]
        shuffled = {v: [detections[v][n] for n in rng.permutation(len(detections[v]))] for v in videos}
        np.testing.assert_array_equal(evaluated(truth, shuffled, TIOUS, PROTOCOLS[name]).ap, expected)


def test_map_with_ties_lies_between_the_best_and_the_worst_order() -> None:
    truth = {"a": [("x", 0, 10), ("x", 20, 30)], "b": [("x", 0, 10)]}
    tied = [("a", 0, 10), ("a", 50, 60), ("b", 40, 50), ("b", 0, 10), ("a", 21, 30)]
    values = []
    for order in permutations(range(len(tied))):
        detections: twin.Detections = {}
        for place, n in enumerate(order):
            video, start, end = tied[n]
            detections.setdefault(video, []).append(("x", start, end, 1 - place / 10))
        values.append(twin.mean_average_precision(truth, detections, 0.5, "activitynet"))
    same = {v: [("x", s, e, 0.5) for w, s, e in tied if w == v] for v in "ab"}
    found = evaluated(truth, same, [0.5], ACTIVITYNET).map[0]
    assert min(values) < max(values)
    assert min(values) <= found <= max(values)


def test_detections_choose_the_free_instance_that_they_overlap_most() -> None:
    # The first takes [0, 10]; the second overlaps that most as well, and is left with [4, 14].
    truth = {"v": [("x", 0, 10), ("x", 4, 14)]}
    detections = {"v": [("x", 0, 10, 0.9), ("x", 1, 11, 0.8)]}
    assert evaluated(truth, detections, [0.5], ACTIVITYNET).map == pytest.approx([1.0])


def test_instances_choose_the_largest_overlap_whatever_the_score() -> None:
    # The better overlap has the lower score: it is the hit, so precision at the hit is 1/2.
    truth = {"v": [("x", 0, 10)]}
    detections = {"v": [("x", 0, 8, 0.9), ("x", 0, 10, 0.1)]}
    assert evaluated(truth, detections, [0.5], THUMOS14).map == pytest.approx([0.5])
    assert evaluated(truth, detections, [0.5], ACTIVITYNET).map == pytest.approx([1.0])


def test_threshold_is_reached_under_activitynet_and_must_be_passed_under_thumos() -> None:
    truth, detections = {"v": [("x", 0, 10)]}, {"v": [("x", 0, 5, 0.9)]}
    assert evaluated(truth, detections, [0.5], ACTIVITYNET).map == [1.0]
    assert evaluated(truth, detections, [0.5], THUMOS14).map == [0.0]


def test_three_ways_to_average_precision() -> None:
    # Ranks: hit, miss, miss, hit, hit; four instances. Precisions at hits: 1, 2/4, 3/5.
    truth = {"v": [("x", 10 * n, 10 * n + 5) for n in range(4)]}
    rows = [(0, 5), (60, 65), (70, 75), (10, 15), (20, 25)]
    detections = {"v": [("x", s, e, 1 - n / 10) for n, (s, e) in enumerate(rows)]}
    assert evaluated(truth, detections, [0.5], ACTIVITYNET).map == pytest.approx([(1 + 0.6 + 0.6) / 4])
    assert evaluated(truth, detections, [0.5], THUMOS14).map == pytest.approx([(1 + 0.5 + 0.6) / 4])
    # Recall 0, .1, .2 reach precision 1; .3 to .7 reach .6; .8, .9 and 1 are never reached.
    assert evaluated(truth, detections, [0.5], THUMOS14_2014).map == pytest.approx([(3 * 1 + 5 * 0.6) / 11])


def test_first_kit_lists_hits_before_misses_of_the_same_score() -> None:
    truth = {"v": [("x", 50, 60)]}
    detections = {"v": [("x", 0, 10, 0.5), ("x", 50, 60, 0.5)]}
    assert evaluated(truth, detections, [0.5], THUMOS14_2014).map == [1.0]
    assert evaluated(truth, detections, [0.5], THUMOS14).map == [0.5]


def test_ambiguous_segments_excuse_misses_under_thumos_only() -> None:
    truth = {"v": [("x", 50, 60), ("Ambiguous", 0, 10)]}
    detections = {"v": [("x", 9, 20, 0.9), ("x", 50, 60, 0.5)]}
    assert evaluated(truth, detections, [0.5], THUMOS14).map == [1.0]
    # Here `Ambiguous` is a class with AP 0.
    assert evaluated(truth, detections, [0.5], ACTIVITYNET).map == [0.25]


def test_touching_an_ambiguous_segment_is_no_excuse() -> None:
    truth = {"v": [("x", 50, 60), ("Ambiguous", 0, 10)]}
    detections = {"v": [("x", 10, 20, 0.9), ("x", 50, 60, 0.5)]}
    assert evaluated(truth, detections, [0.5], THUMOS14).map == [0.5]


@pytest.mark.parametrize("rules", [ACTIVITYNET, THUMOS14])
def test_detections_in_videos_without_instances_are_false_positives(rules: Protocol) -> None:
    truth = {"v": [("x", 0, 10)], "empty": []}
    hit = {"v": [("x", 0, 10, 0.5)]}
    assert evaluated(truth, hit, [0.5], rules).map == [1.0]
    assert evaluated(truth, hit | {"empty": [("x", 0, 10, 0.9)]}, [0.5], rules).map == [0.5]
    assert evaluated(truth, hit | {"stranger": [("x", 0, 10, 0.9)]}, [0.5], rules).map == [0.5]


def test_instances_of_videos_without_detections_cost_recall() -> None:
    truth = {"v": [("x", 0, 10)], "missed": [("x", 0, 10)]}
    assert evaluated(truth, {"v": [("x", 0, 10, 0.5)]}, [0.5], ACTIVITYNET).map == [0.5]


def test_doubled_instance_needs_two_detections() -> None:
    truth = {"v": [("x", 0, 10), ("x", 0, 10)]}
    one = {"v": [("x", 0, 10, 0.9)]}
    assert evaluated(truth, one, [0.5], ACTIVITYNET).map == [0.5]
    assert evaluated(truth, {"v": one["v"] * 2}, [0.5], ACTIVITYNET).map == [1.0]


def test_doubled_detection_is_one_hit_and_one_miss() -> None:
    truth = {"v": [("x", 0, 10), ("x", 20, 30)]}
    detections = {"v": [("x", 0, 10, 0.9), ("x", 0, 10, 0.8), ("x", 20, 30, 0.7)]}
    assert evaluated(truth, detections, [0.5], ACTIVITYNET).map == pytest.approx([(1 + 2 / 3) / 2])


@pytest.mark.parametrize("rules", [ACTIVITYNET, THUMOS14])
def test_zero_length_segments_never_match(rules: Protocol) -> None:
    truth = {"v": [("x", 5, 5), ("x", 20, 30)]}
    detections = {"v": [("x", 5, 5, 0.9), ("x", 20, 30, 0.8)]}
    assert evaluated(truth, detections, [0.5], rules).map == pytest.approx([0.25])


def test_unknown_labels_have_no_effect() -> None:
    truth = {"v": [("x", 0, 10)]}
    detections = {"v": [("x", 0, 10, 0.5), ("unheard of", 0, 10, 0.9)]}
    assert evaluated(truth, detections, [0.5], ACTIVITYNET).map == [1.0]


def test_class_without_detections_counts_as_zero() -> None:
    truth = {"v": [("x", 0, 10), ("y", 0, 10)]}
    assert evaluated(truth, {"v": [("x", 0, 10, 0.5)]}, [0.5], ACTIVITYNET).map == [0.5]


def test_no_detections_at_all_is_zero() -> None:
    result = evaluated({"v": [("x", 0, 10)]}, {}, [0.5, 0.7], ACTIVITYNET)
    assert result.map.tolist() == [0.0, 0.0]
    assert result.average == 0.0


def test_partners_name_the_detection_that_found_each_instance() -> None:
    within, found, _ = flat(
        {"v": [("x", 0, 10), ("x", 20, 30)]}, {"v": [("x", 40, 50, 0.9), ("x", 20, 30, 0.8), ("x", 0, 10, 0.7)]}
    )
    for rules in (ACTIVITYNET, THUMOS14):
        matches = match(within.truth, found, [0.5], rules)
        assert matches.partners.tolist() == [[2, 1]]
        assert matches.hits.tolist() == [[False, True, True]]


def test_a_weight_of_two_equals_the_video_given_twice() -> None:
    truth, detections = drawn_case(7)
    within, found, _ = flat(truth, detections)
    matches = match(within.truth, found, [0.5], ACTIVITYNET)
    weights = np.ones((1, len(within.video_ids) + 1))
    weights[0, 1] = 2
    video = within.video_ids[1]
    # The copies tie with their originals and stand beside them: between no other video's detections.
    doubled = mean_average_precision(*_with_copy(truth, detections, video), [0.5]).map
    assert class_means(average_precisions(matches, ACTIVITYNET, weights)[0]) == pytest.approx(doubled, abs=1e-12)


def _with_copy(truth: twin.Truth, detections: twin.Detections, video: str) -> tuple[object, Detections]:
    copy = {f"{video} copy": truth[video]}, {f"{video} copy": detections.get(video, [])}
    within, found, _ = flat(truth | copy[0], detections | copy[1])
    return within.truth, found  # type: ignore[return-value]


def test_videos_of_weight_zero_do_not_count() -> None:
    truth = {"a": [("x", 0, 10)], "b": [("x", 0, 10), ("y", 0, 10)]}
    within, found, _ = flat(truth, {"a": [("x", 0, 10, 0.5)], "b": [("x", 50, 60, 0.9)]})
    matches = match(within.truth, found, [0.5], ACTIVITYNET)
    ap = average_precisions(matches, ACTIVITYNET, np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert ap[0, 0, 0] == 1.0
    assert np.isnan(ap[0, 1, 0])  # class y occurs in no video that counts
    assert ap[1, :, 0].tolist() == [0.0, 0.0]
    assert class_means(ap)[:, 0].tolist() == [1.0, 0.0]
