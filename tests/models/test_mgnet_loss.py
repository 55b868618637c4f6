"""The losses of MGNet's text (section 3.6), worked in NumPy from the printed equations, instance by instance."""

import numpy as np
import pytest
import torch
from torch import Tensor

from taltool.models.contract import Outputs, Targets
from taltool.models.mgnet.config import PRESETS
from taltool.models.mgnet.model import MGNet, MGNetConfig

Floats = np.ndarray
LENGTH = 16
SMALL = {"width": 16, "feature_width": 8, "proposal_width": 16, "head_width": 8}
SEGMENTS = [np.array([[2.0, 7.0], [9.25, 10.5]]), np.array([[4.0, 9.6]])]
# The second sample ends there.
LENGTHS = [LENGTH, 12]
REACH = 2.0  # d_t.


def network(**switches: object) -> MGNet:
    torch.manual_seed(0)
    values = {**SMALL, **PRESETS["paper"]["model"], **switches}
    return MGNet(MGNetConfig(**values), 6, 0, LENGTH).eval()


def answers(model: MGNet) -> Outputs:
    mask = torch.arange(LENGTH) < torch.tensor(LENGTHS)[:, None]
    features = torch.randn(2, 6, LENGTH, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        return model(features, mask)


def losses(model: MGNet, outputs: Outputs) -> dict[str, Tensor]:
    segments = [torch.from_numpy(own).float() for own in SEGMENTS]
    return model.loss(outputs, Targets(segments, [torch.zeros(len(own), dtype=torch.int64) for own in segments]))


def sigmoid(logits: Tensor) -> Floats:
    return logits.double().sigmoid().numpy()


def eq19(labels: Floats, said: Floats) -> float:
    """The sum with alpha+ = T / sum(g) and alpha- = T / sum(1 - g), and the sign of a loss."""
    positive, negative = len(labels) / labels.sum(), len(labels) / (1 - labels).sum()
    return -float((positive * labels * np.log(said) + negative * (1 - labels) * np.log(1 - said)).sum())


def exists(regions: Floats, length: int) -> Floats:
    """1 for each snippet [i, i + 1] that holds something of a region."""
    return np.array([float(any(min(i + 1, end) > max(i, start) for start, end in regions)) for i in range(length)])


def around(places: Floats) -> Floats:
    return np.stack([places - REACH, places + REACH], axis=1)


def overlap_ratio(place: float, regions: Floats) -> float:
    """IoR of [place - d_t / 2, place + d_t / 2]: the most of it that lies in one region."""
    low, high = place - REACH / 2, place + REACH / 2
    return max(max(0.0, min(high, end) - max(low, start)) / (high - low) for start, end in regions)


def square(cells: Floats, length: int) -> dict[tuple[int, int], float]:
    """The cells (i, j) of a map of LENGTH snippets that lie in the first `length`."""
    first, last = np.triu_indices(LENGTH)
    return {(i, j): v for i, j, v in zip(first.tolist(), last.tolist(), cells, strict=True) if j < length}


def test_masks_and_actions_are_the_printed_sums_over_each_video() -> None:
    """Eq. 19 and 20, and the last term of Eq. 21, whose G^a is the same; the loss of a batch is the mean of videos."""
    model = network()
    outputs = answers(model)
    masks = sigmoid(outputs["mask_logits"]).mean(1)
    actions = sigmoid(outputs["action_logits"])
    assert actions.shape == (2, 1, LENGTH)  # One head, on the sum of the streams.
    wanted_mask, wanted_action = [], []
    for own, length, said, action in zip(SEGMENTS, LENGTHS, masks, actions, strict=True):
        labels = [exists(regions, length) for regions in (own, around(own[:, 0]), around(own[:, 1]))]
        wanted_mask.append(sum(eq19(g, s) for g, s in zip(labels, said[:, :length], strict=True)))
        wanted_action.append(eq19(labels[0], action[0, :length]))
    found = losses(model, outputs)
    assert found["mask"].item() == pytest.approx(np.mean(wanted_mask), rel=1e-5)
    assert found["action"].item() == pytest.approx(np.mean(wanted_action), rel=1e-5)


def test_labels_of_snippets_by_hand() -> None:
    """Starts 2 and 9.25: d_t = 2 reaches from 0 to 4 and from 7.25 to 11.25, of which snippet 11 holds a quarter."""
    assert exists(around(SEGMENTS[0][:, 0]), LENGTH).tolist() == [1] * 4 + [0] * 3 + [1] * 5 + [0] * 4
    assert exists(SEGMENTS[0], LENGTH).tolist() == [0] * 2 + [1] * 5 + [0] * 2 + [1] * 2 + [0] * 5


def test_completeness_is_the_mean_over_the_whole_square() -> None:
    """Eq. 21 with lambda_1 = 1: the lower half of the map adds nothing to the sum and is counted."""
    model = network()
    outputs = answers(model)
    wanted = []
    for own, length, cells in zip(SEGMENTS, LENGTHS, sigmoid(outputs["completeness_logits"]), strict=True):
        lost = 0.0
        for (i, j), said in square(cells, length).items():
            overlaps = [max(0.0, min(j + 1, end) - max(i, start)) for start, end in own]
            tious = [o / (j + 1 - i + end - start - o) for o, (start, end) in zip(overlaps, own, strict=True)]
            lost += (said - max(tious)) ** 2 / 2  # Smooth L1 of a difference below 1.
        wanted.append(lost / length**2)
    assert losses(model, outputs)["completeness"].item() == pytest.approx(np.mean(wanted), rel=1e-5)


@pytest.mark.parametrize(("name", "side"), [("start", 0), ("end", 1)])
def test_boundary_maps_learn_shares_of_regions_over_the_whole_square(name: str, side: int) -> None:
    """Eq. 22, which balances nothing: the start of cell (i, j) is at i, its end at j + 1."""
    model = network()
    outputs = answers(model)
    wanted = []
    for own, length, cells in zip(SEGMENTS, LENGTHS, sigmoid(outputs[f"{name}_logits"]), strict=True):
        regions, total = around(own[:, side]), 0.0
        for cell, said in square(cells, length).items():
            share = overlap_ratio(cell[side] + side, regions)
            total += share * np.log(said) + (1 - share) * np.log(1 - said)
        wanted.append(-total / length**2)
    assert losses(model, outputs)[name].item() == pytest.approx(np.mean(wanted), rel=1e-5)


def test_shares_of_regions_by_hand() -> None:
    """An instance that starts at 2: its region is [0, 4]. Places 0 to 6 have the regions [-1, 1] to [5, 7]."""
    shares = [overlap_ratio(place, around(np.array([2.0]))) for place in range(7)]
    assert shares == [0.5, 1, 1, 1, 0.5, 0, 0]


def test_a_kind_that_a_video_lacks_adds_nothing() -> None:
    """Without an instance Eq. 19 is T times the mean of -log(1 - s)."""
    model = network()
    outputs = {name: value[:1] for name, value in answers(model).items()}
    found = model.loss(outputs, Targets([torch.zeros(0, 2)], [torch.zeros(0, dtype=torch.int64)]))
    masks = sigmoid(outputs["mask_logits"]).mean(1)[0]
    assert found["mask"].item() == pytest.approx(-np.log(1 - masks).sum(), rel=1e-5)


def test_a_batch_weighs_its_videos_alike() -> None:
    """Nothing is counted over the batch, so that parts of it have the losses of the whole."""
    model = network()
    outputs, segments = answers(model), [torch.from_numpy(own).float() for own in SEGMENTS]
    labels = [torch.zeros(len(own), dtype=torch.int64) for own in segments]
    alone = [
        model.loss({k: v[n : n + 1] for k, v in outputs.items()}, Targets(segments[n : n + 1], labels[n : n + 1]))
        for n in (0, 1)
    ]
    for name, value in losses(model, outputs).items():
        torch.testing.assert_close(value, (alone[0][name] + alone[1][name]) / 2)


def test_the_head_on_the_sum_sees_no_stream_alone() -> None:
    """With as much taken from one stream as the other gets, it says the same."""
    head = network().action_heads
    first, second, moved = torch.randn(3, 1, 8, LENGTH, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(head([first, second]), head([first + moved, second - moved]))
