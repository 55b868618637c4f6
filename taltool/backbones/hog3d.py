"""HOG3D: histograms of spatio-temporal gradients, Klaeser, Marszalek, Schmid, "A Spatio-Temporal Descriptor Based on
3D-Gradients", BMVC 2008. Needs no weights and no GPU.

As in the paper, gradients are averaged over blocks, each mean gradient is projected on the face normals of a regular
polyhedron (an icosahedron), thresholded and weighted with its magnitude (section 2.2), and summed up in the cells of a
grid (section 2.3). Deviations, because whole frames are described here and not patches around interest points:

- Before the averaging, the part of the temporal gradient that a shift of the whole picture (a shaking camera) or a
  change of the light explains is subtracted; it is found per frame by least squares.
- The cells form a pyramid over the picture, at a coarse and a fine grid.
- Each cell is normalised for itself, and square roots are taken: a histogram then says how the picture moves there, at
  any contrast, and a Euclidean comparison of features is Hellinger's of histograms.
- Blocks have a fixed size in pixels, so that overlapping snippets share all the work on gradients.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import chain, islice
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from taltool.backbones import BACKBONES
from taltool.backbones.contract import Backbone, Computing, Stream
from taltool.data.concurrency import parallel_map
from taltool.data.records import FeatureArray
from taltool.errors import UsageError
from taltool.video.frames import FrameFormat, Picture
from taltool.video.snippet_windows import SnippetWindows

Volume = NDArray[np.float32]
_FRAMES_AT_ONCE = 16
# Pieces of so many frames that may wait for a thread.
_PIECES_AHEAD = 4
# glibc gives memory back to the system beyond a limit that rises with the largest block that was ever freed, at most 32
# MiB. Below it, a quarter of the time went into fetching the same memory again for every few frames.
_LARGE_BLOCK = 16 << 20


@dataclass(frozen=True)
class HOG3DConfig:
    """short_side: pixels to which pictures are scaled; block: side in pixels of the blocks whose gradients are
    averaged; grids: cells per side of each level of the pyramid; temporal_cells: parts into which a snippet is divided.
    """

    short_side: int = 96
    block: int = 4
    grids: tuple[int, ...] = (1, 3)
    temporal_cells: int = 3
    # Opposite directions share a bin (10 instead of 20): what is bright on dark moves as what is dark on bright.
    half_orientation: bool = True
    # Subtracted from the projections of a unit gradient; the paper takes the cosine between two neighbouring normals
    # (0.745), which on coarse cells told motions apart less well.
    threshold: float = 0.5
    # Remove what a moving camera and changing light explain.
    compensate: bool = True

    def __post_init__(self) -> None:
        cells = max(self.grids, default=0) * self.block
        if min(self.short_side, self.block, self.temporal_cells, *self.grids) < 1 or cells > self.short_side:
            raise UsageError(
                f"hog3d: {max(self.grids, default=0)} cells of {self.block} px do not fit {self.short_side} px"
            )


@BACKBONES.register("hog3d")
class HOG3D(Backbone):
    """Histograms of spatio-temporal gradients over a pyramid of cells; see the module."""

    Config = HOG3DConfig
    window, stride = 16, 4

    def __init__(self, config: HOG3DConfig, stream: Stream = "rgb") -> None:
        super().__init__(config, stream)
        self.config: HOG3DConfig = config
        self._normals = icosahedron(config.half_orientation)

    @property
    def frame_format(self) -> FrameFormat:
        """Luminance, scaled to the configured short side."""
        return FrameFormat("gray", self.config.short_side)

    @property
    def streams(self) -> dict[str, tuple[int, int]]:
        """One stream; its channels are ordered by temporal cell, level, row, column, direction."""
        cells = sum(side * side for side in self.config.grids)
        return {"hog3d": (0, self.config.temporal_cells * cells * len(self._normals))}

    def prepare(self, computing: Computing) -> None:
        """Have the memory of intermediate results kept between frames."""
        np.empty(_LARGE_BLOCK, np.uint8)

    def check(self, windows: SnippetWindows) -> None:
        """A frame for each temporal cell at least."""
        if windows.window < self.config.temporal_cells:
            raise UsageError(f"--window {windows.window}: hog3d needs at least {self.config.temporal_cells} frames")

    def encode(
        self, pictures: Iterable[Picture], windows: SnippetWindows, threads: Executor | None = None
    ) -> Iterator[FeatureArray]:
        """Yield features (1, C) of each snippet; the gradients of a frame are computed once."""
        self.check(windows)
        edges = np.rint(np.linspace(0, windows.window, self.config.temporal_cells + 1)).astype(int)
        pieces = _pieces(pictures)
        histograms = (
            map(self._histograms, pieces)
            if threads is None
            else parallel_map(threads, self._histograms, pieces, _PIECES_AHEAD)
        )
        for snippet in windows.cut(chain.from_iterable(histograms)):
            summed = np.add.reduceat(snippet, edges[:-1], axis=0)  # (temporal cells, cells, directions)
            # Square roots of the shares of each direction; about 0 where nothing is seen.
            shares = summed / (summed.sum(-1, keepdims=True) + np.float32(1.0))
            yield np.sqrt(shares).reshape(1, -1)

    def _histograms(self, pictures: Sequence[Picture]) -> Volume:
        """Histograms (n, cells, directions) of n frames, each with the frame before it: n + 1 pictures (H, W)."""
        volume = np.stack(pictures).astype(np.float32)
        gradients = mean_gradients(volume[:-1], volume[1:], self.config.block, self.config.compensate)
        binned = quantised(gradients, self._normals, self.config.threshold)
        return np.concatenate([_cells(binned, side) for side in self.config.grids], axis=1)


def _pieces(pictures: Iterable[Picture]) -> Iterator[list[Picture]]:
    """Yield a few pictures of a video at a time, after the one before them."""
    remaining = iter(pictures)
    before: list[Picture] = []
    while piece := list(islice(remaining, _FRAMES_AT_ONCE)):
        # The first frame of a video has no motion.
        yield [*(before or piece[:1]), *piece]
        before = piece[-1:]


def icosahedron(half: bool) -> Volume:
    """Unit normals of the icosahedron's faces, (20, 3) as x, y, t, or (10, 3) with one of each opposite pair."""
    golden = (1 + sqrt(5)) / 2
    signs = [(a, b) for a in (-1, 1) for b in (-1, 1)]
    # The centres of its faces are the corners of a dodecahedron.
    corners: list[tuple[float, float, float]] = [(a, b, c) for a, b in signs for c in (-1, 1)]
    for a, b in signs:
        corners += [(0, a / golden, b * golden), (a / golden, b * golden, 0), (a * golden, 0, b / golden)]
    normals = np.array([corner for corner in corners if not half or corner > (0, 0, 0)], np.float32)
    return normals / np.float32(sqrt(3))


def mean_gradients(earlier: Volume, now: Volume, block: int, compensate: bool) -> Volume:
    """Gradients along x, y, t averaged over blocks: (n, H // block, W // block, 3), for n frames (n, H, W).

    A rest of the picture that does not fill a block is left out.
    """
    middle: Volume = (earlier + now) / np.float32(2)
    t = now - earlier
    x: Volume = np.zeros_like(middle)
    y: Volume = np.zeros_like(middle)
    x[:, :, 1:-1] = (middle[:, :, 2:] - middle[:, :, :-2]) / 2
    y[:, 1:-1] = (middle[:, 2:] - middle[:, :-2]) / 2
    blocks = np.stack([_block_means(each, block) for each in (x, y, t)], axis=-1)
    if compensate:
        causes = np.stack([x, y, middle], axis=-1)[:, ::2, ::2].reshape(len(now), -1, 3)
        weights = _explained(causes, t[:, ::2, ::2].reshape(len(now), -1, 1))  # (n, 3, 1)
        known = np.stack([blocks[..., 0], blocks[..., 1], _block_means(middle, block)], axis=-1)
        blocks[..., 2] -= (known * weights.reshape(-1, 1, 1, 3)).sum(-1)
    return blocks


def _explained(causes: Volume, effect: Volume) -> Volume:
    """Least-squares weights (n, 3, 1) of causes (n, P, 3) for an effect (n, P, 1): two shifts (px) and a gain."""
    transposed = causes.swapaxes(1, 2)
    # The ridge keeps pictures without structure (black, one pixel) solvable.
    normal = transposed @ causes + np.float32(1.0) * np.eye(3, dtype=np.float32)
    return np.linalg.solve(normal, transposed @ effect)


def _block_means(frames: Volume, block: int) -> Volume:
    length, height, width = frames.shape
    rows, columns = height // block, width // block
    cropped = frames[:, : rows * block, : columns * block]
    return cropped.reshape(length, rows, block, columns, block).mean((2, 4))


def quantised(gradients: Volume, normals: Volume, threshold: float) -> Volume:
    """Histogram over directions (..., D) of each gradient (..., 3); its Euclidean norm is the gradient's.

    With ten normals (one of each opposite pair) a gradient and its opposite are the same. A direction that is less than
    `threshold` (cosine) away from the gradient's gets nothing (paper, section 2.2).
    """
    magnitude = np.linalg.norm(gradients, axis=-1, keepdims=True)
    projected = gradients @ normals.T
    if len(normals) == 10:
        projected = np.abs(projected)
    kept = np.maximum(projected - np.float32(threshold) * magnitude, 0)
    norm = np.linalg.norm(kept, axis=-1, keepdims=True)
    return kept * (magnitude / np.maximum(norm, np.float32(1e-6)))


def _cells(binned: Volume, side: int) -> Volume:
    """Sums of (n, rows, columns, D) over side x side cells: (n, side * side, D)."""
    rows, columns = (np.rint(np.linspace(0, size, side + 1)).astype(int)[:-1] for size in binned.shape[1:3])
    summed = np.add.reduceat(np.add.reduceat(binned, rows, axis=1), columns, axis=2)
    return summed.reshape(len(binned), side * side, -1)
