"""Score voting against a plain loop and by hand."""

import numpy as np
import pytest

from taltool.ops import nms_voting
from taltool.ops.nms import ProposalBatch
from taltool.ops.nms_voting import vote
from taltool.ops.segments import tiou


def candidates(segments, scores, videos=None, classes=None):
    count = len(scores)
    videos = np.zeros(count, np.int64) if videos is None else np.array(videos)
    return ProposalBatch(np.array(segments, float), np.array(scores, float), videos, classes, np.full(9, np.nan))


def test_boundaries_are_means_weighted_by_score_times_tiou():
    found = vote(candidates([[0, 10], [0, 8], [20, 30]], [0.9, 0.5, 0.7]), np.array([0, 2]), 0.7, agnostic=False)
    # weights 0.9 * 1 and 0.5 * 0.8
    assert found[0] == pytest.approx([0, (0.9 * 10 + 0.4 * 8) / 1.3])
    assert found[1] == pytest.approx([20, 30])


def test_a_candidate_votes_from_the_threshold_on():
    """The tIoU is 8 / 10: it votes at 0.8, which is at least 0.8, and no more above that."""
    both = candidates([[0, 10], [0, 8]], [0.9, 0.5])
    assert vote(both, np.array([0]), 0.8, agnostic=False)[0] == pytest.approx([0, (0.9 * 10 + 0.4 * 8) / 1.3])
    assert vote(both, np.array([0]), 0.8000001, agnostic=False).tolist() == [[0, 10]]


def test_a_segment_without_any_weight_stays():
    found = vote(candidates([[3, 3], [1, 2]], [0.5, 0.0]), np.array([0, 1]), 0.5, agnostic=False)
    assert found.tolist() == [[3, 3], [1, 2]]


@pytest.mark.parametrize("agnostic", [False, True])
def test_equals_a_plain_loop_however_pairs_are_cut(agnostic, monkeypatch):
    monkeypatch.setattr(nms_voting, "_PAIRS", 50)
    rng = np.random.default_rng(0)
    start = rng.uniform(0, 20, 60)
    many = candidates(
        np.column_stack([start, start + rng.uniform(1, 9, 60)]),
        rng.uniform(size=60),
        np.sort(rng.integers(0, 3, 60)),
        rng.integers(0, 2, 60),
    )
    kept = rng.permutation(60)[:25]
    found = vote(many, kept, 0.4, agnostic)
    for number, winner in enumerate(kept):
        total, mean = 0.0, np.zeros(2)
        for other in range(60):
            alike = many.videos[other] == many.videos[winner] and (
                agnostic or many.classes[other] == many.classes[winner]
            )
            overlap = tiou(many.segments[[winner]], many.segments[[other]])[0, 0]
            if alike and overlap >= 0.4:
                total += many.scores[other] * overlap
                mean += many.scores[other] * overlap * many.segments[other]
        assert found[number] == pytest.approx(mean / total, abs=1e-12)


@pytest.mark.parametrize("tiou", [1e-6, 0.3, 0.5, 0.9, 1.0])
def test_no_voter_is_missed_at_the_edge_of_where_it_may_start(tiou: float) -> None:
    """Segments that start as early and as late as they may with this tIoU, and their copies in another video."""
    length = 7.3
    earliest = [100 - (1 / tiou - 1) * length, 100 + length]
    latest = [100 + (1 - tiou) * length, 100 + length]
    segments = np.array([[100, 100 + length], earliest, latest] * 2)
    candidates = ProposalBatch(segments, np.full(6, 0.5), np.repeat([0, 1], 3), None, np.full(2, 1e9))
    overlaps = [(inside := min(b, 100 + length) - max(a, 100)) / (length + b - a - inside) for a, b in segments[:3]]
    near = [overlap >= tiou for overlap in overlaps]
    weights = np.where(near, overlaps, 0)
    expected = weights @ segments[:3] / weights.sum()
    voted = vote(candidates, np.array([0, 3]), tiou, agnostic=True)
    np.testing.assert_allclose(voted, [expected] * 2, rtol=1e-12)
