"""What a backbone is to the rest of the house.

A backbone maps the frames of one video to one feature vector per snippet. It says which pictures it wants (pixels,
size), at which rate and in which windows it likes them, and never sees file names, seconds or HDF5. One file in this
folder:

    @BACKBONES.register("hog3d")
    class HOG3D(Backbone):
        Config = HOG3DConfig         # frozen dataclass; its defaults are the paper's, or the checkpoint's
        window, stride = 16, 4       # what `--window` and `--stride` are when they are not given
        frame_format = FrameFormat("gray", short_side=96)
        ...

A network implements `encode_snippets` alone; a backbone that shares work between overlapping windows overrides
`encode`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from taltool.video.frames import FrameFormat, Picture
from taltool.video.windows import Windows

Features = NDArray[np.float32]


class Backbone(ABC):
    """Turns pictures into features; made once, used for many videos, and its results never depend on which came before.

    config is an instance of the class's Config.
    """

    Config: ClassVar[type]
    window: ClassVar[int]
    stride: ClassVar[int]
    # The frame rate that its checkpoint was trained at; None = the video's own.
    fps: ClassVar[float | None] = None
    # Snippets that are encoded at once.
    batch: ClassVar[int] = 8

    def __init__(self, config: Any) -> None:
        self.config = config

    @property
    @abstractmethod
    def frame_format(self) -> FrameFormat:
        """The pictures that it wants."""

    @property
    @abstractmethod
    def streams(self) -> dict[str, tuple[int, int]]:
        """The channels [first, last) of each stream; the last one ends at the number of channels."""

    def encode(self, pictures: Iterable[Picture], windows: Windows) -> Iterator[Features]:
        """Yield features (n, C) of the next n snippets of a video, until its end."""
        snippets = windows.cut(pictures)
        while batch := list(islice(snippets, self.batch)):
            yield self.encode_snippets(np.stack(batch))

    def encode_snippets(self, snippets: NDArray[np.uint8]) -> Features:
        """Features (B, C) of B snippets (B, window, H, W[, 3])."""
        raise NotImplementedError(f"{type(self).__name__} defines neither encode nor encode_snippets")
