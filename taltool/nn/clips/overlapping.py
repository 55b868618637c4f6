"""Networks on clips that overlap in time: what their first convolution gives for several clips is computed once.

A step of the convolution that sees none of the zeros around its clip is the same, to the bit, in every clip that has
it. The other steps are computed from the frames that they see, without multiplying zeros. Deeper layers also see the
zeros of the layers before them, and share too little to be worth it; so does a first convolution that takes little of
the time (C3D, R(2+1)D).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from taltool.nn.clips.layers import Conv3d, with_zeros


class OverlappingClips(nn.Module, ABC):
    """A network from pixels (B, C, T, H, W) to (B, F) that begins with a convolution."""

    @property
    @abstractmethod
    def first(self) -> Conv3d:
        """The convolution that it begins with."""

    @abstractmethod
    def rest(self, volume: Tensor) -> Tensor:
        """(B, F) of what that convolution gives, (B, C', T', H', W'), which may be changed."""

    def forward(self, volume: Tensor) -> Tensor:
        """What the network gives for each clip of a batch."""
        return self.rest(self.first(volume))

    def shares(self, window: int, stride: int) -> bool:
        """Whether clips of `window` frames at every `stride` frames have steps of the first convolution in common."""
        step = self.first.stride[0]
        return stride % step == 0 and stride < len(self._inner_steps(window)) * step

    def forward_clips(self, frames: Tensor, window: int, stride: int) -> Iterator[Tensor]:
        """Yield (1, F) for every clip of `window` frames, at every `stride` frames, of (1, C, frames, H, W)."""
        width, step = self.first.kernel_size[0], self.first.stride[0]
        starts = range(0, frames.shape[2] - window + 1, stride)
        if stride % step and len(starts) > 1:  # No step is the same in two clips.
            yield from (self(frames[:, :, start : start + window]) for start in starts)
            return
        (before, after), *sides = self.first.zeros((window, *frames.shape[3:]))
        frames, padding = with_zeros(frames, [(0, 0), *sides])
        inner = self._inner_steps(window)
        outer = [number for number in range((window + before + after - width) // step + 1) if number not in inner]
        shared = self.first.convolve(frames[:, :, inner.start * step - before :], padding) if inner else None
        for start in starts:
            clip = frames[:, :, start : start + window]
            parts = [_outer_step(self.first, clip, number * step - before, padding) for number in outer]
            if shared is not None:
                parts.insert(inner.start, shared[:, :, start // step :][:, :, : len(inner)])
            yield self.rest(torch.cat(parts, dim=2))

    def _inner_steps(self, window: int) -> range:
        """The first convolution's steps in time, of a clip of `window` frames, that see no zeros before or after it."""
        before, _ = self.first.zeros((window, 1, 1))[0]
        width, step = self.first.kernel_size[0], self.first.stride[0]
        first = -(-before // step)
        return range(first, max((window - width + before) // step + 1, first))


def _outer_step(convolution: Conv3d, clip: Tensor, begin: int, padding: list[int]) -> Tensor:
    """The one step of a convolution whose first frame is number `begin` of a clip; frames outside of it are zeros."""
    end = min(begin + convolution.kernel_size[0], clip.shape[2])
    first = max(begin, 0)
    return convolution.convolve(clip[:, :, first:end], padding, slice(first - begin, end - begin))
