"""Clips with background spliced into an action."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from taltool.models.afsd.consistency import plan_splice


def test_background_after_the_action_moves_into_it() -> None:
    # Snippets 2-7 are action; the other instance makes the piece 2 snippets long; the only gap with room is 12-13.
    segments = torch.tensor([[2.0, 8.0], [9.0, 11.0], [14.0, 16.0], [0.0, 2.0]])
    plan = plan_splice(segments, 16, 16, 2.0, torch.Generator().manual_seed(0))
    assert plan is not None
    split = plan.background[0]
    assert 4 <= split <= 6
    assert plan.order[split : split + 2].tolist() in ([11, 12], [12, 13])
    assert plan.before == (2, split)
    assert plan.background == (split, split + 2)
    assert plan.after == (split + 2, 10)


def test_background_before_the_action_is_the_mirror_image() -> None:
    plan = plan_splice(torch.tensor([[3.0, 10.0], [10.0, 12.0]]), 12, 12, 2.0, torch.Generator().manual_seed(1))
    assert plan is not None
    start, end = plan.background
    assert plan.before == (1, start)
    assert plan.after == (end, 10)
    assert plan.order[start:end].tolist() in ([0, 1], [1, 2])


@pytest.mark.parametrize(
    ("segments", "shortest"),
    [([], math.inf), ([[0.0, 16.0]], 2.0), ([[2.0, 6.0]], 2.0), ([[0.0, 8.0], [8.0, 12.0], [12.0, 16.0]], 2.0)],
    ids=["no instance", "no background", "action not twice as long as the piece", "no gap"],
)
def test_clips_that_cannot_be_spliced_are_skipped(segments: list[list[float]], shortest: float) -> None:
    assert plan_splice(torch.tensor(segments).view(-1, 2), 16, 16, shortest) is None


def test_a_clip_of_one_instance_is_spliced_where_its_video_has_a_shorter_one() -> None:
    alone = torch.tensor([[10.0, 40.0]])
    assert plan_splice(alone, 64, 64, 30.0) is None
    plan = plan_splice(alone, 64, 64, 5.2)
    assert plan is not None
    assert plan.background[1] - plan.background[0] == 6


@pytest.mark.parametrize(("shortest", "piece"), [(1e-3, 1), (4.0, 4), (4.0 + 1e-9, 4), (4.01, 5)])
def test_the_piece_is_the_shortest_instance_in_whole_snippets(shortest: float, piece: int) -> None:
    plan = plan_splice(torch.tensor([[10.0, 40.0]]), 64, 64, shortest)
    assert plan is not None
    assert plan.background[1] - plan.background[0] == piece


def test_padding_is_no_background() -> None:
    segments = torch.tensor([[0.0, 6.0], [6.0, 8.0]])
    assert plan_splice(segments, 16, 8, 2.0) is None
    assert plan_splice(segments, 16, 16, 2.0) is not None


@given(
    st.lists(st.tuples(st.floats(0, 30), st.floats(0.3, 12)), max_size=5),
    st.integers(1, 40),
    st.floats(0.01, 12),
    st.integers(0, 2**31),
)
def test_a_splice_rearranges_the_clip_and_moves_only_background(
    starts: list[tuple[float, float]], valid: int, shortest: float, seed: int
) -> None:
    segments = torch.tensor([[s, s + n] for s, n in starts]).view(-1, 2).clamp(max=valid)
    plan = plan_splice(segments, 40, valid, shortest, torch.Generator().manual_seed(seed))
    if plan is None:
        return
    assert sorted(plan.order.tolist()) == list(range(40))
    assert plan.order[valid:].tolist() == list(range(valid, 40))
    first, last = (int(edge) for edge in plan.background)
    for old in plan.order[first:last].tolist():
        assert not any(s < old + 1 and e > old for s, e in segments.tolist() if e > s)
    assert 0 <= plan.before[0] <= plan.before[1] == first < last == plan.after[0] <= plan.after[1] <= valid
    assert plan.before[1] - plan.before[0] >= last - first - 1e-4
    assert plan.after[1] - plan.after[0] >= last - first - 1e-4
