"""A model of somebody else's package: one convolution that says class and distances at every snippet."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taltool.data.statistics import DatasetStatistics
from taltool.models.contract import Batch, Candidates, Model, Outputs, SettingsBySection, Targets
from taltool.nn.whole_batch import ALONE, WholeBatch


@dataclass(frozen=True)
class TinyConfig:
    """Settings of every kind that a configuration must be able to say."""

    width: int = 8
    dropout: float = 0.2
    two_phases: bool = False
    activation: Literal["relu", "tanh"] = "relu"
    levels: tuple[int, ...] = (1, 2)
    limit: float | None = None
    # The batch (counted over the life of the process) whose location loss is NaN; 0 = none.
    broken_batch: int = 0


class TinyModel(Model):
    """Outputs: logits (B, T, K) of each class, distances (B, T, 2) > 0 to start and end from each snippet's centre."""

    Config = TinyConfig
    presets: ClassVar[dict[str, SettingsBySection]] = {
        "thumos14": {"sampling": {"length": 16}, "training": {"epochs": 2, "batch_size": 4}},
    }
    length_multiple = 4
    config: TinyConfig

    def __init__(self, config: TinyConfig, channels: int, num_classes: int, length: int) -> None:
        super().__init__(config, channels, num_classes, length)
        self.phases = ("class", "location") if config.two_phases else ("all",)
        self.body = nn.Conv1d(channels, config.width, 3, padding=1)
        self.head = nn.Conv1d(config.width, num_classes + 2, 1)
        self.batches = 0

    def forward(self, features: Tensor, mask: Tensor) -> Outputs:
        hidden = self.body(features) * mask[:, None]
        hidden = F.dropout(torch.relu(hidden), self.config.dropout, self.training)
        found = self.head(hidden).transpose(1, 2)
        return {"logits": found[..., :-2], "distances": F.softplus(found[..., -2:]), "mask": mask}

    def loss(self, outputs: Outputs, targets: Targets, whole: WholeBatch = ALONE) -> dict[str, Tensor]:
        classes, location = [], []
        for row, (segments, labels) in enumerate(zip(targets.segments, targets.labels, strict=True)):
            length = int(outputs["mask"][row].sum())
            logits, distances = outputs["logits"][row, :length], outputs["distances"][row, :length]
            centre = torch.arange(length) + 0.5
            wanted = torch.zeros_like(logits)
            for (start, end), label in zip(segments, labels, strict=True):
                inside = (centre >= start) & (centre <= end)
                wanted[inside, label] = 1
                ends = torch.stack([centre - start, end - centre], 1)[inside]
                location.append(F.smooth_l1_loss(distances[inside], ends, reduction="sum") / max(len(ends), 1))
            classes.append(F.binary_cross_entropy_with_logits(logits, wanted))
        nothing = outputs["distances"].sum() * 0
        return {"class": torch.stack(classes).mean(), "location": nothing + sum(location) / len(classes) * 0.1}

    def training_loss(self, batch: Batch, phase: str, whole: WholeBatch = ALONE) -> dict[str, Tensor]:
        self.batches += 1
        losses = super().training_loss(batch, phase, whole)
        if self.batches == self.config.broken_batch:
            losses["location"] = losses["location"] * float("nan")
        return losses if phase == "all" else {phase: losses[phase]}

    def decode(self, outputs: Outputs, mask: Tensor) -> list[Candidates]:
        scores = outputs["logits"].sigmoid() * mask[..., None]
        centre = torch.arange(mask.shape[1]) + 0.5
        segments = torch.stack([centre - outputs["distances"][..., 0], centre + outputs["distances"][..., 1]], -1)
        every = []
        for row in range(len(mask)):
            where = (scores[row] > 0).nonzero()
            every.append(Candidates(segments[row, where[:, 0]], scores[row][tuple(where.T)], where[:, 1]))
        return every

    @classmethod
    def auto_settings(cls, statistics: DatasetStatistics) -> SettingsBySection:
        return {
            "model": {"width": 4 * statistics.num_classes},
            "sampling": {"length": 16, "train_stride": 8, "test_stride": 8},
            "training": {"learning_rate": 0.03, "batch_size": 4, "epochs": 4, "clip_norm": 1.0, "select": "loss"},
        }
