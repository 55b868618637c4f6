"""Classes for proposals: worked by hand."""

import numpy as np
import pytest

from taltool.ops import labelling
from taltool.ops.labelling import best_classes, best_votes, combined, distinct, of_own_class, voted_shares
from taltool.ops.method_names import Combination


def test_votes_are_score_times_tiou():
    proposals = np.array([[0, 10], [50, 60]], float)
    voters = np.array([[0, 10], [0, 5], [10, 20]], float)
    shares = voted_shares(proposals, voters, np.array([0.4, 0.8, 1.0]), np.array([0, 1, 2]), 3)
    # 0.4 * 1 for class 0, 0.8 * 0.5 for class 1; class 2 only touches
    assert shares[0] == pytest.approx([0.5, 0.5, 0])
    assert shares[1].tolist() == [0, 0, 0]


def test_the_best_vote_for_a_class_is_its_largest_score_times_tiou():
    proposals = np.array([[0, 10], [50, 60]], float)
    voters = np.array([[0, 10], [0, 5], [0, 10], [10, 20]], float)
    found = best_votes(proposals, voters, np.array([0.4, 0.8, 0.3, 1.0]), np.array([0, 1, 1, 2]), 3)
    assert found[0] == pytest.approx([0.4, 0.4, 0])  # class 1: 0.8 * 0.5 and 0.3 * 1
    assert found[1].tolist() == [0, 0, 0]
    assert best_votes(proposals[:0], voters, np.ones(4), np.zeros(4, int), 3).shape == (0, 3)
    assert best_votes(proposals, voters[:0], np.ones(0), np.zeros(0, int), 3).tolist() == [[0, 0, 0]] * 2


def test_votes_do_not_depend_on_how_the_pairs_are_cut(monkeypatch):
    rng = np.random.default_rng(3)
    proposals, voters = np.sort(rng.uniform(0, 9, (20, 2))), np.sort(rng.uniform(0, 9, (15, 2)))
    arguments = (proposals, voters, rng.uniform(size=15), rng.integers(0, 4, 15), 4)
    whole = voted_shares(*arguments)
    monkeypatch.setattr(labelling, "_PAIRS", 31)
    assert voted_shares(*arguments) == pytest.approx(whole, abs=1e-15)
    cut = best_votes(*arguments)
    monkeypatch.setattr(labelling, "_PAIRS", 1 << 20)
    assert best_votes(*arguments) == pytest.approx(cut, abs=1e-15)


@pytest.mark.parametrize(
    ("how", "weight", "expected"),
    [
        (Combination.product, 0.5, 0.36 * 0.25),
        (Combination.sqrt, 0.5, 0.3),
        (Combination.weighted, 0.0, 0.36),
        (Combination.weighted, 1.0, 0.25),
        (Combination.weighted, 0.5, 0.3),
    ],
)
def test_combinations_of_scores(how, weight, expected):
    assert combined(np.array([0.36]), np.array([0.25]), how, weight) == pytest.approx([expected])


def test_of_equal_classes_the_first_is_taken():
    assert best_classes(np.array([[0.2, 0.7, 0.7, 0.1]]), 2).tolist() == [[1, 2]]


def test_of_a_proposals_shares_only_that_of_its_own_class_is_left():
    shares = np.broadcast_to([0.2, 0.7, 0.1], (3, 3))
    assert of_own_class(shares, np.array([2, -1, 0])).tolist() == [[0, 0, 0.1], [0, 0, 0], [0.2, 0, 0]]
    assert of_own_class(shares[:0], np.zeros(0, int)).shape == (0, 3)


def test_of_copies_the_first_is_kept():
    segments = np.array([[0, 10], [0.0, 10], [5, 9], [-0.0, 10], [0, 10]])
    assert distinct(segments, np.array([1, 0, 1, 1, 0])).tolist() == [0, 1, 2]
    assert distinct(np.zeros((0, 2)), np.zeros(0, int)).tolist() == []
