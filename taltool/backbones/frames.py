"""The pictures themselves, for models that learn from pixels (AFSD, TSA-TAL): a snippet is a frame.

What comes out is a frame store, see taltool-features(5). Colours are R, G, B; flow is that which every network over
flow sees (`taltool.video.flow`): x and y, 128 where nothing moves.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from taltool.backbones import BACKBONES
from taltool.backbones.contract import Backbone, Stream
from taltool.errors import UsageError
from taltool.video.frames import FrameFormat, Pixels
from taltool.video.snippet_windows import SnippetWindows

_SIDE = 112
_SMALLEST, _LARGEST = 16, 1024


@dataclass(frozen=True)
class FramesConfig:
    """height, width: pixels to which every picture is squeezed, whatever its proportions, as AFSD's authors do;
    short_side, where it is given: pixels of the shorter side instead, the longer one in proportion."""

    height: int = _SIDE
    width: int = _SIDE
    short_side: int | None = None

    def __post_init__(self) -> None:
        if self.short_side is not None and (self.height, self.width) != (_SIDE, _SIDE):
            raise UsageError("frames: short_side is in place of height and width; set the one or the others")
        for name, value in vars(self).items():
            if value is not None and not _SMALLEST <= value <= _LARGEST:
                raise UsageError(f"frames: {name} {value}: must be {_SMALLEST} to {_LARGEST} (pixels)")


@BACKBONES.register("frames")
class FrameBackbone(Backbone):
    """Every frame as it is: a picture of the stream, uint8 (H, W, 3) or (H, W, 2)."""

    Config = FramesConfig
    window, stride = 1, 1
    inputs = ("rgb", "flow")
    gives_pictures = True

    def __init__(self, config: FramesConfig, stream: Stream = "rgb") -> None:
        super().__init__(config, stream)
        self.config: FramesConfig = config

    @property
    def frame_format(self) -> FrameFormat:
        """Colours, or luminance for the flow, of the configured size."""
        pixels: Pixels = "rgb" if self.stream == "rgb" else "gray"
        if self.config.short_side is not None:
            return FrameFormat(pixels, self.config.short_side)
        return FrameFormat(pixels, exact=(self.config.height, self.config.width))

    @property
    def streams(self) -> dict[str, tuple[int, int]]:
        """One stream: R, G, B, or x, y."""
        return {self.stream: (0, 3 if self.stream == "rgb" else 2)}

    def check(self, windows: SnippetWindows) -> None:
        """A snippet is one frame."""
        if windows.window != 1:
            raise UsageError(f"--window {windows.window}: in a frame store a snippet is one frame; leave it out")

    def encode_snippets(self, snippets: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The one picture of each snippet."""
        return snippets[:, 0]
