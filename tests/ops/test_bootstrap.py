"""Resampling of videos: what is drawn, what the intervals hold, and pairing."""

import numpy as np
import pytest
from evaluation_cases import drawn_case, flat

from taltool.data.records import Floats
from taltool.ops import bootstrap
from taltool.ops.bootstrap import compare, interval, resample, resampled_weights
from taltool.ops.metrics import METRICS
from taltool.ops.metrics.contract import Metric, MetricInput
from taltool.ops.protocols import ACTIVITYNET, parse_thresholds

BUILT_IN: list[Metric] = [METRICS.load(name)() for name in ("map", "kx", "ar")]


def drawn_input(tious: str) -> MetricInput:
    within, found, _ = flat(*drawn_case(5))
    thresholds = parse_thresholds(tious)
    return MetricInput(
        scope=within,
        detections=found,
        protocol=ACTIVITYNET,
        tious=thresholds,
        recall_tious=thresholds,
        max_average=10,
        multiples=(1, 5),
    )


def measured(data: MetricInput, drawn: Floats | None = None) -> dict[str, list[float]]:
    weights = data.weights(drawn)
    return {name: values.tolist() for metric in BUILT_IN for name, values in metric.values(data, weights).items()}


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


def test_a_lower_value_is_ahead_where_lower_is_better() -> None:
    first = np.random.default_rng(0).random(100)
    found = compare(first, first - 0.01, -0.01, "lower")
    assert found.share_ahead == 1.0
    assert found.difference == -0.01
    assert (found.interval.low, found.interval.high) == pytest.approx((-0.01, -0.01))


@pytest.mark.parametrize("rows_at_once", [1, 4, 100])
def test_blocks_do_not_change_the_resampled_numbers(monkeypatch: pytest.MonkeyPatch, rows_at_once: int) -> None:
    data = drawn_input("0.3,0.5")
    largest = max(metric.size(data) for metric in BUILT_IN)
    monkeypatch.setattr(bootstrap, "_BLOCK_ELEMENTS", rows_at_once * largest)
    weights = resampled_weights(len(data.scope.video_ids), 10, seed=0)
    expected = [measured(data, row[None].astype(float)) for row in weights]
    for name, values in resample(BUILT_IN, data, weights).items():
        assert values.tolist() == pytest.approx([each[name][0] for each in expected], abs=1e-12)


def test_all_ones_is_the_plain_number() -> None:
    data = drawn_input("0.5")
    assert measured(data) == measured(data, np.ones((1, len(data.scope.video_ids))))
