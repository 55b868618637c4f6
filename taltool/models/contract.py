"""The interface every model implements.

A model maps a padded batch of features to named tensors, those and the ground truth to named losses, and the tensors to
scored segments. It works on the grid (snippet i is the cell [i, i + 1), see `taltool.data.clock`) and never sees
seconds, files, suppression or the name of a data set. One paper is one folder beside this file, say `afsd`, with

    model.py       @MODELS.register("afsd")
                   class AFSD(Model):
                       Config = AFSDConfig
                       presets = {"thumos14": {...}, "activitynet13": {...}}
                       def forward(self, features, mask): ...
                       def loss(self, outputs, targets, whole): ...
                       def decode(self, outputs, mask): ...
    config.py      the settings, a frozen dataclass whose defaults are the paper's; settings for the paper's data sets,
                   and `auto_settings` for any other
    network.py     the layers
    loss.py        from named tensors and ground truth to named losses
    decode.py      from named tensors to candidates, where that takes more than a method of the model
    pretrained.py  the authors' names of tensors in ours, where weights are published

or one file, `afsd.py`, that registers such a class; of the files of a folder only model.py is looked for by name.

A preset is a nested dict of differences with the sections `model` (fields of Config), `sampling`, `training` and
`prediction` (fields of the dataclasses in `taltool.experiment.settings`), and `nms` (parameters for `taltool nms`).
`auto_settings` returns the same, fitted to the data: what `train` takes without --preset. Both may be left out: without
presets there is no other than `auto`, and without `auto_settings` that is the usual recipe of
`taltool.models.auto_recipes.detector_settings`. This function puts sampling, augmentation, training, prediction and
Soft-NMS for the data around a section `model`, for a model whose own `auto_settings` fits its size too.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn

from taltool.data.statistics import DatasetStatistics
from taltool.nn.whole_batch import ALONE, WholeBatch

Outputs = dict[str, Tensor]
SettingsBySection = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Targets:
    """Ground truth of a batch on the grid: for each of B samples, segments (M_b, 2) float and labels (M_b,) int64."""

    segments: Sequence[Tensor]
    labels: Sequence[Tensor]


@dataclass(frozen=True)
class FrameInput:
    """What a model asks for that learns from pixels, see `Model.frames_wanted`.

    crop: height and width of what it sees of each picture: the middle, or in training a square at random, the same for
    all frames of a sample. flip: in training half of the samples are mirrored, left to right.
    """

    crop: int
    flip: bool = True


@dataclass(frozen=True)
class Batch:
    """features (B, C, T) float, zero where mask (B, T) is False (padding); targets; the video id of each sample.

    For a model that wants frames, features are these: uint8 (B, C, T, crop, crop), and a snippet of the grid is a
    frame. C is 3 for colours (R, G, B), 2 for flow (x, y; 128 is no motion), 5 for both.

    For each sample, in snippets of its grid (inf where there is none; left out only for models that do not ask):
    shortest_instances: how long the shortest instance of its whole video is; shortest_shown: the least that a training
    window of the video shows of an instance that belongs to the window.
    """

    features: Tensor
    mask: Tensor
    targets: Targets
    video_ids: Sequence[str]
    shortest_instances: Sequence[float] = ()
    shortest_shown: Sequence[float] = ()


class Candidates(NamedTuple):
    """Scored segments of one sample: segments (N, 2) on the grid, start <= end; scores (N,) finite and at least 0;
    labels (N,) int64 from 0, or None for a class-agnostic model. In any order, before non-maximum suppression."""

    segments: Tensor
    scores: Tensor
    labels: Tensor | None


class Timeline(ABC):
    """What averages the outputs of overlapping windows where they lie in a video, and decodes them as one sample."""

    @abstractmethod
    def add(self, outputs: Outputs, row: int, first: int, count: int) -> None:
        """Take in what the sample `row` of outputs says of the snippets [first, first + count) of the video."""

    @abstractmethod
    def candidates(self, others: Sequence[Self] = ()) -> Candidates:
        """The scored segments of the video, once all windows are in, in its snippets.

        Averaged with `others`: of the same video, resampled to other numbers of snippets.
        """


class Model(nn.Module, ABC):
    """A temporal action localization network.

    config is an instance of the class's Config; channels the width of a snippet (of frames, the C of `Batch`),
    num_classes the number of actions (background not counted), length the T of every sample where sampling fixes it
    (`window`, `rescale`) or else the largest T in training (`pad`).
    """

    Config: ClassVar[type]
    presets: ClassVar[dict[str, SettingsBySection]] = {}
    # Whether candidates come without labels.
    is_class_agnostic: bool = False
    # The updates of one training iteration, in order; each has its own optimizer over `phase_parameters`.
    phases: tuple[str, ...] = ("all",)
    # Under `pad` sampling, T is padded to a multiple of this.
    length_multiple: int = 1
    # Whether it has a `timeline` (`prediction.average_windows`).
    averages_windows: ClassVar[bool] = False
    # The answers that `with_truth` can take from the ground truth, by name.
    oracles: tuple[str, ...] = ()
    # Parts whose weights may be loaded alone (`train --init`): how the names of their tensors begin, and after that how
    # the names of those begin that such a file has too and nothing here needs (a classifier's).
    pretrained_parts: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    # The checkpoints of other code that `convert_state_dict` knows, in words, with the settings that they need.
    pretrained_kinds: ClassVar[Sequence[str]] = ()

    def __init__(self, config: Any, channels: int, num_classes: int, length: int) -> None:
        super().__init__()
        self.config, self.channels, self.num_classes, self.length = config, channels, num_classes, length

    @abstractmethod
    def forward(self, features: Tensor, mask: Tensor) -> Outputs:
        """Map features (B, C, T), mask (B, T) bool to named tensors. Padding must not change valid outputs.

        Of frames, features (B, C, T, H, W) uint8, clips are always of the same length, so what a network over pixels
        sees in padding may tell valid outputs where a video ends; the model scales them itself, padding to 0.
        All outputs are finite, in padding too: prediction refuses a video for which one is not. A sample's outputs
        follow from its own features, and are not all finite where those are not.
        """

    @abstractmethod
    def loss(self, outputs: Outputs, targets: Targets, whole: WholeBatch = ALONE) -> dict[str, Tensor]:
        """Named, already weighted, attached scalars whose sum is minimised (also with no instance in the batch).

        The names are the same for every batch. The samples may be a part of the batch `whole`: what is divided by
        something counted over the batch divides by `whole.divisor(name, count)`, what is drawn for each sample is drawn
        by `whole.draw`, and all other means are over samples. The divisor is the whole batch's count, at least 1 (a
        batch without instances needs no care), times the share of the batch that is here.
        """

    @abstractmethod
    def decode(self, outputs: Outputs, mask: Tensor) -> list[Candidates]:
        """Scored segments of each of the B samples, from outputs and settings alone (the weights may not be there).

        Within the valid snippets of its sample, 0 <= start and end <= mask.sum(); any number, which may be fixed.
        """

    def timeline(self, length: int, device: torch.device) -> Timeline:
        """An empty timeline for a video of `length` snippets whose windows overlap."""
        raise NotImplementedError(f"{type(self).__name__} decodes windows one by one")

    def training_loss(self, batch: Batch, phase: str, whole: WholeBatch = ALONE) -> dict[str, Tensor]:
        """The losses of one update by the samples of `batch`, which may be a part of `whole`.

        A model with extra inputs or several phases overrides this.
        """
        return self.loss(self(batch.features, batch.mask), batch.targets, whole)

    def loss_counts(self, batch: Batch, phase: str) -> dict[str, Tensor] | None:
        """What the losses of `phase` will ask `WholeBatch` for, by name, from ground truth and mask alone.

        None: the network has to be asked, by computing the losses.
        """
        return None

    def teaches(self, batch: Batch, phase: str) -> bool:
        """Whether these samples have anything to teach in `phase`, by ground truth and mask alone.

        Where no sample of a batch has, that phase of several makes no step: not even decay changes its weights.
        """
        return True

    def phase_parameters(self, phase: str) -> Iterable[tuple[str, nn.Parameter]]:
        """The named parameters that the update `phase` changes."""
        return self.named_parameters()

    def decay_of(self, name: str) -> float | None:
        """The weight decay that the model's authors give the parameter `name`, for `training.decay_by_layer`.

        None: that of `training.weight_decay`.
        """
        return None

    def rate_of(self, name: str) -> float:
        """By what the learning rate of the parameter `name` is multiplied; 0 = it is not trained."""
        return 1.0

    def prepare_inference(self) -> None:
        """Change the network in place into a faster one of the same outputs, which is only to predict from now on.

        It is called once, in eval mode, on the device where the network stays; its weights are not saved afterwards.
        """

    def average(self, outputs: Sequence[Outputs]) -> Outputs:
        """Average the outputs of several networks of this kind (streams, seeds) for the same sample, before decoding.

        Tensors of whole numbers and booleans describe the grid, which is the same for all: the first one's are taken,
        as is what some networks lack, since their switches differ.
        """
        first, *others = outputs
        shared = (n for n, value in first.items() if value.is_floating_point() and all(n in other for other in others))
        return first | {name: torch.stack([output[name] for output in outputs]).mean(0) for name in shared}

    def with_truth(self, outputs: Outputs, targets: Targets, answers: Collection[str]) -> Outputs:
        """The outputs with ground truth in place of `answers`, some of `oracles`: what a perfect part would bring."""
        raise NotImplementedError(f"{type(self).__name__} names no oracles")

    def activations(self, features: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """What `plot --kind activations` draws of samples, by name: means over channels, (B, n T), n to a snippet.

        For the input of `forward`. A model whose paper has such a figure overrides this.
        """
        raise NotImplementedError(f"{type(self).__name__} shows no activations")

    @classmethod
    def frames_wanted(cls, config: Any) -> FrameInput | None:
        """What the model with this configuration wants to see of a frame store (`extract --backbone frames`).

        None: it learns from features.
        """
        return None

    @classmethod
    def convert_state_dict(cls, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The state of this model from a state of its authors' code, known by its names; any other as it is.

        Raises DataError, naming the tensor, for a state of that code that does not belong to this model.
        """
        return dict(state)

    @classmethod
    def pretrained_part(cls, names: Collection[str]) -> str:
        """The one of `pretrained_parts` to which all tensors of these names belong; empty for a whole network."""
        return next((part for part in cls.pretrained_parts if all(name.startswith(part) for name in names)), "")

    def adapted(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What `convert_state_dict` gave, made to fit the channels of this network where there is a way.

        Say, filters over colours made filters over flow.
        """
        return dict(state)

    @classmethod
    def auto_settings(cls, statistics: DatasetStatistics) -> SettingsBySection:
        """The settings for somebody's own data (`--preset auto`), as differences from the defaults.

        By default those of `taltool.models.auto_recipes.detector_settings` with the model's own defaults: short videos
        whole, long ones in windows, about 1,000 updates for 720 instances, by AdamW at a learning rate of 1e-3.
        """
        from taltool.models.auto_recipes import AUGMENTATION, detector_settings, whole_or_windows

        return detector_settings(statistics, {}, whole_or_windows(statistics), AUGMENTATION)
