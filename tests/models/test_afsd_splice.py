"""Clips with background spliced into an action."""

import json
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from taltool.data.clock import FeatureClock
from taltool.experiment.configuration import build, preset_layer
from taltool.experiment.sampling import cut_samples, is_useful, on_grid, shortest_shown
from taltool.models.afsd.config import SpliceRule
from taltool.models.afsd.consistency import plan_splice
from taltool.models.afsd.model import AFSD


def test_background_after_the_action_moves_into_it() -> None:
    # Snippets 2-7 are action; the other instance makes the piece 2 snippets long; the only gap with room is 12-13.
    segments = torch.tensor([[2.0, 8.0], [9.0, 11.0], [14.0, 16.0], [0.0, 2.0]])
    plan = plan_splice(segments, 16, 16, 2.0, "paper", torch.Generator().manual_seed(0))
    assert plan is not None
    split = plan.background[0]
    assert 4 <= split <= 6
    assert plan.order[split : split + 2].tolist() in ([11, 12], [12, 13])
    assert plan.before == (2, split)
    assert plan.background == (split, split + 2)
    assert plan.after == (split + 2, 10)


def test_background_before_the_action_is_the_mirror_image() -> None:
    plan = plan_splice(
        torch.tensor([[3.0, 10.0], [10.0, 12.0]]), 12, 12, 2.0, "paper", torch.Generator().manual_seed(1)
    )
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
    assert plan_splice(torch.tensor(segments).view(-1, 2), 16, 16, shortest, "paper") is None


def test_a_clip_of_one_instance_is_spliced_where_its_video_has_a_shorter_one() -> None:
    alone = torch.tensor([[10.0, 40.0]])
    assert plan_splice(alone, 64, 64, 30.0, "paper") is None
    plan = plan_splice(alone, 64, 64, 5.2, "paper")
    assert plan is not None
    assert plan.background[1] - plan.background[0] == 6


@pytest.mark.parametrize(("shortest", "piece"), [(1e-3, 1), (4.0, 4), (4.0 + 1e-9, 4), (4.01, 5)])
def test_the_piece_is_the_shortest_instance_in_whole_snippets(shortest: float, piece: int) -> None:
    plan = plan_splice(torch.tensor([[10.0, 40.0]]), 64, 64, shortest, "paper")
    assert plan is not None
    assert plan.background[1] - plan.background[0] == piece


def test_padding_is_no_background() -> None:
    segments = torch.tensor([[0.0, 6.0], [6.0, 8.0]])
    assert plan_splice(segments, 16, 8, 2.0, "paper") is None
    assert plan_splice(segments, 16, 16, 2.0, "paper") is not None


@given(
    st.lists(st.tuples(st.floats(0, 30), st.floats(0.3, 12)), max_size=5),
    st.integers(1, 40),
    st.floats(0.01, 12),
    st.integers(0, 2**31),
    st.sampled_from(["code", "code-activitynet13", "paper"]),
)
def test_a_splice_rearranges_the_clip_and_moves_only_background(
    starts: list[tuple[float, float]], valid: int, shortest: float, seed: int, rule: SpliceRule
) -> None:
    segments = torch.tensor([[s, s + n] for s, n in starts]).view(-1, 2).clamp(max=valid)
    plan = plan_splice(segments, 40, valid, shortest, rule, torch.Generator().manual_seed(seed))
    if plan is None:
        return
    assert sorted(plan.order.tolist()) == list(range(40))
    assert plan.order[valid:].tolist() == list(range(valid, 40))
    first, last = (int(edge) for edge in plan.background)
    assert plan.before[1] == first < last == plan.after[0]
    for old in plan.order[first:last].tolist() if rule == "paper" else ():
        assert not any(s < old + 1 and e > old for s, e in segments.tolist() if e > s)
    if rule == "paper":  # The code's background may be a part of the action.
        assert 0 <= plan.before[0] <= plan.before[1] == first < last == plan.after[0] <= plan.after[1] <= valid
    assert plan.before[1] - plan.before[0] >= last - first - 1e-4
    assert plan.after[1] - plan.after[0] >= last - first - 1e-4


def test_the_code_takes_the_nearest_piece_and_background_that_is_longer() -> None:
    # w_min of 2.4 is 2 snippets; of the two gaps only the one of 3 is longer.
    segments = torch.tensor([[2.0, 8.0], [10.0, 12.0], [15.0, 16.0]])
    for seed in range(20):
        plan = plan_splice(segments, 16, 16, 2.4, "code", torch.Generator().manual_seed(seed))
        assert plan is not None
        split = int(plan.background[0])
        assert plan.order[split : split + 2].tolist() in ([12, 13], [13, 14])
    assert plan_splice(segments, 16, 16, 2.6, "code") is None


def test_a_piece_of_the_action_itself_does_not_cross_the_split() -> None:
    # What the code takes for background where an instance ends behind the clip's last snippet is all inside of it.
    for seed in range(50):
        plan = plan_splice(torch.tensor([[0.0, 16.0]]), 16, 16, 3.0, "code", torch.Generator().manual_seed(seed))
        assert plan is not None
        assert sorted(plan.order.tolist()) == list(range(16))


def real_instances(shared: Path) -> list[tuple[float, np.ndarray]]:
    """Duration and segments (M, 2), seconds, of each training video of THUMOS14."""
    database = json.loads((shared / "data" / "thumos14_gt.json").read_text())["database"].values()
    videos = [each for each in database if each["subset"] == "validation"]
    return [(each["duration"], np.array([own["segment"] for own in each["annotations"]])) for each in videos]


def test_as_many_of_the_authors_clips_can_be_spliced_as_by_their_code(shared: Path) -> None:
    """7,865 clips of 256 frames at 10 frames a second, one every 30; their code splices 6,621 of them."""
    clips = spliced = 0
    for duration, seconds in real_instances(shared):
        frames, count = seconds * 10, int(duration * 10)
        starts = list(range(0, count - 256 + 1, 30)) if count > 256 else [0]
        if count > 256 and (count - 256) % 30:
            starts.append(count - 256)
        shown = []
        for start in starts:
            seen = np.minimum(start + 256, frames[:, 1]) - np.maximum(start + 1, frames[:, 0])
            share = seen / (frames[:, 1] - frames[:, 0])
            own = frames[share >= 0.5] - start
            shown.append((np.stack([own[:, 0].clip(min=1), own[:, 1].clip(max=256)], 1), (share >= 1).any()))
        lengths = np.concatenate([np.diff(own, axis=1) for own, _ in shown] + [np.full((1, 1), 256.0)])
        if count <= 256:
            lengths = np.append(lengths, np.diff(frames, axis=1))
        shortest = math.ceil(lengths.min())
        for own, holds_a_whole_one in shown:
            clips += holds_a_whole_one
            spliced += holds_a_whole_one and plan_splice(torch.tensor(own), 256, 256, shortest, "code") is not None
    assert (clips, spliced) == (7865, 6621)


@pytest.mark.slow
def test_four_fifths_of_the_windows_of_the_preset_can_be_spliced(shared: Path) -> None:
    experiment = build("afsd", AFSD.Config, [preset_layer("thumos14", AFSD.presets, "afsd")])
    settings, windows, spliced = experiment.sampling, 0, 0
    for duration, seconds in real_instances(shared):
        length = max(1, (int(duration * 10) - 16) // 4 + 1)
        clock = FeatureClock(10.0, 4.0, 16.0, duration=duration)
        shortest = shortest_shown(clock.grid(seconds), length, settings)
        for sample in cut_samples("video", length, clock, settings, settings.train_stride):
            if is_useful(sample, seconds, settings):
                clipped, belongs, _ = on_grid(sample, seconds, settings.min_ioa)
                own = torch.tensor(clipped[belongs])
                windows += 1
                spliced += (
                    plan_splice(own, settings.length, sample.count, shortest, experiment.model.splice) is not None
                )
    assert windows > 7000
    assert spliced >= 0.8 * windows


@pytest.mark.slow
def test_the_code_for_activitynet_splices_the_same_videos(shared: Path) -> None:
    """Their anet_dataset.py over the real training videos as 768 frames: a fourth of w_min, rounded down; actions of
    twice that, and background that is longer, between boundaries. In one video the action is 2.4 frames long, without a
    whole frame that is a piece away from both ends."""
    database = json.loads((shared / "data" / "activitynet13_gt.json").read_text())["database"].values()
    theirs = ours = 0
    for video in (each for each in database if each["subset"] == "training" and each["annotations"]):
        seconds = np.array([each["segment"] for each in video["annotations"]])
        frames = seconds[seconds[:, 1] > seconds[:, 0]] * (768 / video["duration"])
        if not len(frames):
            continue
        piece = max(1, math.floor(min(768.0, np.diff(frames, axis=1).min())) // 4)  # With 0 theirs moves nothing.
        edges, own = sorted([0.0, 767.0, *frames.flatten().tolist()]), frames.tolist()
        regions = [[a, b] for a, b in pairwise(edges) if [a, b] not in own]
        is_spliced = (np.diff(frames, axis=1) >= 2 * piece).any() and any(
            math.floor(b) - math.ceil(a) > piece for a, b in regions
        )
        theirs += is_spliced
        plan = plan_splice(torch.tensor(frames), 768, 768, 4.0 * piece, "code-activitynet13")
        ours += plan is not None
        assert is_spliced or plan is None
    assert (theirs, ours) == (6534, 6533)


def test_one_instance_is_enough_for_the_code_for_activitynet() -> None:
    alone = torch.tensor([[10.0, 40.0]])
    assert plan_splice(alone, 96, 96, 30.0, "code") is None
    plan = plan_splice(alone, 96, 96, 30.0, "code-activitynet13")
    assert plan is not None
    assert plan.background[1] - plan.background[0] == round(30 / 4)


def test_an_action_of_two_pieces_is_long_enough_for_the_code_for_activitynet() -> None:
    action = torch.tensor([[10.0, 20.0]])
    assert plan_splice(action, 96, 96, 20.0, "code-activitynet13") is not None  # Pieces of 5.
    assert plan_splice(action, 96, 96, 5.0, "code") is None
