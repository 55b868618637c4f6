"""GSMT as its published code has it: labels, losses and decoding, by hand, against loops, and in parts of a batch."""

import math
from itertools import groupby
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from test_gsmt import everywhere, model

from taltool.errors import UsageError
from taltool.models.contract import Candidates, Outputs, Targets
from taltool.models.gsmt.config import PRESETS, GSMTConfig
from taltool.models.gsmt.model import GSMT
from taltool.models.gsmt.tags_decode import longest_runs
from taltool.models.gsmt.tags_loss import batch_focal, smoothed_logistic
from taltool.nn.whole_batch import WholeBatch

CODE: dict[str, Any] = PRESETS["tags"]["model"] | {"mask_head": "paper"}


def outputs_of(classes: list[list[float]], masks: list[list[float]]) -> Outputs:
    """One sample: logits (K + 1, T) and masks (T, T) as probabilities."""
    logits = torch.tensor([classes])
    return {
        "class_logits": logits,
        "lr_logits": logits,
        "mask_logits": torch.tensor([masks]).logit(),
        "valid": torch.ones(1, len(masks)),
    }


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def test_instances_lose_a_snippet_at_each_end_and_may_vanish() -> None:
    """[1.5, 6.5) is labelled from 2 to 5, [7.2, 9.9) not at all: from 8 to 8."""
    targets = Targets([torch.tensor([[1.5, 6.5], [7.2, 9.9]])], [torch.tensor([2, 0])])
    labels, masks = model(targets="code").snippet_targets(targets, torch.ones(1, 10))
    assert labels.tolist() == [[4, 4, 2, 2, 2, 4, 4, 4, 4, 4]]
    assert masks[0, 2:5, 2:5].sum() == masks.sum() == 9


# Two snippets of an action of class 0 (of 2) in a sample of three; K + 1 logits of each.
CLASSES = [[2.0, 1.0, -1.0], [0.0, 0.5, -3.0], [-1.0, 0.0, 3.0]]
MASKS = [[0.9, 0.6, 0.2], [0.7, 0.8, 0.3], [0.1, 0.4, 0.2]]
TRUTH = np.array([[1.0, 1, 0], [1, 1, 0], [0, 0, 0]])
LABELS = (0, 0, 2)


def code_terms(**switches: Any) -> dict[str, float]:
    network = model(3, classes=2, **CODE | switches)
    targets = Targets([torch.tensor([[-1.0, 3.0]])], [torch.tensor([0])])  # Snippets 0 and 1 behind the shrinking.
    return {name: term.item() for name, term in network.loss(outputs_of(CLASSES, MASKS), targets).items()}


def test_one_focal_weight_for_the_batch_worked_by_hand() -> None:
    logits = np.array(CLASSES)
    entropy = np.mean([np.log(np.exp(logits[:, t]).sum()) - logits[LABELS[t], t] for t in range(3)])
    expected = (1 - math.exp(-entropy)) ** 2 * entropy
    assert code_terms()["focal"] == pytest.approx(0.6 * expected, abs=1e-6)


def test_the_focal_weight_of_the_batch_learns_too() -> None:
    """The gradient is that of the whole expression, not of the cross entropy under a fixed weight."""
    logits = torch.tensor([CLASSES], requires_grad=True)
    labels = torch.tensor([LABELS])
    entropy = torch.nn.functional.cross_entropy(logits, labels)
    (wanted,) = torch.autograd.grad((1 - (-entropy).exp()) ** 2 * entropy, logits)
    found = batch_focal(logits, labels, torch.ones(1, 3), torch.tensor(3.0), 2.0, WholeBatch())
    torch.testing.assert_close(torch.autograd.grad(found, logits)[0], wanted)


def test_sixty_percent_of_the_classes_are_hard_negatives() -> None:
    """K = 5: the three largest of the wrong logits are pushed down."""
    logits = torch.linspace(-1, 1, 6)[None, None].requires_grad_()
    one = torch.ones(1, 1)
    labels = torch.zeros(1, 1, dtype=torch.int64)
    smoothed_logistic(GSMTConfig(**CODE), logits, labels, one, one.sum(), WholeBatch()).backward()
    assert logits.grad is not None
    assert (logits.grad > 0).nonzero()[:, 2].tolist() == [3, 4, 5]


def test_logistic_loss_with_smoothed_positives_worked_by_hand() -> None:
    """K = 2: the hardest one of two wrong classes, background among them; 3 snippets and 10."""
    positive = sum(-math.log(sigmoid(CLASSES[LABELS[t]][t]) + 1e-6) for t in range(3))
    hardest = [0.0, 0.5, -1.0]
    negative = sum(-math.log(sigmoid(-value) + 1e-6) for value in hardest)
    assert code_terms()["lr"] == pytest.approx(0.4 * (positive / 13 + 10 * negative / 3), abs=1e-5)


def test_cross_entropy_is_balanced_over_all_masks_worked_by_hand() -> None:
    masks = np.array(MASKS)
    positive = -np.log(masks + 1e-6)[TRUTH == 1].sum() / (4 + 10)
    negative = -np.log(1 - masks + 1e-6)[TRUTH == 0].sum() / (5 + 10)
    assert code_terms()["bce"] == pytest.approx(0.4 * (positive + negative) / 2, abs=1e-6)


def test_dice_of_all_masks_as_one_worked_by_hand() -> None:
    masks = np.array(MASKS)
    expected = 1 - ((masks * TRUTH).sum() + 1) / ((masks**2).sum() + TRUTH.sum() + 1)
    assert code_terms()["dice"] == pytest.approx(0.6 * expected, abs=1e-6)


def test_square_error_where_actions_are_worked_by_hand() -> None:
    """All three rows, at the places of the two action snippets."""
    assert code_terms()["mse"] == pytest.approx(np.mean((np.array(MASKS) - TRUTH)[:, :2] ** 2), abs=1e-6)


@pytest.mark.parametrize(
    ("switch", "left"),
    [
        ("loss_focal", {"lr", "bce", "dice", "mse"}),
        ("loss_lr", {"focal", "bce", "dice", "mse"}),
        ("loss_biou", {"focal", "lr", "dice", "mse"}),
        ("loss_dice", {"focal", "lr", "bce", "mse"}),
        ("mask_branch", {"focal", "lr"}),
    ],
)
def test_a_loss_of_the_code_may_be_off(switch: str, left: set[str]) -> None:
    full = code_terms()
    found = code_terms(**{switch: False, "decoding": "text"})
    assert found == {name: value for name, value in full.items() if name in left}


def test_padding_counts_in_no_loss_of_the_code() -> None:
    network = model(6, classes=2, **CODE)
    targets = Targets([torch.tensor([[-1.0, 3.0]])], [torch.tensor([0])])
    outputs = outputs_of(CLASSES, MASKS)
    alone = network.loss(outputs, targets)
    padded = {name: torch.nn.functional.pad(value, (0, 3), value=7.0) for name, value in outputs.items()}
    padded["mask_logits"] = torch.nn.functional.pad(padded["mask_logits"], (0, 0, 0, 3), value=7.0)
    padded["valid"] = torch.tensor([[1.0, 1, 1, 0, 0, 0]])
    for name, term in network.loss(padded, targets).items():
        assert term.item() == pytest.approx(alone[name].item(), abs=1e-6), name


class Part(WholeBatch):
    """Some samples of a batch, of which it may be known beforehand what all of them count."""

    def __init__(self, share: float, totals: dict[str, torch.Tensor] | None) -> None:
        self.share, self.totals, self.counted = share, totals, dict[str, torch.Tensor]()

    def total(self, name: str, value: torch.Tensor) -> torch.Tensor:
        assert name not in self.counted
        self.counted[name] = value
        return value if self.totals is None else self.totals[name]


def test_parts_of_a_batch_give_value_and_gradient_of_the_whole() -> None:
    """The focal weight, which is no sum over samples, too."""
    generator = torch.Generator().manual_seed(0)
    network = model(8, **CODE)
    targets = Targets([torch.tensor([[0.0, 5.0]]), torch.tensor([[1.0, 8.0]]), torch.zeros(0, 2)], [torch.tensor([0]),
                      torch.tensor([3]), torch.zeros(0, dtype=torch.int64)])  # fmt: skip
    classes = torch.randn(3, 5, 8, generator=generator, requires_grad=True)
    masks = torch.randn(3, 8, 8, generator=generator, requires_grad=True)

    def loss(rows: slice, whole: WholeBatch) -> torch.Tensor:
        own = {"class_logits": classes[rows], "lr_logits": classes[rows], "mask_logits": masks[rows]}
        truth = Targets(targets.segments[rows], targets.labels[rows])
        terms = network.loss(own | {"valid": torch.ones(len(own["mask_logits"]), 8)}, truth, whole)
        return torch.stack(list(terms.values())).sum()

    wanted = loss(slice(0, 3), WholeBatch())
    gradients = torch.autograd.grad(wanted, [classes, masks])
    slices, totals, found = (slice(0, 1), slice(1, 3)), None, torch.zeros(())
    for _ in range(2):  # First only to count.
        parts = [Part((rows.stop - rows.start) / 3, totals) for rows in slices]
        found = torch.stack([loss(*pair) * pair[1].share for pair in zip(slices, parts, strict=True)]).sum()
        totals = {name: parts[0].counted[name] + parts[1].counted[name] for name in parts[0].counted}
    assert found.item() == pytest.approx(wanted.item(), rel=1e-5)
    for one, other in zip(gradients, torch.autograd.grad(found, [classes, masks]), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def decoded(classes: NDArray[np.float64], masks: NDArray[np.float64], **switches: Any) -> Candidates:
    """What the code's decoding gives for class probabilities (K + 1, T) and masks (T, T)."""
    network = GSMT(
        GSMTConfig(**CODE | {"heads": 1, "mask_width": 4} | switches), 4, len(classes) - 1, len(masks)
    ).eval()
    outputs = outputs_of(np.log(classes).tolist(), masks.tolist())
    return network.decode(outputs, everywhere(len(masks)))[0]


def test_one_mask_of_the_code_worked_by_hand() -> None:
    """T = 10. Snippet 1 is sure (0.9) of class 0. Its mask passes 0.4 at 1 to 5 and 7 to 8, the longest run being 1 to
    5: its inside 2 and 3 has the mean 0.7, and class 0 is at most 0.9 within 1 to 4. It ends at 8, not behind it. At
    most 0.05 elsewhere, class 0 passes no threshold in two snippets, so there are no stretches of classes."""
    classes = np.full((3, 10), 0.05)
    classes[0, 1], classes[1, 9] = 0.9, 0.09
    classes[2] = 1 - classes[:2].sum(0)
    masks = np.full((10, 10), 0.01)
    masks[1] = [0.01, 0.9, 0.6, 0.8, 0.5, 0.7, 0.3, 0.5, 0.5, 0.3]
    found = decoded(classes, masks, top_snippets=1, thresholds=(0.4,))
    assert found.segments.tolist() == [[1, 8]]
    assert found.scores.tolist() == pytest.approx([0.7 * 0.9 * 0.9**2], abs=1e-5)
    assert found.labels is not None
    assert found.labels.tolist() == [0]


@pytest.mark.parametrize(("last", "expected"), [(3, {}), (4, {(2, 4): 0.85 * 0.5})])
def test_stretches_of_class_scores_stand_beside_masks_worked_by_hand(
    last: int, expected: dict[tuple[int, int], float]
) -> None:
    """Class 0 has 0.85 from snippet 2 to `last`: three snippets are a stretch, two are none. It ends at its last
    snippet, and scores by its mask, at most 0.5 before that one. The mask itself is activated from 0 to 3."""
    classes = np.full((3, 10), 0.03)
    classes[0, 2 : last + 1] = 0.85
    classes[2] = 1 - classes[:2].sum(0)
    masks = np.full((10, 10), 0.01)
    masks[:, :4], masks[:, 4] = [0.6, 0.45, 0.4, 0.5], 0.3
    found = decoded(classes, masks, top_snippets=1, thresholds=(0.35,))
    rows = zip(found.segments.tolist(), found.scores.tolist(), strict=True)
    assert {(a, b): score for (a, b), score in rows} == pytest.approx(expected | {(0, 3): 0.45 * 0.85**3}, abs=1e-5)


def by_loops(classes: NDArray[np.float64], masks: NDArray[np.float64], config: GSMTConfig) -> dict[Any, float]:
    """The same as the paper's repository does it, snippet by snippet, but for masks that have no inside."""
    length, best = len(masks), classes[:-1].max(0)
    label = int(np.log(classes[:-1]).mean(1).argmax())
    found: dict[Any, float] = {}

    def keep(start: int, end: int, score: float) -> None:
        if score > 0:
            found[start, end, label] = max(found.get((start, end, label), 0), score)

    for snippet in np.argsort(-best, kind="stable")[: config.top_snippets]:
        row, has_any = masks[snippet], False
        for threshold in config.thresholds:
            runs = [[i for i, _ in group] for on, group in groupby(enumerate(row > threshold), lambda x: x[1]) if on]
            longest = max(runs, key=len, default=[0])
            first, last = longest[0], longest[-1]
            if last - first > 0.02 * length:
                has_any = True
                inside = row[first + 1 : last - 1] if last - first > 2 else row[first:last]
                shift = classes[label, first:last].max()
                keep(runs[0][0], runs[-1][-1], inside.mean() * best[snippet] * shift**2)
        for threshold in np.arange(1, 10) / 10 if has_any else ():
            above = (best > threshold).nonzero()[0]
            if len(above) and above[-1] - above[0] > 1:
                stretch = slice(above[0], above[-1])
                keep(above[0], above[-1], best[stretch].max() * row[stretch].max())
    return found


@pytest.mark.parametrize("seed", range(12))
def test_decoding_of_the_code_equals_a_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    length, sharpness = int(rng.integers(3, 60)), rng.uniform(0.5, 4)
    logits = sharpness * rng.standard_normal((4, length))
    classes = np.exp(logits) / np.exp(logits).sum(0)
    masks = 1 / (1 + np.exp(-sharpness * rng.standard_normal((length, length)).cumsum(1)))
    config = GSMTConfig(**CODE)
    expected, found = by_loops(classes, masks, config), decoded(classes, masks)
    assert found.labels is not None
    rows = zip(found.segments.tolist(), found.labels.tolist(), found.scores.tolist(), strict=True)
    by_key = {(int(start), int(end), label): score for (start, end), label, score in rows}
    assert by_key.keys() == expected.keys()
    assert all(by_key[key] == pytest.approx(expected[key], abs=1e-5) for key in expected)


@given(st.integers(1, 9).flatmap(lambda n: st.lists(st.lists(st.booleans(), min_size=n, max_size=n), min_size=1)))
def test_longest_runs_equal_a_loop(rows: list[list[bool]]) -> None:
    expected = []
    for number, row in enumerate(rows):
        found = [[i for i, _ in group] for on, group in groupby(enumerate(row), lambda x: x[1]) if on]
        if found:
            longest = max(found, key=len)
            expected.append((number, longest[0], longest[-1] + 1))
    assert [tuple(row) for row in torch.stack(longest_runs(torch.tensor(rows))).T.tolist()] == expected


def test_candidates_of_the_code_stay_within_the_valid_snippets() -> None:
    network = model(20, **CODE)
    mask = torch.arange(20) < torch.tensor([[12], [1], [20]])
    outputs = network(torch.randn(3, 8, 20, generator=torch.Generator().manual_seed(0)) * mask[:, None], mask)
    for found, valid in zip(network.decode(outputs, mask), mask.sum(1).tolist(), strict=True):
        assert (found.segments <= valid).all()
        assert found.scores.isfinite().all()


@pytest.mark.parametrize(
    ("switches", "message"),
    [
        ({"mask_branch": False}, "decoding of the code is that of masks"),
        ({"segments": "span", "class_segments": True}, "segments, class_segments: not of the code's decoding"),
    ],
)
def test_settings_that_the_code_does_not_know_are_refused(switches: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        GSMTConfig(decoding="code", **switches)
