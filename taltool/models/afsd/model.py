"""AFSD: anchor-free saliency-based detector (Lin, Xu et al., "Learning Salient Boundary Feature for
Anchor-free Temporal Action Localization", CVPR 2021).

Each location predicts class scores and boundary distances; boundary pooling refines them and a quality score is
predicted. Locations are those of a temporal pyramid, whose first (coarse) predictions are anchor-free; boundary pooling
collects the most salient moment around each coarse boundary. Distances are in frames, `frames_per_snippet` to a
position of level 0, which is a snippet of features; the frame-level feature has one position per frame. From pixels
(`input = "frames"`) the grid is one of frames, and the pyramid begins with an I3D.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taltool.data.statistics import DatasetStatistics
from taltool.errors import UsageError
from taltool.models import MODELS
from taltool.models.afsd.config import PRESETS, AFSDConfig, auto_settings
from taltool.models.afsd.consistency import Splice, activation_terms, activations, plan_splice, triplet_term
from taltool.models.afsd.frames import FramePyramid, scaled
from taltool.models.afsd.loss import assign_locations, detection_terms, refined_distances
from taltool.models.afsd.network import BoundaryFeatures, Refinement
from taltool.models.afsd.pretrained import BACKBONE, KINDS, converted
from taltool.models.contract import Batch, Candidates, FrameInput, Model, Outputs, SettingsBySection, Targets
from taltool.models.decoding import flatten_levels, one_candidate_per_class
from taltool.nn.conv import Axis, SameConv1d
from taltool.nn.pyramid import AnchorFreeHeads, PyramidGrid, StridedPyramid, padded_to_multiple
from taltool.nn.targets import PaddedTargets, padded_targets
from taltool.nn.whole_batch import ALONE, WholeBatch


@MODELS.register("afsd")
class AFSD(Model):
    """See the module.

    Outputs, for N locations of all levels: distances (B, N, 2) in frames, logits (B, N, classes + 1) with background
    first, the refined_logits, the offsets (B, N, 2) in halves of the coarse length, quality (B, N) logits; centres
    (N,) in frames, level (N,), valid (B, N); mask (B, T); activation_NAME (B, 2, positions).
    """

    Config = AFSDConfig
    presets: ClassVar[dict[str, SettingsBySection]] = PRESETS
    pretrained_parts: ClassVar[Mapping[str, tuple[str, ...]]] = {BACKBONE: ("logits.",)}
    pretrained_kinds: ClassVar[Sequence[str]] = KINDS
    config: AFSDConfig

    def __init__(self, config: AFSDConfig, channels: int, num_classes: int, length: int) -> None:
        super().__init__(config, channels, num_classes, length)
        width, style = config.width, (config.norm, config.groups)
        outputs = (num_classes if config.classifier == "own" else 1) + 1
        self.is_class_agnostic = config.classifier == "external"
        self.length_multiple = config.unit_multiple
        self.pyramid: StridedPyramid | FramePyramid
        if config.input == "frames":
            if length % self.length_multiple:
                raise UsageError(
                    f"afsd: sampling.length={length} must be a multiple of {self.length_multiple} frames, which are "
                    f"model.frames_per_snippet={config.frames_per_snippet} for each position of the highest of "
                    f"model.levels={config.levels}"
                )
            self.pyramid = FramePyramid(channels, config)
        else:
            self.pyramid = StridedPyramid(channels, width, config.levels, norm=config.norm, groups=config.groups)
        self.coarse = AnchorFreeHeads(width, outputs, config.levels, *style)
        self.refinement = None
        if config.refine != "none":
            shape = (width, outputs, config.frames_per_snippet)
            self.refinement = Refinement(*shape, config.refine, config.pool, config.region, *style)
        self.quality_head = SameConv1d(width, 1, 3) if config.quality != "none" else None
        if config.init == "normal":
            self._draw_normal()
        is_two_step = config.bcl_update == "two_step" and bool(self.consistency)
        self.phases = ("detection", "consistency") if is_two_step else ("all",)

    def _draw_normal(self) -> None:
        """Weights of towers, branches and heads from N(0, 0.01), as the authors' ActivityNet code draws them."""
        drawn: list[nn.Module | None] = [self.coarse, self.quality_head]
        if self.refinement is not None:
            own = self.refinement
            drawn += [own.location_branch, own.class_branch, own.offset_head, own.class_head]
        for layer in (each for part in drawn if part is not None for each in part.modules()):
            if isinstance(layer, nn.Conv1d):
                nn.init.normal_(layer.weight, std=0.01)

    @property
    def consistency(self) -> frozenset[str]:
        """Which of "act" and "trip" are in the loss."""
        if self.config.refine in ("naive", "none") or self.config.bcl == "none":
            return frozenset()
        return frozenset({"act", "trip"} if self.config.bcl == "both" else {self.config.bcl})

    def forward(self, features: Tensor, mask: Tensor) -> Outputs:
        """See the class and `Model.forward`."""
        features, mask = self._seen(features, mask)
        grid = PyramidGrid.of(mask, self.config.levels)
        levels = self.pyramid(features, mask)
        packed = grid.layout.pack(levels)
        location = self.coarse.location_tower(packed, grid.axis)
        classes = self.coarse.class_tower(packed, grid.axis)
        unit = self.config.frames_per_snippet * grid.stride / 2 if self.config.distance_unit == "level" else 1.0
        distances = self.coarse.distances(location, grid.axis.level) * unit
        outputs = {"distances": distances, "logits": self.coarse.class_head(classes)}
        described: Outputs = {}
        if self.refinement is not None:
            location, classes, boundaries = self.refinement(levels[0], location, classes, distances, grid)
            outputs["offsets"] = self.refinement.offset_head(location)
            outputs["refined_logits"] = self.refinement.class_head(classes)
            described = self._activations(boundaries)
        if self.quality_head is not None:
            outputs["quality"] = self.quality_head(location)
        return self._flatten_levels(outputs, grid) | described

    def _seen(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """What the pyramid maps, and which positions (B, positions) of its level 0 are valid."""
        if self.config.input == "features":
            return padded_to_multiple(features, mask, self.length_multiple)
        return scaled(features, mask), self._positions(mask)

    def _positions(self, mask: Tensor) -> Tensor:
        """The validity (B, positions) of level 0; a position of frames is valid if its first frame is."""
        if self.config.input == "features":
            return F.pad(mask, (0, -mask.shape[1] % self.length_multiple))
        return mask[:, :: self.config.frames_per_snippet]

    def _flatten_levels(self, outputs: Outputs, grid: PyramidGrid) -> Outputs:
        """Packed outputs (B, K, P) as (B, N, K), quality as (B, N), with what describes the locations, in frames."""
        named = flatten_levels(outputs, grid)
        if "quality" in named:
            named["quality"] = named["quality"].squeeze(2)
        return named | {"centres": named["centres"] * self.config.frames_per_snippet}

    def _activations(self, boundaries: BoundaryFeatures) -> Outputs:
        return activations(boundaries, self.config.act_norm) if "act" in self.consistency else {}

    def activations(self, features: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """See `Model.activations`: the frame-level features, those that are sensitive to starts and those to ends.

        Raises UsageError where the refinement does not look at frames.
        """
        if self.refinement is None or self.refinement.frame_stack is None:
            raise UsageError(
                f"model.refine = {self.config.refine}: without frame-level features; there are some in all"
            )
        found: list[Tensor] = []
        hook = self.refinement.frame_stack.register_forward_hook(lambda *call: found.append(call[2]))
        try:
            self(features, mask)
        finally:
            hook.remove()
        padded = -(-mask.shape[1] // self.length_multiple) * self.length_multiple
        frames = found[0][..., : mask.shape[1] * (found[0].shape[2] // padded)]
        starts, ends = frames.float().chunk(2, dim=1)
        return {"start": starts.mean(1), "end": ends.mean(1)}

    def loss(self, outputs: Outputs, targets: Targets, whole: WholeBatch = ALONE) -> dict[str, Tensor]:
        """Eq. 11 and the activation term of Eq. 10; the triplet needs spliced clips, see `training_loss`."""
        padded = self._in_frames(targets, outputs["distances"].device)
        terms = detection_terms(outputs, padded, self.config, whole)
        if "act" in self.consistency:
            terms |= activation_terms(outputs, padded, outputs["mask"], self.config)
        return terms

    def training_loss(self, batch: Batch, phase: str, whole: WholeBatch = ALONE) -> dict[str, Tensor]:
        """The losses of phase "all" (the sum), "detection" (Eq. 11) or "consistency" (Eq. 10)."""
        terms: dict[str, Tensor] = {}
        if phase == "all":
            terms |= self.loss(self(batch.features, batch.mask), batch.targets, whole)
        elif phase == "detection":
            padded = self._in_frames(batch.targets, batch.features.device)
            terms |= detection_terms(self(batch.features, batch.mask), padded, self.config, whole)
        if phase == "consistency" or (phase == "all" and "trip" in self.consistency):
            terms |= self._contrast(batch, phase, whole)
        return terms

    def loss_counts(self, batch: Batch, phase: str) -> dict[str, Tensor] | None:
        """See `Model.loss_counts`; which locations are refined, by whose number the batch is normalised, only the
        network knows."""
        counts: dict[str, Tensor] = {}
        if phase != "consistency" and self.config.normaliser == "batch":
            if self.refinement is not None:
                return None
            locations = self._flatten_levels({}, PyramidGrid.of(self._positions(batch.mask), self.config.levels))
            padded = self._in_frames(batch.targets, batch.features.device)
            counts["positives"] = assign_locations(locations, padded, self.config).positive.sum()
        if phase == "consistency" or (phase == "all" and "trip" in self.consistency):
            # Whether a clip can be spliced does not depend on what is drawn.
            plans = self._splices(batch, torch.Generator())
            counts["splices"] = torch.tensor(sum(plan is not None for plan in plans))
        return counts

    def teaches(self, batch: Batch, phase: str) -> bool:
        """See `Model.teaches`: in "consistency", clips that can be spliced (supplement, Algorithm 1)."""
        return phase != "consistency" or any(self._splices(batch, torch.Generator()))

    def _splices(self, batch: Batch, generator: torch.Generator | None) -> list[Splice | None]:
        """A random splice of each clip, None where none fits."""
        length, valid, rule = batch.features.shape[2], batch.mask.sum(1).tolist(), self.config.splice
        lengths = batch.shortest_instances if rule == "paper" else batch.shortest_shown
        clips = zip(batch.targets.segments, valid, lengths, strict=True)
        return [plan_splice(own, length, int(count), shortest, rule, generator) for own, count, shortest in clips]

    def _contrast(self, batch: Batch, phase: str, whole: WholeBatch) -> dict[str, Tensor]:
        """The consistency losses on those clips of the batch that can be spliced, by their number.

        They are the triplet's, on the spliced clips, and in the phase "consistency" those of Eq. 8, on the clips as
        they are.
        """
        drawn = whole.draw(partial(self._splices, batch))
        chosen = [row for row, plan in enumerate(drawn) if plan is not None]
        plans = [plan for plan in drawn if plan is not None]
        share = len(plans) / float(whole.divisor("splices", torch.tensor(len(plans))))
        has_activations = "act" in self.consistency and phase == "consistency"
        if not plans:
            names = ["start_activation", "end_activation"] if has_activations else []
            names += ["triplet"] if "trip" in self.consistency else []
            return dict.fromkeys(names, self.pyramid.projection.conv.weight.sum() * 0.0)
        assert self.refinement is not None
        features, mask = batch.features[chosen], batch.mask[chosen]
        terms: dict[str, Tensor] = {}
        if has_activations:
            padded = self._in_frames(batch.targets, features.device)
            own = PaddedTargets(*(each[chosen] for each in padded))
            boundaries = self._boundary_features(features, mask)
            terms |= activation_terms(self._activations(boundaries), own, boundaries.mask, self.config)
        if "trip" in self.consistency:
            clips = zip(features, plans, strict=True)
            spliced = torch.stack([own.index_select(1, plan.order.to(own.device)) for own, plan in clips])
            boundaries = self._boundary_features(spliced, mask)
            terms["triplet"] = triplet_term(boundaries, plans, self.refinement, self.config)
        return {name: term * share for name, term in terms.items()}

    def _boundary_features(self, features: Tensor, mask: Tensor) -> BoundaryFeatures:
        """The boundary features of level 0, without the rest of the network."""
        assert self.refinement is not None
        features, mask = self._seen(features, mask)
        axis = Axis.single(mask)
        level0 = self.pyramid.project(features, mask)
        location, classes = self.coarse.location_tower(level0, axis), self.coarse.class_tower(level0, axis)
        return self.refinement.boundary_features(level0, location, classes, mask)

    def _in_frames(self, targets: Targets, device: torch.device) -> PaddedTargets:
        padded = padded_targets(targets.segments, targets.labels, device)
        return padded._replace(segments=padded.segments * self.config.frames_per_unit)

    def average(self, outputs: Sequence[Outputs]) -> Outputs:
        """See `Model.average`; with `fusion` "segments" decoding the average gives the geometric means of the ends."""
        merged = super().average(outputs)
        if self.config.fusion == "distances":
            return merged
        centres = merged["centres"]
        length = float(centres.min() + centres.max())  # Those of level 0 lie symmetrically in the clip.
        ends = []
        for each in outputs:
            own = refined_distances(each["distances"], each["offsets"]) if "offsets" in each else each["distances"]
            ends.append(torch.stack([centres - own[..., 0], centres + own[..., 1]], dim=-1).clamp(0, length))
        start, end = torch.stack(ends).prod(0).pow(1 / len(ends)).unbind(-1)
        without_offsets = {name: value for name, value in merged.items() if name != "offsets"}
        return without_offsets | {"distances": torch.stack([centres - start, end - centres], dim=-1)}

    def decode(self, outputs: Outputs, mask: Tensor) -> list[Candidates]:
        """Every location as one candidate per class, clipped to the valid part of its sample (section 3.4, Eq. 15).

        Its score is the mean of coarse and refined probability, times the quality.
        """
        distances = outputs["distances"]
        if "offsets" in outputs:
            distances = refined_distances(distances, outputs["offsets"])
        ends = torch.stack([outputs["centres"] - distances[..., 0], outputs["centres"] + distances[..., 1]], dim=-1)
        segments = torch.cummax(ends, dim=-1).values / self.config.frames_per_unit  # None ends before it starts.
        scores = outputs["logits"].softmax(-1)
        if "refined_logits" in outputs:
            scores = (scores + outputs["refined_logits"].softmax(-1)) / 2
        if "quality" in outputs:
            scores = scores * outputs["quality"].sigmoid()[..., None]
        return one_candidate_per_class(
            segments, scores[..., 1:], outputs["valid"], mask, is_class_agnostic=self.is_class_agnostic
        )

    def rate_of(self, name: str) -> float:
        """See `Model.rate_of`: `backbone_rate` for I3D."""
        return self.config.backbone_rate if name.startswith(BACKBONE) else 1.0

    def prepare_inference(self) -> None:
        """See `Model.prepare_inference`."""
        if isinstance(self.pyramid, FramePyramid):
            self.pyramid.prepare_inference()

    @classmethod
    def frames_wanted(cls, config: AFSDConfig) -> FrameInput | None:
        """See `Model.frames_wanted`."""
        return FrameInput(config.crop) if config.input == "frames" else None

    @classmethod
    def convert_state_dict(cls, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See `Model.convert_state_dict` and `taltool.models.afsd.pretrained`."""
        return converted(state)

    @classmethod
    def auto_settings(cls, statistics: DatasetStatistics) -> SettingsBySection:
        """See `Model.auto_settings` and `taltool.models.afsd.config`."""
        return auto_settings(statistics)
