"""Fusion of sources: hand-worked merges, calibration, and a fit that finds what was hidden."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taltool.data.arrays import Detections, Instances
from taltool.ops.fusion import Calibration, Fusion, Source, by_precision, by_rank, fuse_batch
from taltool.ops.fusion_fit import FitData, fit
from taltool.ops.method_names import FusionMethod
from taltool.ops.nms import ProposalBatch

EQUAL = (Source(), Source())


def candidates(segments, scores, classes=None):
    count = len(scores)
    classes = np.zeros(count, np.int64) if classes is None else np.array(classes)
    return ProposalBatch(
        np.array(segments, float), np.array(scores, float), np.zeros(count, np.int64), classes, np.array([np.nan])
    )


def test_wbf_averages_boundaries_by_score_and_lowers_what_one_source_found_alone():
    both = candidates([[0, 10], [2, 12], [50, 60]], [0.6, 0.3, 0.8])
    fused = fuse_batch(both, np.array([0, 1, 0]), Fusion(EQUAL, FusionMethod.wbf, tiou=0.5))
    assert fused.segments[0] == pytest.approx([(0.3 * 2) / 0.9, (0.6 * 10 + 0.3 * 12) / 0.9])
    assert fused.segments[1].tolist() == [50, 60]
    assert fused.scores == pytest.approx([(0.6 + 0.3) / 2, 0.8 / 2])


def test_wbf_counts_a_source_once_and_keeps_classes_apart():
    found = candidates([[0, 10], [0, 10], [0, 10]], [0.6, 0.4, 0.2], [0, 0, 1])
    fused = fuse_batch(found, np.array([0, 0, 1]), Fusion(EQUAL, FusionMethod.wbf))
    assert fused.scores == pytest.approx([0.3, 0.1])
    assert fused.classes.tolist() == [0, 1]


def test_wbf_gives_a_proposal_to_the_best_winner_it_overlaps():
    # 8..18 overlaps both winners by more than 0.4; it belongs to the better one.
    found = candidates([[5, 15], [11, 21], [8, 18]], [0.9, 0.8, 0.1])
    fused = fuse_batch(found, np.array([0, 0, 1]), Fusion(EQUAL, FusionMethod.wbf, tiou=0.4))
    assert fused.segments[0] == pytest.approx([(0.9 * 5 + 0.1 * 8) / 1, (0.9 * 15 + 0.1 * 18) / 1])
    assert fused.segments[1].tolist() == [11, 21]


def test_union_without_suppression_keeps_everything_with_weighted_scores():
    found = candidates([[0, 10], [0, 10]], [0.6, 0.4])
    fused = fuse_batch(found, np.array([0, 1]), Fusion((Source(0.5), Source(2.0)), suppression=None))
    assert fused.scores == pytest.approx([0.8, 0.3])


def test_rank_maps_scores_to_quantiles():
    scores = np.arange(1, 258) * 1000.0
    calibrated = by_rank(scores)(scores)
    assert calibrated[[0, 128, 256]] == pytest.approx([0, 0.5, 1])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.integers(0, 2**20))
@example([0.0, 5e-324], 0)
def test_calibrations_never_turn_the_order_of_a_source_round(scores, bits):
    values = np.array(scores)
    hits = np.array([bits >> n & 1 for n in range(len(scores))], float)
    ordered = np.sort(np.append(values, [0.0, 0.5, 1.0, 2.0]))
    for calibration in (by_rank(values), by_precision(values, hits), Calibration()):
        mapped = calibration(ordered)
        assert (np.diff(mapped) >= -1e-12).all()
        assert np.isfinite(mapped).all()


def test_precision_is_what_calibrated_scores_say():
    rng = np.random.default_rng(0)
    scores = rng.uniform(0, 1, 20_000)
    hits = (rng.uniform(size=20_000) < scores**2).astype(float)
    assert by_precision(scores, hits)(np.array([0.3, 0.6, 0.9])) == pytest.approx([0.09, 0.36, 0.81], abs=0.05)


def test_fit_silences_a_source_that_is_always_wrong():
    rng = np.random.default_rng(1)
    truth = Instances(
        np.repeat(np.arange(20), 2), np.zeros(40, np.int64), np.tile([[10.0, 20.0], [40.0, 60.0]], (20, 1)), 20, 1
    )
    right, wrong = truth.segments + rng.uniform(-1, 1, (40, 2)), truth.segments + 300
    order = np.argsort(np.concatenate([truth.videos, truth.videos]), kind="stable")
    detections = Detections(
        np.concatenate([truth.videos, truth.videos])[order],
        np.zeros(80, np.int64),
        np.concatenate([right, wrong])[order],
        np.concatenate([rng.uniform(0.1, 0.3, 40), rng.uniform(0.2, 0.6, 40)])[order],
    )
    data = FitData(detections, np.repeat([0, 1], 40)[order], truth, (0.5,))
    start = Fusion(EQUAL)
    tries: list[float] = []
    best, value = fit(data, start, lambda _, reached: tries.append(reached))
    assert data.average_map(start) < 0.8
    assert value == max(tries)
    assert value == pytest.approx(1.0)
    assert data.average_map(best) == pytest.approx(value)
