"""What overlapping windows say, averaged: by hand, by loops over windows and pairs, and where one window is all."""

from typing import Any

import pytest
import torch

from taltool.errors import UsageError
from taltool.models.contract import Outputs
from taltool.models.gsmt.config import GSMTConfig
from taltool.models.gsmt.model import GSMT
from taltool.models.gsmt.timeline import GSMTTimeline, edge_weights

WINDOW, CLASSES = 8, 3


def model(**switches: Any) -> GSMT:
    torch.manual_seed(0)
    settings: dict[str, Any] = {"mask_width": 8, "embedding": "cnn1d", "thresholds": (0.4, 0.6), "top_snippets": 0}
    return GSMT(GSMTConfig(**settings | switches), 4, CLASSES, WINDOW).eval()


def outputs(samples: int, seed: int = 0, length: int = WINDOW) -> Outputs:
    random = torch.Generator().manual_seed(seed)
    return {
        "class_logits": 2 * torch.randn(samples, CLASSES + 1, length, generator=random),
        "mask_logits": 2 * torch.randn(samples, length, length, generator=random),
        "valid": torch.ones(samples, length),
    }


def listed(network: GSMT, length: int, given: Outputs, firsts: list[int]) -> list[tuple[float, ...]]:
    """The candidates of a video whose windows begin at these snippets, by their segments and labels."""
    timeline = network.timeline(length, torch.device("cpu"))
    for row, first in enumerate(firsts):
        timeline.add(given, row, first, min(WINDOW, length))
    found = timeline.candidates()
    assert found.labels is not None
    rows = zip(found.segments.tolist(), found.labels.tolist(), found.scores.tolist(), strict=True)
    return sorted((*segment, label, score) for segment, label, score in rows)


@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"class_score": "contrast", "symmetric_masks": True, "mask_score": "mean"},
        {"class_score": "segment", "class_segments": True},
        {"mask_branch": False},
        {"segments": "span", "top_snippets": 3},
    ],
)
def test_a_video_of_one_window_is_decoded_as_that_window(switches: dict[str, Any]) -> None:
    network, given = model(**switches), outputs(1)
    (alone,) = network.decode(given, torch.ones(1, WINDOW, dtype=torch.bool))
    assert alone.labels is not None
    rows = zip(alone.segments.tolist(), alone.labels.tolist(), alone.scores.tolist(), strict=True)
    expected = sorted((*segment, label, score) for segment, label, score in rows)
    found = listed(network, WINDOW, given, [0])
    assert [row[:3] for row in found] == [row[:3] for row in expected]
    assert [row[3] for row in found] == pytest.approx([row[3] for row in expected], rel=1e-5)


def test_windows_are_averaged_snippet_by_snippet_and_pair_by_pair() -> None:
    """The mean by loops over windows and pairs, decoded as one sample whose M is 0 where no window sees both."""
    network, firsts, length = model(class_score="contrast"), [0, 4, 6], 14
    given, weights = outputs(3), edge_weights(WINDOW, torch.device("cpu"))
    classes, class_sums = torch.zeros(CLASSES, length), torch.zeros(length)
    masks, sums = torch.zeros(length, length), torch.zeros(length, length)
    for row, first in enumerate(firsts):
        probabilities, own = given["class_logits"][row].softmax(0), given["mask_logits"][row].sigmoid()
        for t in range(WINDOW):
            classes[:, first + t] += weights[t] * probabilities[:-1, t]
            class_sums[first + t] += weights[t]
            for s in range(WINDOW):
                masks[first + t, first + s] += weights[t] * weights[s] * own[t, s]
                sums[first + t, first + s] += weights[t] * weights[s]
    mean = classes / class_sums
    whole = {
        "class_logits": torch.cat([mean, 1 - mean.sum(0, keepdim=True)]).log()[None],
        "mask_logits": (masks / sums.clamp(min=1e-9)).logit(eps=1e-9)[None],
        "valid": torch.ones(1, length),
    }
    (expected,) = network.decode(whole, torch.ones(1, length, dtype=torch.bool))
    assert expected.labels is not None
    rows = zip(expected.segments.tolist(), expected.labels.tolist(), expected.scores.tolist(), strict=True)
    wanted = sorted((*segment, label, score) for segment, label, score in rows)
    found = listed(network, length, given, firsts)
    assert [row[:3] for row in found] == [row[:3] for row in wanted]
    assert [row[3] for row in found] == pytest.approx([row[3] for row in wanted], rel=1e-4)


def test_an_action_that_no_window_holds_whole_is_found_whole() -> None:
    """[3, 11) of 14 snippets, longer than the window says of it at 0 (five snippets), 3 (all) and 6 (five)."""
    network, length = model(class_score="contrast", mask_score="mean", symmetric_masks=True), 14
    firsts, action = [0, 3, 6], torch.zeros(length, dtype=torch.bool)
    action[3:11] = True
    classes = torch.full((3, CLASSES + 1, WINDOW), -9.0)
    masks = torch.full((3, WINDOW, WINDOW), -9.0)
    for row, first in enumerate(firsts):
        here = action[first : first + WINDOW]
        classes[row, 1, here], classes[row, CLASSES, ~here] = 0.0, 0.0
        masks[row, here[:, None] & here] = 9.0
    given = {"class_logits": classes, "mask_logits": masks, "valid": torch.ones(3, WINDOW)}
    best = max(listed(network, length, given, firsts), key=lambda row: row[3])
    assert best[:3] == (3, 11, 1)
    assert best[3] > 0.99


def test_what_windows_say_at_their_ends_counts_less() -> None:
    assert edge_weights(8, torch.device("cpu")).tolist() == [0.5, 1.5, 2, 2, 2, 2, 1.5, 0.5]
    assert edge_weights(1, torch.device("cpu")).tolist() == [0.5]


def test_what_decodes_windows_one_by_one_says_so() -> None:
    with pytest.raises(UsageError, match=r"decodes windows one by one; set prediction\.average_windows = false"):
        model(decoding="code", thresholds=(0.5,)).timeline(20, torch.device("cpu"))


def filled(network: GSMT, length: int, seed: int) -> GSMTTimeline:
    """The timeline of random windows, one snippet after the other."""
    timeline = network.timeline(length, torch.device("cpu"))
    firsts = range(length - WINDOW + 1)
    given = outputs(len(firsts), seed)
    for first in firsts:
        timeline.add(given, first, first, WINDOW)
    return timeline


def dense(timeline: GSMTTimeline) -> tuple[torch.Tensor, torch.Tensor]:
    """All its masks, over all snippets, and which pairs are known."""
    length, reach = timeline.length, timeline.reach
    masks, known = torch.zeros(2, length, length)
    for t in range(length):
        for s in range(max(0, t - reach), min(length, t + reach + 1)):
            weight = timeline.mask_weights[t, s - t + reach]
            known[t, s] = float(weight > 0)
            masks[t, s] = timeline.masks[t, s - t + reach] / weight if weight > 0 else 0
    return masks, known


@pytest.mark.parametrize("length", [10, 18, 28])
def test_masks_of_a_stretched_video_are_those_of_the_whole_map_interpolated(length: int) -> None:
    """Where all four neighbours of a pair are known; torch's bilinear interpolation is the twin."""
    network = model()
    grid, other = network.timeline(14, torch.device("cpu")), filled(network, length, 1)
    masks, known = (
        torch.nn.functional.interpolate(each[None, None], size=(14, 14), mode="bilinear")[0, 0] for each in dense(other)
    )
    values, votes = other.masks_of(torch.arange(14), grid)
    compared = 0
    for t in range(14):
        for s in range(max(0, t - grid.reach), min(14, t + grid.reach + 1)):
            assert float(votes[t, s - t + grid.reach]) == pytest.approx(float(known[t, s]), abs=1e-5)
            assert float(values[t, s - t + grid.reach]) == pytest.approx(float(masks[t, s]), abs=1e-5)
            compared += float(known[t, s]) > 0.99
    assert compared > 50
    outside = torch.arange(14)[:, None] + torch.arange(-grid.reach, grid.reach + 1)
    assert float(votes[(outside < 0) | (outside >= 14)].max()) == 0


def test_forms_of_a_video_are_averaged() -> None:
    """A video as it is says 1 of class 0, twice as long 0: the mean is .5 everywhere, as of the masks."""
    network = model(thresholds=(0.5,), mask_score="mean", class_score="segment")
    timelines = []
    for length, sign in ((12, 1.0), (24, -1.0)):
        timeline = network.timeline(length, torch.device("cpu"))
        classes = torch.full((1, CLASSES + 1, WINDOW), -30.0)
        classes[:, 0 if sign > 0 else CLASSES] = 0.0
        given = {
            "class_logits": classes,
            "mask_logits": torch.full((1, WINDOW, WINDOW), 30.0 * sign),
            "valid": torch.ones(1, WINDOW),
        }
        for first in range(length - WINDOW + 1):
            timeline.add(given, 0, first, WINDOW)
        timelines.append(timeline)
    own, other = timelines
    alone, both = own.candidates(), own.candidates([other])
    assert float(alone.scores.max()) == pytest.approx(1.0)
    # The class has .5; masks have .5 where both know a pair, 1 where snippets are too far apart in the longer form.
    assert 0.25 < float(both.scores.max()) < 0.5
    assert torch.equal(both.segments.max(), torch.tensor(12.0))
