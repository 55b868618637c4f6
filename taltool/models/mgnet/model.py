"""MGNet: mask-guided network for temporal action proposals (Yang, Wang, Mei, Liu, Applied Intelligence 2022).

Proposals without classes. A foreground mask generator (FMG) says where action, starts and ends are; mask-guided
transformers (MGT) let every snippet attend only to that foreground; what they find is joined with temporal convolutions
and goes to dense heads, which say for each pair of a first and a last snippet how complete the proposal between them
is and how sure its boundaries are. RGB and flow, the two halves of the channels, have branches of their own.

Presets `paper` (or `activitynet13`) and `thumos14` are the paper's text, `code` and `code-thumos14` the authors' code;
`MGNetConfig` says where they differ.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from taltool.data.statistics import DatasetStatistics
from taltool.errors import UsageError
from taltool.models import MODELS
from taltool.models.contract import Batch, Candidates, Model, Outputs, SettingsBySection, Targets
from taltool.models.decoding import likely_boundaries
from taltool.models.mgnet.attention import binarised, mask_map
from taltool.models.mgnet.config import PRESETS, MaskForm, MGNetConfig, authors_decay, auto_settings
from taltool.models.mgnet.heads import BoundaryHead, CompletenessHead, ProposalGrid, extended
from taltool.models.mgnet.labels import binary_labels
from taltool.models.mgnet.loss import detection_terms, mean_logits
from taltool.models.mgnet.network import ForegroundEncoder, FusedFeatures, FusedStream, SumHeads
from taltool.models.mgnet.pretrained import from_authors
from taltool.nn.conv import SameConv1d
from taltool.nn.proposal_sampling import upper_triangle
from taltool.nn.targets import padded_targets
from taltool.nn.whole_batch import ALONE, WholeBatch


@MODELS.register("mgnet")
class MGNet(Model):
    """See the module.

    Outputs for S streams, H = S + 1 heads (1 for one stream) and N = T (T + 1) / 2 cells in rows of equal start:
    mask_logits (B, H, 3, T) of action, start, end; action_logits (B, H, T), or (B, 1, T) with action_head = sum;
    completeness_logits, start_logits and end_logits (B, N); valid (B, T) float. With supervision = every_head also
    boundary_logits (B, H, 2, T), guided_action_logits (B, S, 1, T), guided_boundary_logits (B, S, 2, T) and
    encoder_logits (B, S, 1, T).
    """

    Config = MGNetConfig
    presets: ClassVar[dict[str, SettingsBySection]] = PRESETS
    is_class_agnostic = True
    config: MGNetConfig

    def __init__(self, config: MGNetConfig, channels: int, num_classes: int, length: int) -> None:
        super().__init__(config, channels, num_classes, length)
        streams, width = config.streams, config.feature_width
        if channels % streams:
            raise UsageError(f"mgnet: {channels} channels are not two streams of one width; set model.streams=1")
        inputs, guided = channels // streams, config.fusion != "conv_only"
        every = config.supervision == "every_head"
        self.encoders = nn.ModuleList(ForegroundEncoder(config, inputs, length) for _ in range(streams * guided))
        self.mask_heads = SumHeads(width, 3, streams) if guided else None
        self.fused = nn.ModuleList(FusedStream(config, inputs, length) for _ in range(streams))
        self.action_heads = SumHeads(width, 1, streams, only_sum=config.action_head == "sum")
        self.boundary_heads = SumHeads(width, 2, streams) if every else None
        self.guided_action, self.guided_boundary = (
            nn.ModuleList(SameConv1d(width, outputs, 1) for _ in range(streams * (every and guided)))
            for outputs in (1, 2)
        )
        self.completeness = CompletenessHead(config.head_width, config.head_dropout)
        self.boundary = BoundaryHead(width, config.proposal_width, config.head_width, config.head_dropout)
        self._grid: ProposalGrid | None = None

    def forward(self, features: Tensor, mask: Tensor) -> Outputs:
        """See the class and `Model.forward`; raises UsageError for more snippets than the network has places."""
        if features.shape[-1] > self.length:
            raise UsageError(
                f"mgnet: it was made for {self.length} snippets, the sample has {features.shape[-1]}; "
                "train and predict with sampling.resize rescale or window"
            )
        streams = (features * mask[:, None]).chunk(self.config.streams, dim=1)
        outputs, allowed = self._foreground(streams, mask)
        fused = [branch(each, allowed, mask) for branch, each in zip(self.fused, streams, strict=True)]
        outputs["action_logits"] = self.action_heads([each.action for each in fused]).squeeze(2).float()
        grid = self.grid(mask.shape[1], mask.device)
        action = mean_logits(outputs["action_logits"]).sigmoid()[:, None]
        boundary = sum((each.boundary for each in fused[1:]), start=fused[0].boundary)
        start, end = self.boundary(extended(boundary, mask), grid)
        completeness = self.completeness(extended(action, mask).squeeze(1), grid)
        outputs |= {
            "completeness_logits": completeness.float(),
            "start_logits": start.float(),
            "end_logits": end.float(),
        }
        return outputs | self._supervised(fused) | {"valid": mask.float()}

    def _foreground(self, streams: tuple[Tensor, ...], mask: Tensor) -> tuple[Outputs, list[Tensor]]:
        """FMG's outputs, and the mask maps (B, T or 1, T) of action, start and end, which pass no gradient."""
        if self.mask_heads is None:
            return {}, []
        foregrounds = [encoder(each, mask) for encoder, each in zip(self.encoders, streams, strict=True)]
        logits = self.mask_heads([each.features for each in foregrounds]).float()
        outputs = {"mask_logits": logits}
        auxiliary = [each.auxiliary[:, None] for each in foregrounds if each.auxiliary is not None]
        if auxiliary:
            outputs["encoder_logits"] = torch.stack(auxiliary, dim=1).float()
        return outputs, self.mask_maps(mean_logits(logits.detach()).sigmoid(), mask)

    def mask_maps(self, probabilities: Tensor, mask: Tensor) -> list[Tensor]:
        """The mask maps (B, T or 1, T) of action, start and end from their probabilities (B, 3, T) (Eq. 6 and 7)."""
        config = self.config
        alphas = (config.alpha_action, config.alpha_boundary, config.alpha_boundary)
        forms: tuple[MaskForm, ...] = (config.mask_map, "all_fores", "all_fores")
        return [
            mask_map(binarised(own, alpha, mask), form, config.dilation)
            for own, alpha, form in zip(probabilities.unbind(1), alphas, forms, strict=True)
        ]

    def grid(self, length: int, device: torch.device) -> ProposalGrid:
        """The cells over `length` snippets; the last one made is kept."""
        if self._grid is None or self._grid.length != length or self._grid.first.device != device:
            with torch.inference_mode(False):  # Who has predicted may learn next.
                self._grid = ProposalGrid.of(length, device)
        return self._grid

    def _supervised(self, fused: list[FusedFeatures]) -> Outputs:
        """The logits of the code's further heads, where they are there."""
        outputs = {}
        if self.boundary_heads is not None:
            outputs["boundary_logits"] = self.boundary_heads([each.boundary for each in fused]).float()
        for name, heads in (("guided_action", self.guided_action), ("guided_boundary", self.guided_boundary)):
            if len(heads):
                logits = [head(getattr(each, name)) for head, each in zip(heads, fused, strict=True)]
                outputs[f"{name}_logits"] = torch.stack(logits, dim=1).float()
        return outputs

    def loss(self, outputs: Outputs, targets: Targets, whole: WholeBatch = ALONE) -> dict[str, Tensor]:
        """The terms of Eq. 23, weighted."""
        padded = padded_targets(targets.segments, targets.labels, outputs["valid"].device)
        return detection_terms(self.config, outputs, padded, whole)

    def loss_counts(self, batch: Batch, phase: str) -> dict[str, Tensor]:
        """See `Model.loss_counts`: snippets and cells that are boundaries or action, and that are not."""
        padded = padded_targets(batch.targets.segments, batch.targets.labels, batch.mask.device)
        return binary_labels(self.config, padded, batch.mask.float()).counts()

    def decode(self, outputs: Outputs, mask: Tensor) -> list[Candidates]:
        """The proposals [i, j + 1] of each sample, moved by `edge_shift`, with score P^c_ij p^s_i p^e_j (Eq. 24)."""
        config, length = self.config, mask.shape[1]
        first, last = upper_triangle(length, mask.device)
        span = last - first
        counted = mask[:, last] & (span < (config.most_snippets or length))
        start, end, completeness = (
            outputs[f"{name}_logits"].float().sigmoid() for name in ("start", "end", "completeness")
        )
        start_scores = mean_over_cells(start, first, counted, length)
        end_scores = mean_over_cells(end, last, counted, length)
        scores = completeness * start_scores[:, first] * end_scores[:, last]
        kept = counted & (span + 1 >= config.least_snippets)
        if config.candidates == "peaks":
            kept &= likely_boundaries(start_scores, mask)[:, first] & likely_boundaries(end_scores, mask)[:, last]
        segments = torch.stack([first, last + 1], dim=-1).float() + config.edge_shift
        return [Candidates(segments[kept[b]], scores[b, kept[b]], None) for b in range(len(mask))]

    def decay_of(self, name: str) -> float | None:
        """See `Model.decay_of`: the weight decay of the authors' code."""
        return authors_decay(name)

    @classmethod
    def convert_state_dict(cls, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See `Model.convert_state_dict`; the authors' network, which preset `code` describes, is known."""
        return from_authors(state) if any("DSBNet." in name for name in state) else dict(state)

    @classmethod
    def auto_settings(cls, statistics: DatasetStatistics) -> SettingsBySection:
        """See `Model.auto_settings` and `taltool.models.mgnet.config`."""
        return auto_settings(statistics)


def mean_over_cells(cells: Tensor, index: Tensor, counted: Tensor, length: int) -> Tensor:
    """The mean (B, T) of cells (B, N) with equal index (N,), over counted (B, N) ones; 0 where there is none.

    With the first snippet as index these are the means over rows, with the last one those over columns.
    """
    weights = counted.to(cells.dtype)
    sums = cells.new_zeros(len(cells), length).index_add_(1, index, cells * weights)
    counts = cells.new_zeros(len(cells), length).index_add_(1, index, weights)
    return sums / counts.clamp(min=1)
