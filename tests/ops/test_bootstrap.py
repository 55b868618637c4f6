"""Resampling of videos: what is drawn, what the intervals hold, and pairing."""

import numpy as np
import pytest
from evaluation_cases import drawn_case, flat

from taltool.data.thresholds import parse_thresholds
from taltool.ops.bootstrap import compare, interval, resample, resampled_weights
from taltool.ops.protocols import ACTIVITYNET
from taltool.ops.scorecard import MetricSelection, Scorecard


def test_every_resample_draws_as_many_videos_as_there_are() -> None:
    weights = resampled_weights(7, 200, seed=0)
    assert weights.shape == (200, 7)
    assert (weights.sum(axis=1) == 7).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(7), abs=0.25)  # 3.8 standard errors


def test_same_seed_draws_the_same_videos() -> None:
    np.testing.assert_array_equal(resampled_weights(9, 5, seed=3), resampled_weights(9, 5, seed=3))
    assert (resampled_weights(9, 5, seed=3) != resampled_weights(9, 5, seed=4)).any()


def test_interval_holds_the_central_95_percent() -> None:
    found = interval(np.arange(1001) / 1000)
    assert (found.low, found.high) == pytest.approx((0.025, 0.975))


def test_comparison_is_paired() -> None:
    # B is a hundredth better in every resample, however much the resamples differ: no doubt is left.
    first = np.random.default_rng(0).random(100)
    found = compare(first, first + 0.01, 0.01)
    assert found.share_ahead == 1.0
    assert (found.interval.low, found.interval.high) == pytest.approx((0.01, 0.01))
    assert compare(first, first, 0.0).share_ahead == 0.5


@pytest.mark.parametrize("rows_at_once", [1, 4, 100])
def test_blocks_do_not_change_the_resampled_numbers(rows_at_once: int) -> None:
    truth, detections = drawn_case(5)
    within, found, _ = flat(truth, detections)
    thresholds = parse_thresholds("0.3,0.5")
    card = Scorecard(
        within,
        found,
        MetricSelection(ACTIVITYNET, thresholds, thresholds, recall=True, max_average=10, multiples=(1, 5)),
    )
    weights = resampled_weights(len(within.video_ids), 10, seed=0)
    expected = [{name: values[0] for name, values in card.metrics(row[None]).items()} for row in weights]
    for name, values in resample(card.metrics, weights, rows_at_once).items():
        assert values.tolist() == pytest.approx([each[name] for each in expected], abs=1e-12)


def test_all_ones_is_the_plain_number() -> None:
    truth, detections = drawn_case(5)
    within, found, _ = flat(truth, detections)
    thresholds = parse_thresholds("0.5")
    card = Scorecard(within, found, MetricSelection(ACTIVITYNET, thresholds, thresholds, recall=True))
    ones = card.metrics(np.ones((1, len(within.video_ids))))
    assert {name: values.tolist() for name, values in card.metrics().items()} == {
        name: values.tolist() for name, values in ones.items()
    }
