"""What every metric promises, whoever wrote it."""

from dataclasses import replace

import numpy as np
import pytest
from evaluation_cases import drawn_case, flat

from taltool.ops.metrics import METRICS
from taltool.ops.metrics.contract import Metric, MetricInput
from taltool.ops.protocols import PROTOCOLS, parse_thresholds

NAMES = METRICS.names()


def drawn_input(seed: int, protocol: str = "activitynet") -> MetricInput:
    rules = PROTOCOLS[protocol]
    within, found, _ = flat(*drawn_case(seed), excused=rules.excused)
    return MetricInput(
        scope=within,
        detections=found,
        protocol=rules,
        tious=parse_thresholds("0.3,0.75"),
        recall_tious=parse_thresholds("0.5:0.9:0.2"),
        max_average=10,
        multiples=(1, 5),
    )


@pytest.fixture(params=NAMES)
def metric(request: pytest.FixtureRequest) -> Metric:
    return METRICS.load(request.param)()


def test_the_built_in_metrics_are_found() -> None:
    assert {"map", "ar", "kx"} <= set(NAMES)


@pytest.mark.parametrize("protocol", list(PROTOCOLS))
def test_every_number_has_a_value_for_each_weighting(metric: Metric, protocol: str) -> None:
    for seed in range(10):
        data = drawn_input(seed, protocol)
        drawn = np.random.default_rng(seed).integers(0, 3, (4, len(data.scope.video_ids))).astype(float)
        drawn[:, 0] += 1  # its instances count in any case
        weights = data.weights(drawn)
        found = metric.values(data, weights)
        assert found
        for name, values in found.items():
            assert values.shape == (4,), name
            assert not np.isinf(values).any(), name
            # Of others a number may be undefined, as the mean error of no hits.
            assert not np.isnan(values).any() or not type(metric).__module__.startswith("taltool."), name
            # One weighting does not know of the others.
            alone = [metric.values(data, weights[row : row + 1])[name][0] for row in range(4)]
            np.testing.assert_allclose(values, alone, rtol=0, atol=1e-12, err_msg=name)


def test_the_plain_number_is_that_of_videos_that_count_once(metric: Metric) -> None:
    data = drawn_input(3)
    ones = data.weights(np.ones((1, len(data.scope.video_ids))))
    assert ones.tolist() == data.weights().tolist()
    assert data.weights().shape == (1, data.num_videos)


@pytest.mark.parametrize("protocol", list(PROTOCOLS))
def test_the_order_of_the_file_changes_nothing(metric: Metric, protocol: str) -> None:
    """What `matches` holds is ranked, so that it does not belong to the rows of `detections` as they stand."""
    for seed in range(10):
        data = drawn_input(seed, protocol)
        rng, videos = np.random.default_rng(seed), data.detections.videos
        # Other videos first, and others of a video's detections.
        order = np.lexsort((rng.random(len(videos)), rng.permutation(data.num_videos)[videos]))
        shuffled = replace(data, detections=data.detections.take(order))
        for found, other in (
            (metric.values(data, data.weights()), metric.values(shuffled, shuffled.weights())),
            (metric.class_values(data), metric.class_values(shuffled)),
        ):
            assert list(found) == list(other)
            for name, values in found.items():
                np.testing.assert_allclose(other[name], values, rtol=1e-9, atol=1e-12, err_msg=name)


def test_the_names_do_not_depend_on_the_detections(metric: Metric) -> None:
    names = [list(metric.values(drawn_input(seed), drawn_input(seed).weights())) for seed in range(5)]
    assert all(each == names[0] for each in names)


def test_numbers_of_classes_stand_under_names_of_numbers(metric: Metric) -> None:
    data = drawn_input(5)
    of_classes = metric.class_values(data)
    assert set(of_classes) <= set(metric.values(data, data.weights()))
    assert all(values.shape == (data.truth.num_classes,) for values in of_classes.values())
    assert len({metric.class_name(name) for name in of_classes}) == len(of_classes)


def test_every_number_has_a_cell_of_its_own(metric: Metric) -> None:
    data = drawn_input(5)
    names = list(metric.values(data, data.weights()))
    cells = [(metric.printing(name).table, metric.printing(name).column) for name in names]
    assert len(set(cells)) == len(names)
    assert all(title and column for title, column in cells)
    assert set(metric.headlines or ()) <= set(names)


def test_it_says_how_it_is_read(metric: Metric) -> None:
    data = drawn_input(5)
    assert metric.name
    assert metric.better in ("higher", "lower")
    assert metric.thresholds in ("mAP", "recall")
    assert metric.size(data) >= 0
