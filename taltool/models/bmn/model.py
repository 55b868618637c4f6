"""BMN: Boundary-Matching Network for Temporal Action Proposal Generation (Lin, Liu, Li, Ding, Wen, ICCV 2019).

Proposals without classes. A base module of temporal convolutions feeds temporal evaluation, which says how probable
each snippet is a start and an end, and proposal evaluation, which says for every proposal, a cell of the map of
durations over starts, how well it overlaps with an action, from features at points spread over the proposal and its
surroundings.

It is here because GSMT's Table 11 sets GSMT's transformer into it, "right after the video encoder": with
embedding = transformer that stands between the features and the base module, which stays as it is.

Layers, labels and losses are those of the published PyTorch code (JJBOY/BMN-Boundary-Matching-Network, October 2019),
whose 4,978,564 parameters at 400 channels are the 5.0 M that GSMT counts. Two things differ. There a boundary is an
instant i; here it is one side of snippet i, the cell [i, i + 1), so a start is looked for at a proposal's first
snippet, an end at its last one, and proposals that end where the sample does are made too. There a sample up to one
snippet before the first takes the whole of it; here the first snippet fades out, as the last does on its other side.
"""

from typing import ClassVar

import torch
from torch import Tensor

from taltool.data.statistics import DatasetStatistics
from taltool.errors import UsageError
from taltool.models import MODELS
from taltool.models.bmn.config import PRESETS, BMNConfig, auto_settings
from taltool.models.bmn.loss import ProposalLabels, proposal_terms
from taltool.models.bmn.network import (
    BoundaryHead,
    Convolutions,
    FrontEmbedding,
    ProposalHead,
    ProposalMap,
    proposal_cells,
)
from taltool.models.contract import Batch, Candidates, Model, Outputs, SettingsBySection, Targets
from taltool.models.decoding import likely_boundaries
from taltool.nn.targets import padded_targets
from taltool.nn.whole_batch import ALONE, WholeBatch


@MODELS.register("bmn")
class BMN(Model):
    """See the module.

    Outputs: start_logits, end_logits (B, T); regression_logits, classification_logits (B, N) of the N proposals of at
    most D snippets within T, in rows of equal start; valid (B, T) float.
    """

    Config = BMNConfig
    presets: ClassVar[dict[str, SettingsBySection]] = PRESETS
    is_class_agnostic = True
    config: BMNConfig

    def __init__(self, config: BMNConfig, channels: int, num_classes: int, length: int) -> None:
        super().__init__(config, channels, num_classes, length)
        self.embedding = FrontEmbedding(channels, config.width) if config.embedding == "transformer" else None
        inputs = config.width or channels if self.embedding else channels
        if inputs % config.groups:
            raise UsageError(f"bmn: {inputs} channels are not {config.groups} groups of one size; set model.groups=1")
        self.base = Convolutions(inputs, config.base_width, 2, config.groups)
        self.start, self.end = (BoundaryHead(config.base_width, config.groups) for _ in range(2))
        self.proposals = ProposalHead(config.base_width, config.proposal_width, config.map_width, config.points)
        self._map: ProposalMap | None = None

    def forward(self, features: Tensor, mask: Tensor) -> Outputs:
        """See the class and `Model.forward`."""
        features = features * mask[:, None]
        if self.embedding is not None:
            features = self.embedding(features, mask)
        base = self.base(features, mask)
        regression, classification = self.proposals(base, mask, self.map_over(mask)).unbind(-1)
        return {
            "start_logits": self.start(base, mask).float(),
            "end_logits": self.end(base, mask).float(),
            "regression_logits": regression.float(),
            "classification_logits": classification.float(),
            "valid": mask.float(),
        }

    def map_over(self, mask: Tensor) -> ProposalMap:
        """The map over the snippets of mask (B, T); the last one made is kept."""
        length, device = mask.shape[1], mask.device
        if self._map is None or self._map.length != length or self._map.first.device != device:
            with torch.inference_mode(False):  # Who has predicted may learn next.
                self._map = ProposalMap.of(self.config, length, device)
        return self._map

    def loss(self, outputs: Outputs, targets: Targets, whole: WholeBatch = ALONE) -> dict[str, Tensor]:
        """The terms of temporal evaluation (start, end) and of proposal evaluation, weighted."""
        return proposal_terms(self.config, outputs, self._labels(targets, outputs["valid"]), whole)

    def loss_counts(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        """See `Model.loss_counts`: snippets and cells of each kind."""
        return self._labels(batch.targets, batch.mask.float()).counts()

    def _labels(self, targets: Targets, mask: Tensor) -> ProposalLabels:
        padded = padded_targets(targets.segments, targets.labels, mask.device)
        proposals = self.map_over(mask)
        return ProposalLabels.of(self.config, padded, mask, (proposals.first, proposals.last))

    def decode(self, outputs: Outputs, mask: Tensor) -> list[Candidates]:
        """The proposals [i, j + 1] of each sample, with score p^s_i p^e_j sqrt(p^class_ij p^regression_ij).

        Every proposal of the map, or those between likely boundaries.
        """
        config = self.config
        first, last = proposal_cells(mask.shape[1], config.most_snippets, mask.device)
        start, end = (outputs[f"{name}_logits"].float().sigmoid() * mask for name in ("start", "end"))
        confidence = outputs["classification_logits"].float().sigmoid() * outputs["regression_logits"].float().sigmoid()
        scores = start[:, first] * end[:, last] * (confidence.sqrt() if config.confidence == "root" else confidence)
        kept = mask[:, last]
        if config.candidates == "peaks":
            kept = kept & likely_boundaries(start, mask)[:, first] & likely_boundaries(end, mask)[:, last]
        segments = torch.stack([first, last + 1], dim=-1).float()
        return [Candidates(segments[kept[b]], scores[b, kept[b]], None) for b in range(len(mask))]

    @classmethod
    def auto_settings(cls, statistics: DatasetStatistics) -> SettingsBySection:
        """See `Model.auto_settings` and `taltool.models.bmn.config`."""
        return auto_settings(statistics)
