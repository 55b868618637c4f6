"""The interface every backbone implements.

A backbone maps the pictures of one video to one feature vector per snippet. It says which pictures it wants (pixels,
size), at which rate and in which windows it prefers them, and never sees file names, seconds or HDF5. It is one file:

    @BACKBONES.register("i3d")
    class I3D(NetworkBackbone):      # of ._network; what is no network in torch (hog3d) derives from Backbone itself
        Config = I3DConfig           # frozen dataclass; its defaults are the checkpoint's
        window, stride = 16, 4       # what `--window` and `--stride` are when they are not given
        fps = 25.0                   # what `--fps` is when it is not given; None = the video's own
        inputs = ("rgb", "flow")     # what `--stream` may be
        published = {"rgb": Published(url, checksum), ...}   # what `--weights auto` fetches, or finds: see below
        ...

What a class says holds for all of its objects; what depends on settings or on the stream is a property. One object
serves one stream: `--stream both` makes two, gives both the same windows and joins their features, RGB first. In the
same way several backbones (`--backbone i3d,hog3d`) are joined, whatever they are; none knows of the others.

`frame_format` is `FrameFormat(pixels, short_side, exact)`: pixels "gray" or "rgb", and either short_side=112 (the
shorter side in pixels, the longer in proportion), exact=(height, width) (squeezed, whatever the proportions) or neither
(as it is stored). Pictures are uint8. For the stream "rgb" they are (H, W), luminance, or (H, W, 3), in the order R, G,
B. For "flow" they are (H, W, 2), x then y: picture n holds the motion from the frame that is shown then to the one
after it at the video's own rate, whatever the rate of the pictures (the last frame has that of the one before),
computed between the luminance of pictures of the size of `frame_format`; [-flow_bound, flow_bound] pixels are mapped
linearly to [0, 255] and rounded, so that 128 is no motion. Cropping, the order of channels and normalisation are the
backbone's own affair.

An object lives as follows: `kind(config, stream)`; where `needs_weights`, `load(tensors, name)`, or random weights;
`prepare(computing)`, once; then it encodes every video. `taltool.extraction.weights` does all but the last.

Weights that come inside a Python package are `published` as Packaged(package, path, checksum, extra): they need no
`--weights`, for nothing is fetched. extra is that of taltool, in pyproject.toml, which installs the package. A network
may come from a package too: `build` imports it (see efficientnet_lite0.py).

There are two ways to encode, of which a backbone defines one. `encode_snippets` encodes each snippet for itself and may
be given snippets of several videos at once; where some work for consecutive snippets of a video can be done once,
`run_length` says so and `encode_run` does it; where some pictures of a snippet are not looked at, `positions` says
which are. `encode` is given a whole video and shares what it likes between its snippets, as hog3d does. Back come, in
the order of the snippets, one row of C finite float32 for each: (B, C) from `encode_snippets`, (n, C) from the others.
`streams` names the channels: stream -> (first channel, one past the last), as {"rgb": (0, C)}.

A backbone that `gives_pictures` (frames.py) gives one picture a snippet instead, uint8: (B, H, W, C) and (n, H, W, C),
H and W the same for all of a video and for all streams. Such features never lie in memory as a whole, and stand beside
those of no other backbone.

`extract` continues what is there: a video that the output (or the folder of an unfinished extraction) holds, made with
the same settings, is not encoded again. A backbone that is named by its path counts as other settings once its file
has changed; that of any other may change unseen.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, is_dataclass
from inspect import get_annotations
from itertools import islice
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from taltool.data.downloads import Published
from taltool.data.packaged import Packaged
from taltool.errors import UsageError
from taltool.video.frames import FrameFormat, Picture
from taltool.video.snippet_windows import SnippetWindows

Stream = Literal["rgb", "flow"]
# Features of snippets: vectors (n, C) of float32, or pictures (n, H, W, C) of uint8.
FeatureRows = NDArray[Any]


@dataclass(frozen=True)
class Computing:
    """How a network is computed.

    precision bf16 keeps weights and activations in bfloat16 (fp16: float16), means over positions in float32. compile
    asks torch to compile the network, which takes a minute; meant for GPUs (on processors the compiled I3D took twice
    the time of the plain one in float32, and a little more in bfloat16).
    """

    device: str = "cpu"
    precision: Literal["float32", "bf16", "fp16"] = "float32"
    compile: bool = False

    def __post_init__(self) -> None:
        if self.precision != "float32" and self.device.startswith("cpu") and not is_quick_on_cpu(self.precision):
            raise UsageError(
                f"--precision {self.precision}: this processor has no instructions for it, and torch would take a "
                "minute a snippet; use float32"
            )


def is_quick_on_cpu(precision: str) -> bool:
    """Whether this processor multiplies numbers of this type, bf16 or fp16, by itself."""
    import torch

    supported = {"bf16": "_is_mkldnn_bf16_supported", "fp16": "_is_mkldnn_fp16_supported"}[precision]
    return torch.backends.mkldnn.is_available() and bool(getattr(torch.ops.mkldnn, supported)())


def complete_backbone(entry: Any, name: str) -> "type[Backbone]":
    """What is registered under `name`, as it is; raises UsageError where it is no backbone, or lacks what one needs."""
    if not (isinstance(entry, type) and issubclass(entry, Backbone)):
        raise UsageError(f"backbone '{name}': what is registered is no class that derives from Backbone")
    ours = [base for base in entry.__mro__ if base.__module__.startswith("taltool.backbones.")]
    declared = {each for base in ours for each, hint in get_annotations(base).items() if "ClassVar" in str(hint)}
    missing = sorted(each for each in declared if not hasattr(entry, each)) + sorted(entry.__abstractmethods__)
    if entry.encode is Backbone.encode and entry.encode_snippets is Backbone.encode_snippets:
        missing.append("encode_snippets (or encode)")
    if missing:
        raise UsageError(f"backbone '{name}': {entry.__name__} does not define {', '.join(missing)}")
    if not (isinstance(entry.Config, type) and is_dataclass(entry.Config)):
        raise UsageError(f"backbone '{name}': Config of {entry.__name__} is no dataclass")
    return entry


class Backbone(ABC):
    """Turns pictures into features; made once, used for many videos, and its results never depend on which came before.

    config is an instance of the class's Config; stream is one of its `inputs`.
    """

    Config: ClassVar[type]
    window: ClassVar[int]
    stride: ClassVar[int]
    # The frame rate that its checkpoint was trained at; None = the video's own.
    fps: ClassVar[float | None] = None
    # Snippets that are encoded at once.
    batch: ClassVar[int] = 8
    inputs: ClassVar[tuple[Stream, ...]] = ("rgb",)
    # Largest displacement (pixels of `frame_format`) that a flow picture holds; larger ones are clamped.
    flow_bound: ClassVar[float] = 20.0
    needs_weights: ClassVar[bool] = False
    # Whether what it gives for a snippet is a picture, uint8 (H, W, C), and not a vector.
    gives_pictures: ClassVar[bool] = False
    published: ClassVar[Mapping[Stream, Published | Packaged]] = {}

    def __init__(self, config: Any, stream: Stream = "rgb") -> None:
        if stream not in self.inputs:
            raise UsageError(f"--stream {stream}: this backbone takes {' or '.join(self.inputs)} only")
        self.config, self.stream = config, stream

    @property
    @abstractmethod
    def frame_format(self) -> FrameFormat:
        """The pictures that it wants; of a flow stream, those between which the flow is computed."""

    @property
    @abstractmethod
    def streams(self) -> dict[str, tuple[int, int]]:
        """The channels [first, last) of each stream, one after the other; the last ends at the number of channels."""

    def load(self, tensors: Mapping[str, Any], source: str) -> None:
        """Take over the tensors of a checkpoint, by their names in it; source names it in errors.

        Raises DataError, with the names that are missing, unexpected or of another shape, where it does not fit.
        """
        raise UsageError(f"--weights {source}: this backbone has no weights")

    @property
    def adaptation(self) -> str:
        """What was changed in the weights that were loaded for them to fit this stream, in words; empty for nothing.

        A feature file records it beside the checksum of the weights.
        """
        return ""

    def prepare(self, computing: Computing) -> None:  # noqa: B027 (nothing to do is the usual case without torch)
        """Get ready to encode in this way; called once, after `load`."""

    def check(self, windows: SnippetWindows) -> None:  # noqa: B027 (most take any window)
        """Raise UsageError where it cannot take snippets of this length."""

    def positions(self, windows: SnippetWindows) -> Sequence[int]:
        """The positions in a snippet, in order and from 0, of the pictures it looks at; others need not be made.

        For `encode_snippets`, which gets other pictures in their place.
        """
        return range(windows.window)

    def seen(self, picture: Picture) -> Picture:
        """What of a picture (H, W[, 3 or 2]) it looks at; done once for pictures that several snippets share."""
        return picture

    def encode(
        self, pictures: Iterable[Picture], windows: SnippetWindows, threads: Executor | None = None
    ) -> Iterator[FeatureRows]:
        """Yield features (n, C) of the next n snippets of a video, until its end.

        threads: where parts of the work may be done side by side.
        """
        self.check(windows)
        snippets = windows.cut(map(self.seen, pictures))
        while batch := list(islice(snippets, self.batch)):
            yield self.encode_snippets(np.stack(batch))

    def run_length(self, windows: SnippetWindows) -> int:
        """How many consecutive snippets `encode_run` should get at once to share work; 1 where they share none."""
        return 1

    def encode_run(self, pictures: NDArray[np.uint8], windows: SnippetWindows) -> FeatureRows:
        """Features (n, C) of n consecutive snippets of a video, whose pictures are (window + (n - 1) stride, ...)."""
        return np.concatenate([self.encode_snippets(snippet[None]) for snippet in windows.of_run(pictures)])

    def encode_snippets(self, snippets: NDArray[np.uint8]) -> FeatureRows:
        """Features (B, C) of B snippets (B, window, H, W[, 3 or 2])."""
        raise NotImplementedError(f"{type(self).__name__} defines neither encode nor encode_snippets")
