"""What overlapping windows say, averaged: by hand, by loops over windows and pairs, and where one window is all."""

from typing import Any

import pytest
import torch

from taltool.errors import UsageError
from taltool.models.contract import Outputs
from taltool.models.gsmt.config import GSMTConfig
from taltool.models.gsmt.model import GSMT
from taltool.models.gsmt.timeline import edge_weights

WINDOW, CLASSES = 8, 3


def model(**switches: Any) -> GSMT:
    torch.manual_seed(0)
    settings = {"mask_width": 8, "embedding": "cnn1d", "thresholds": (0.4, 0.6), "top_snippets": 0}
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
