"""Suppression equals plain loops written from the formulas, digit for digit, on awkward input; hand-worked cases."""

import random

import brute_force_nms as twin
import numpy as np
import pytest

from taltool.errors import DataError, UsageError
from taltool.ops import nms
from taltool.ops.nms import ProposalBatch, suppress, suppress_batch
from taltool.ops.nms_settings import PRESETS, Method, Suppression, preset

CASES = 500
DURATION = 40.0
EXAMPLE = np.array([[0, 10], [1, 11], [8, 18], [20, 30]], float)
EXAMPLE_SCORES = np.array([0.9, 0.8, 0.7, 0.6])


def video(rng: random.Random) -> list[twin.Candidate]:
    """A few candidates: on a grid (touching, identical, empty, tied) or anywhere."""
    count = rng.choice([0, 1, 2, 3, 8, 25])
    found: list[twin.Candidate] = []
    for _ in range(count):
        if found and rng.random() < 0.15:
            found.append(rng.choice(found))
            continue
        on_grid = rng.random() < 0.6
        start = float(rng.randint(0, 20)) if on_grid else rng.uniform(0, 30)
        length = float(rng.choice([0, 1, 2, 5])) if on_grid else rng.uniform(0, 10)
        score = rng.choice([0.0, 0.25, 0.5, 1.0]) if rng.random() < 0.5 else rng.random()
        found.append((start, start + length, score, rng.randrange(3)))
    return found


def options(rng: random.Random) -> dict[str, object]:
    limits = {
        "min_score": rng.choice([0.001, 0.1, 0.25]),
        "top_k": rng.randint(1, 12),
        "top_k_per_class": rng.randint(1, 5),
        "pre_top_k": rng.randint(1, 20),
        "agnostic": True,
        "dedup": True,
    }
    return {name: value for name, value in limits.items() if rng.random() < 0.35}


def flattened(videos: list[list[twin.Candidate]]) -> ProposalBatch:
    table = np.array([each for one in videos for each in one], float).reshape(-1, 4)
    numbers = np.repeat(np.arange(len(videos)), [len(one) for one in videos])
    durations = np.full(len(videos), DURATION)
    return ProposalBatch(table[:, :2], table[:, 2], numbers, table[:, 3].astype(np.int64), durations)


def unflattened(candidates: ProposalBatch, kept: np.ndarray, scores: np.ndarray) -> list[list[twin.Candidate]]:
    videos: list[list[twin.Candidate]] = [[] for _ in candidates.durations]
    for position, score in zip(kept.tolist(), scores.tolist(), strict=True):
        start, end = candidates.segments[position].tolist()
        videos[candidates.videos[position]].append((start, end, score, int(candidates.classes[position])))
    return videos


def assert_same(found: list[twin.Candidate], expected: list[twin.Candidate]) -> None:
    assert [(s, e, label) for s, e, _, label in found] == [(s, e, label) for s, e, _, label in expected]
    assert [score for _, _, score, _ in found] == pytest.approx([score for _, _, score, _ in expected], abs=1e-12)


@pytest.mark.parametrize("method", list(Method))
def test_equals_the_plain_loop_on_random_videos(method):
    rng = random.Random(f"twin {method.value}")
    gaussian = method in (Method.soft_gaussian, Method.soft_width)
    for _ in range(CASES // 4):
        videos = [video(rng) for _ in range(4)]
        threshold, sigma, chosen = rng.choice([0.0, 0.2, 0.5, 0.65]), rng.choice([0.3, 0.5, 0.75]), options(rng)
        settings = Suppression(
            method,
            tiou=threshold,
            sigma=sigma if gaussian else None,
            tiou_wide=0.9 if method is Method.soft_width else None,
            **chosen,
        )
        candidates = flattened(videos)
        together = unflattened(candidates, *suppress_batch(candidates, settings))
        for one, found in zip(videos, together, strict=True):
            expected = twin.suppress(one, method.value, threshold, sigma, 0.9, DURATION, **chosen)
            assert_same(found, expected)


@pytest.mark.parametrize("method", list(Method))
def test_equals_the_plain_loop_when_blocks_are_cut_squeezed_and_windowed(method, monkeypatch):
    monkeypatch.setattr(nms, "_BLOCK_SIZE", 64)
    monkeypatch.setattr(nms, "_WINDOW_FROM", 16)
    monkeypatch.setattr(nms, "_SQUEEZE_EVERY", 1)
    rng = random.Random(f"blocks {method.value}")
    for _ in range(12):
        crowd = [each for _ in range(12) for each in video(rng)]
        chosen = options(rng)
        candidates = flattened([crowd, video(rng)])
        together = unflattened(candidates, *suppress_batch(candidates, Suppression(method, tiou=0.3, **chosen)))
        sigma = 0.4 if method is Method.soft_width else 0.5
        assert_same(together[0], twin.suppress(crowd, method.value, 0.3, sigma, 0.9, DURATION, **chosen))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Suppression(Method.soft_gaussian, sigma=0.5), {0: 0.9, 2: 0.682928, 3: 0.6, 1: 0.197055}),
        (Suppression(Method.soft_gaussian, sigma=0.85), {0: 0.9, 2: 0.689906, 3: 0.6, 1: 0.350871}),
        (Suppression(Method.soft_gaussian, sigma=0.4), {0: 0.9, 2: 0.678725, 3: 0.6, 1: 0.138823}),
        (Suppression(Method.soft_gaussian, tiou=0.65, sigma=0.75), {0: 0.9, 2: 0.7, 3: 0.6, 1: 0.327684}),
        (Suppression(Method.soft_gaussian, tiou=0.85, sigma=0.75), {0: 0.9, 1: 0.8, 2: 0.7, 3: 0.6}),
        (Suppression(Method.soft_linear, tiou=0.4), {0: 0.9, 2: 0.7, 3: 0.6, 1: 0.145455}),
        (Suppression(Method.hard, tiou=0.65), {0: 0.9, 2: 0.7, 3: 0.6}),
        (Suppression(Method.hard, tiou=0.85), {0: 0.9, 1: 0.8, 2: 0.7, 3: 0.6}),
    ],
)
def test_hand_computed_scores(settings, expected):
    kept, scores = suppress(EXAMPLE, EXAMPLE_SCORES, None, settings)
    assert kept.tolist() == list(expected)
    assert scores == pytest.approx(list(expected.values()), abs=1e-6)


@pytest.mark.parametrize(
    ("segments", "expected"),
    [([[0, 0.5], [0.05, 0.55]], [0.9, 0.327684]), ([[0, 0.8], [0.1, 0.9]], [0.9, 0.8])],
)
def test_width_rule_of_the_public_mgnet_code(segments, expected):
    settings = PRESETS["mgnet-activitynet13-code"].settings
    _, scores = suppress(np.array(segments), np.array([0.9, 0.8]), None, settings, duration=1.0)
    assert scores == pytest.approx(expected, abs=1e-6)


def test_soft_nms_keeps_the_last_of_two_disjoint_candidates():
    kept, scores = suppress(np.array([[0, 1], [5, 6]], float), np.array([0.2, 0.7]), None, Suppression())
    assert (kept.tolist(), scores.tolist()) == ([1, 0], [0.7, 0.2])


def test_a_single_candidate_is_kept():
    kept, scores = suppress(np.array([[1.0, 2.0]]), np.array([0.3]), np.array([4]), Suppression())
    assert (kept.tolist(), scores.tolist()) == ([0], [0.3])


def test_no_candidates_give_none():
    kept, scores = suppress(np.empty((0, 2)), np.empty(0), None, Suppression(top_k=5))
    assert (len(kept), len(scores)) == (0, 0)


def test_a_tiou_equal_to_the_threshold_does_not_suppress():
    halves = np.array([[0, 10], [0, 5]], float)
    kept, _ = suppress(halves, np.array([0.9, 0.8]), None, Suppression(Method.hard, tiou=0.5))
    assert kept.tolist() == [0, 1]


def test_a_score_equal_to_the_least_score_is_kept():
    kept, _ = suppress(EXAMPLE, EXAMPLE_SCORES, None, Suppression(Method.hard, tiou=0.9, min_score=0.7))
    assert kept.tolist() == [0, 1, 2]


def test_classes_leave_each_other_alone_unless_agnostic():
    same = np.array([[0, 10], [0, 10]], float)
    classes = np.array([0, 1])
    for agnostic, expected in ((False, [0, 1]), (True, [0])):
        settings = Suppression(Method.hard, agnostic=agnostic)
        assert suppress(same, np.array([0.9, 0.8]), classes, settings)[0].tolist() == expected


def test_hard_suppression_takes_negative_scores_and_soft_refuses_them():
    scores = np.array([-1.0, -2.0, -3.0, -4.0])
    assert suppress(EXAMPLE, scores, None, Suppression(Method.hard))[0].tolist() == [0, 2, 3]
    with pytest.raises(DataError, match="negative"):
        suppress(EXAMPLE, scores, None, Suppression())


def test_width_rule_without_a_duration_is_an_error():
    with pytest.raises(DataError, match="duration"):
        suppress(EXAMPLE, EXAMPLE_SCORES, None, Suppression(Method.soft_width))


def test_a_tiny_sigma_does_not_bring_back_what_was_picked():
    kept, scores = suppress(np.repeat(EXAMPLE, 3, axis=0), np.full(12, 0.5), None, Suppression(sigma=1e-4))
    assert sorted(kept.tolist()) == list(range(12))
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"tiou": 1.5}, "tiou"),
        ({"sigma": 0.0}, "sigma"),
        ({"top_k": 0}, "top-k"),
        ({"method": Method.hard, "sigma": 0.5}, "sigma"),
        ({"tiou_wide": 0.9}, "tiou-wide"),
        ({"min_score": float("nan")}, "--min-score nan"),
    ],
)
def test_settings_that_make_no_sense_are_named(wrong, word):
    with pytest.raises(UsageError, match=word):
        Suppression(**wrong)


def test_an_unknown_preset_is_an_error_that_suggests_a_known_one():
    with pytest.raises(UsageError, match="did you mean 'afsd-thumos14'"):
        preset("afsd-thumos")


def test_papers_thresholds_are_the_parameters_that_their_code_makes_of_them():
    afsd, mgnet = preset("afsd-thumos14").settings, preset("mgnet-activitynet13").settings
    assert (afsd.width, afsd.threshold) == (0.5, 0.0)
    assert (mgnet.width, mgnet.threshold) == (0.75, 0.8)
