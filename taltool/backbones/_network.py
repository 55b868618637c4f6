"""What the backbones that are torch networks share: cropping and normalisation, checkpoints, how they are computed."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from taltool.backbones.contract import Backbone, Computing, Stream
from taltool.data.records import FeatureArray
from taltool.errors import DataError, UsageError
from taltool.nn.clips.layers import fold_norms, lay_channels_last
from taltool.nn.clips.mmaction import IMAGENET_DEVIATION, IMAGENET_MEAN
from taltool.nn.clips.overlapping import OverlappingClips
from taltool.nn.weights import fill, misfits
from taltool.video.frames import FrameFormat, Picture
from taltool.video.snippet_windows import SnippetWindows

_TYPES = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
# Consecutive snippets that are encoded together where they share work: more gain little, and divide worse by threads.
_RUN_LENGTH = 4
# Networks halve their input five times.
MIN_CROP = 32


@dataclass(frozen=True)
class Normalisation:
    """What a checkpoint expects of pixels: (value - mean) / deviation per channel, in the order B, G, R if reversed.

    mean and deviation are in the order in which the network sees the channels.
    """

    mean: Sequence[float]
    deviation: Sequence[float]
    reverse: bool = False


# Values from -1 to 1.
SYMMETRIC = Normalisation((127.5,), (127.5,))
# The statistics of ImageNet in RGB.
IMAGENET = Normalisation(IMAGENET_MEAN, IMAGENET_DEVIATION)


@dataclass(frozen=True)
class NetworkConfig:
    """short_side: pixels to which pictures are scaled; crop: side of the middle square that is seen; output: what
    stands before the classifier, or the scores of its `classes` before any softmax."""

    short_side: int = 256
    crop: int = 224
    output: Literal["features", "logits"] = "features"
    classes: int = 400

    def __post_init__(self) -> None:
        if not MIN_CROP <= self.crop <= self.short_side:
            raise UsageError(f"crop = {self.crop}: must be {MIN_CROP} to short_side = {self.short_side} (pixels)")
        if self.classes < 1:
            raise UsageError(f"classes = {self.classes}: must be at least 1")


class NetworkBackbone(Backbone):
    """A backbone whose `build` gives a network from pixels (B, C, T, H, W) to features (B, F).

    The names of the network's tensors are those of its checkpoint, after `renamed`. A Config that is not a
    NetworkConfig has at least its fields `crop`, `output` and `classes`, and such a backbone says its `frame_format`
    itself.
    """

    Config: ClassVar[type] = NetworkConfig
    needs_weights = True
    # Features before the classifier, and the beginning of the names of the classifier's tensors.
    feature_channels: ClassVar[int]
    classifier: ClassVar[str]

    def __init__(self, config: Any, stream: Stream = "rgb") -> None:
        super().__init__(config, stream)
        self._computing = Computing()
        normal = self.normalisation
        self._scale = 1 / torch.tensor(normal.deviation).view(1, -1, 1, 1, 1)
        self._shift = -torch.tensor(normal.mean).view(1, -1, 1, 1, 1) * self._scale

    @cached_property
    def network(self) -> nn.Module:
        """The network, made when it is first wanted, with random weights that are always the same."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = self.build()
            for module in network.modules():
                if isinstance(
                    module, nn.Conv2d | nn.Conv3d
                ):  # He's, or else what deep networks give is too small for float16.
                    nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        return network.eval().requires_grad_(False)

    @abstractmethod
    def build(self) -> nn.Module:
        """A new network for this stream; its modules are registered in the order in which they run."""

    @property
    @abstractmethod
    def normalisation(self) -> Normalisation:
        """What the checkpoint expects of the pixels of this stream."""

    @property
    def frame_format(self) -> FrameFormat:
        """Colours, or luminance for the flow, scaled to the configured short side."""
        return FrameFormat("rgb" if self.stream == "rgb" else "gray", self.config.short_side)

    @property
    def streams(self) -> dict[str, tuple[int, int]]:
        """One stream, of features or logits."""
        return {self.stream: (0, self.classes or self.feature_channels)}

    @property
    def classes(self) -> int | None:
        """Outputs of the classifier; None where features are asked for."""
        return self.config.classes if self.config.output == "logits" else None

    @property
    def colours(self) -> int:
        """Channels of a picture of this stream."""
        return 3 if self.stream == "rgb" else 2

    @property
    def unused(self) -> tuple[str, ...]:
        """Beginnings of the names of tensors that no feature depends on."""
        return () if self.classes else (self.classifier,)

    def renamed(self, name: str) -> str:
        """The network's own name of a tensor that a checkpoint calls `name`."""
        return name

    def reshaped(self, tensor: Tensor) -> Tensor:
        """A checkpoint's tensor in the shape that the network has it in."""
        return tensor

    def load(self, tensors: Mapping[str, Tensor], source: str) -> None:
        """Take over a checkpoint's tensors; see the contract. Counters of batches may be absent."""
        # Networks that were saved from several GPUs say `module.` before every name.
        bare = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
        found = {self.renamed(name): self.reshaped(tensor) for name, tensor in bare.items()}
        found = {name: tensor for name, tensor in found.items() if not name.startswith(self.unused)}
        problems = misfits(found, self.network.state_dict())
        if problems:
            raise DataError(f"{source}: not a checkpoint of this network: {'; '.join(problems)}")
        fill(self.network, found)

    def prepare(self, computing: Computing) -> None:
        """Fold batch norms, move the network to its device and number type, lay memory out channels last."""
        self._computing = computing
        network = lay_channels_last(fold_norms(self.network).to(computing.device, _TYPES[computing.precision]))
        self._scale, self._shift = self._scale.to(computing.device), self._shift.to(computing.device)
        if computing.compile:
            network.compile()

    def seen(self, picture: Picture) -> Picture:
        """The middle square."""
        return self._cropped(picture)

    def encode_snippets(self, snippets: NDArray[np.uint8]) -> FeatureArray:
        """Features (B, C) of B snippets (B, T, H, W, 3 or 2), whose height and width are at least the crop."""
        return self.features(self._volume(snippets)).cpu().numpy()

    def run_length(self, windows: SnippetWindows) -> int:
        """A few, on processors, where the first convolution has steps in common."""
        network = self._overlapping
        return _RUN_LENGTH if network is not None and network.shares(windows.window, windows.stride) else 1

    def encode_run(self, pictures: NDArray[np.uint8], windows: SnippetWindows) -> FeatureArray:
        """Features (n, C) of n consecutive snippets; see the contract."""
        network = self._overlapping
        if network is None:
            return super().encode_run(pictures, windows)
        frames = self._volume(pictures[None]).to(_TYPES[self._computing.precision])
        with torch.inference_mode():
            rows = [row.float() for row in network.forward_clips(frames, windows.window, windows.stride)]
        return torch.cat(rows).numpy()

    @property
    def _overlapping(self) -> OverlappingClips | None:
        """The network, where consecutive snippets share work in it; on other devices batches of them are faster."""
        shares = self._computing.device.startswith("cpu") and not self._computing.compile
        return self.network if shares and isinstance(self.network, OverlappingClips) else None

    def normalised(self, volume: Tensor) -> Tensor:
        """Pixels (B, C, T, H, W) from 0 to 255 as the checkpoint expects them."""
        if self.normalisation.reverse:
            volume = volume.flip(1)
        return torch.addcmul(self._shift, volume, self._scale)

    def _volume(self, snippets: NDArray[np.uint8]) -> Tensor:
        """Pixels (B, T, H, W, C) normalised, as (B, C, T, H, W) in float32 on the network's device."""
        pixels = torch.from_numpy(self._cropped(snippets)).to(self._computing.device)
        # (B, T, H, W, C) as it lies in memory is (B, C, T, H, W) laid out channels last.
        return self.normalised(pixels.movedim(-1, 1).float())

    def features(self, volume: Tensor) -> Tensor:
        """Features (B, C) in float32 of normalised pixels (B, C, T, H, W), computed as `prepare` was told."""
        try:
            with torch.inference_mode(), reproducible(self._computing):
                features: Tensor = self.network(volume.to(_TYPES[self._computing.precision])).float()
        except RuntimeError as error:
            if not self._computing.compile:
                raise
            reason = str(error).strip().splitlines()[0]
            raise UsageError(f"--compile: torch cannot compile the network here ({reason}); leave it out") from error
        return features

    def _cropped(self, picture: NDArray[Any]) -> NDArray[Any]:
        """The middle square of pictures (..., H, W, C)."""
        height, width = picture.shape[-3:-1]
        side: int = self.config.crop
        top, left = (height - side) // 2, (width - side) // 2
        return np.ascontiguousarray(picture[..., top : top + side, left : left + side, :])


def reproducible(computing: Computing) -> AbstractContextManager[None]:
    """A block in which a GPU gives the same numbers every time, in float32 without the short products of TF32."""
    if not computing.device.startswith("cuda"):
        return nullcontext()
    tf32 = computing.precision != "float32"
    return torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=tf32)
