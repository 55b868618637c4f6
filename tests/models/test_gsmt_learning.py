"""What GSMT as its paper has it can learn and what it cannot, on toy videos whose snippets are easy to classify."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from taltool.data.arrays import Detections, Instances
from taltool.models.contract import Batch, Targets
from taltool.models.gsmt.model import GSMT, GSMTConfig
from taltool.ops.metrics.map import mean_average_precision
from taltool.ops.nms import suppress
from taltool.ops.nms_settings import Suppression

LENGTH, CHANNELS, CLASSES = 24, 12, 3
NMS = Suppression(sigma=0.6, min_score=1e-3)


def toy(videos: int, actions: int, seed: int, *, one_class: bool = False) -> tuple[Tensor, Targets]:
    """Noisy prototypes of classes and background; actions anywhere, together a fifth to seven tenths of a video.

    one_class: all actions of a video have the same class, as in most videos of THUMOS14.
    """
    rng = np.random.default_rng(seed)
    prototypes = np.random.default_rng(7).standard_normal((CLASSES + 1, CHANNELS))
    truth, features = Targets([], []), []
    for _ in range(videos):
        lengths = rng.uniform(0.2, 0.7, actions) / actions * LENGTH
        gaps = 1 + rng.dirichlet(np.ones(actions + 1)) * (LENGTH - lengths.sum() - actions - 1)
        ends = np.cumsum(gaps[:-1] + lengths)
        segments, labels = np.stack([ends - lengths, ends], axis=1), rng.integers(0, CLASSES, actions)
        labels = np.full_like(labels, labels[0]) if one_class else labels
        centres = np.arange(LENGTH) + 0.5
        inside = (centres >= segments[:, :1]) & (centres < segments[:, 1:])  # (actions, T)
        snippets = np.where(inside.any(0), labels[inside.argmax(0)], CLASSES)
        features.append(prototypes[snippets] + 0.5 * rng.standard_normal((LENGTH, CHANNELS)))
        truth.segments.append(torch.from_numpy(segments).float())  # type: ignore[attr-defined]
        truth.labels.append(torch.from_numpy(labels))  # type: ignore[attr-defined]
    return torch.from_numpy(np.stack(features)).float().transpose(1, 2), truth


def everywhere(features: Tensor) -> Tensor:
    return torch.ones(features.shape[0], features.shape[2], dtype=torch.bool)


def trained(actions: int, *, one_class: bool = False, **switches: Any) -> GSMT:
    """The paper's transformer, losses and decoding, narrower, after 100 updates of 16 of 64 videos."""
    torch.manual_seed(0)
    network = GSMT(GSMTConfig(**{"mask_width": 32} | switches), CHANNELS, CLASSES, LENGTH).train()
    features, truth = toy(64, actions, seed=0, one_class=one_class)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(100):
        rows = torch.randperm(len(features))[:16].tolist()
        targets = Targets([truth.segments[row] for row in rows], [truth.labels[row] for row in rows])
        batch = Batch(features[rows], everywhere(features[rows]), targets, [""] * len(rows))
        optimizer.zero_grad()
        torch.stack(list(network.training_loss(batch, "all").values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    return network.eval()


def average_map(network: GSMT, actions: int, *, one_class: bool = False) -> float:
    """Over tIoU 0.3 to 0.7, on 32 other videos."""
    features, truth = toy(32, actions, seed=1, one_class=one_class)
    with torch.no_grad():
        candidates = network.decode(network(features, everywhere(features)), everywhere(features))
    kept = []
    for video, found in enumerate(candidates):
        assert found.labels is not None
        good = found.scores > 0.1
        segments, labels = found.segments[good].double().numpy(), found.labels[good].numpy()
        which, scores = suppress(segments, found.scores[good].double().numpy(), labels, NMS)
        kept.append((np.full(len(which), video), labels[which], segments[which], scores))
    videos, labels, segments, scores = (np.concatenate(part) for part in zip(*kept, strict=True))
    instances = Instances(
        np.repeat(np.arange(len(features)), actions),
        torch.cat(list(truth.labels)).numpy(),
        torch.cat(list(truth.segments)).double().numpy(),
        len(features),
        CLASSES,
    )
    tious = (0.3, 0.4, 0.5, 0.6, 0.7)
    return float(mean_average_precision(instances, Detections(videos, labels, segments, scores), tious).average)


@pytest.mark.slow
def test_the_papers_form_learns_videos_of_one_action() -> None:
    """As those of ActivityNet; perfect classes and masks would give 1."""
    assert average_map(trained(1, segments="span"), 1) > 0.95


@pytest.mark.slow
def test_actions_of_one_class_are_runs_of_one_mask() -> None:
    """As those of most videos of THUMOS14: masks are the foreground of the video, whose runs are the actions."""
    assert average_map(trained(2, one_class=True), 2, one_class=True) > 0.85


@pytest.mark.slow
def test_without_places_masks_read_by_columns_do_not_find_the_action() -> None:
    """Classes are learnt as well as by rows, and masks have its length, not its place."""
    assert average_map(trained(1, segments="span", mask_axis="column"), 1) < 0.75


@pytest.mark.slow
def test_actions_of_several_classes_are_runs_of_one_mask_too() -> None:
    """Each snippet gives its class to all of them: low numbers where videos have many classes (50 Salads), unless the
    class is that of the segment."""
    network = trained(2)
    assert average_map(network, 2) < 0.75
    network.config = dataclasses.replace(network.config, class_score="segment")
    assert average_map(network, 2) > 0.8


@pytest.mark.parametrize("axis", ["row", "column"])
def test_only_masks_read_by_rows_move_with_their_action(axis: str) -> None:
    """Untrained weights show it: the snippets of an action, three cells later, say the same mask, or one that moved."""
    torch.manual_seed(0)
    network = GSMT(GSMTConfig(mask_width=8, mask_axis=axis), CHANNELS, CLASSES, LENGTH).eval()  # type: ignore[arg-type]
    features, _ = toy(1, 1, seed=0)
    with torch.no_grad():
        before, after = (
            network(each, everywhere(each))["mask_logits"] for each in (features, features.roll(3, dims=2))
        )
    inner = slice(5, LENGTH - 8)  # Where no kernel reaches an end of the video.
    moved = slice(8, LENGTH - 5)
    if axis == "row":
        torch.testing.assert_close(after[:, :, moved], before[:, :, inner])
    else:
        torch.testing.assert_close(after[:, moved], before[:, inner])
