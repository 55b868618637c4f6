"""Boundary pooling: what a region around each end of a segment says, channel by channel (AFSD, section 3.2).

Boundary max pooling is a range maximum with one range per proposal. Ranges are answered from a table of maxima over
windows of 1, 2, 4 ... positions, as two overlapping windows each, so the work grows with T log T instead of with the
lengths of the regions. Value and position travel in one integer (order-preserving bits of the float, then the
position counted backwards), hence the position found is the first maximum, and one `gather` gives values and gradient.
"""

import torch
from torch import Tensor, nn

from taltool.models.afsd.config import PoolKind


def boundary_regions(starts: Tensor, ends: Tensor, widths: Tensor, inside_div: float, outside_div: float) -> Tensor:
    """Regions around both ends of segments: (..., 4) int64 = first and last position at the start, then at the end.

    starts, ends, widths (...) in positions. A region reaches width / inside_div (at least 1) into the segment and
    width / outside_div (at least 1) out of it. AFSD Eq. 3 and section
    3.3 swap the two divisors; section 4.3 and the code agree with this.
    """
    inside, outside = (widths / inside_div).clamp(min=1), (widths / outside_div).clamp(min=1)
    bounds = torch.stack([starts - outside, starts + inside, ends - inside, ends + outside], dim=-1)
    return bounds.round().long()


@torch.no_grad()
def first_argmax(features: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """The position of the first maximum of features (B, C, T) within each range.

    first, last (B, N) int64 with 0 <= first <= last < T, both inclusive. Values are compared as float32.
    Returns (B, C, N) int64.
    """
    batch, channels, length = features.shape
    # Keys (B, T, C) int64 that sort like (value, -position); -0.0 and 0.0 are equal.
    bits = (features.detach().float() + 0.0).transpose(1, 2).contiguous().view(torch.int32)
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    keys = (ordered.long() << 32) + torch.arange(length - 1, -1, -1, device=features.device)[:, None]
    # The exponent of a float is exact where log2 may round; widths 1, 2-3, 4-7 ... use table row 0, 1, 2 ...
    row = torch.frexp((last - first + 1).float()).exponent.long() - 1  # (B, N)
    # Row k holds the maxima of keys over [t, t + 2^k), unused where windows leave T.
    table = keys.new_empty((int(row.max()) + 1 if row.numel() else 1, *keys.shape))
    table[0] = keys
    for number in range(1, len(table)):
        half = 1 << (number - 1)
        valid = length - 2 * half + 1
        previous = table[number - 1]
        torch.maximum(previous[:, :valid], previous[:, half : half + valid], out=table[number, :, :valid])
    base = (row * batch + torch.arange(batch, device=row.device)[:, None]) * length
    flat = table.view(-1, channels)
    head = flat.index_select(0, (base + first).flatten())
    tail = flat.index_select(0, (base + last + 1 - (1 << row)).flatten())
    best = torch.maximum(head, tail).view(batch, -1, channels)
    return (length - 1 - (best & 0xFFFFFFFF)).transpose(1, 2)


def halves(features: Tensor, regions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Treat start and end channels as samples of their own.

    features (B, C, T), first half of C start-sensitive, second end-sensitive; regions (B, N, 4), clamped to [0, T-1];
    a region whose last position precedes its first keeps the first.
    Returns features (2B, C/2, T), first and last (2B, N).
    """
    regions = regions.clamp(0, features.shape[2] - 1)
    pairs = regions.unflatten(2, (2, 2)).transpose(1, 2).flatten(0, 1)  # (2B, N, 2)
    first = pairs[..., 0]
    return features.unflatten(1, (2, -1)).flatten(0, 1), first, torch.maximum(first, pairs[..., 1])


def boundary_max_pool(features: Tensor, regions: Tensor) -> Tensor:
    """The maximum of the first half of the channels in the start region, of the second half in the end region.

    features (B, C, T), regions (B, N, 4) int64 (see `boundary_regions`). Returns (B, C, N); the gradient goes to the
    first maximum (AFSD Eq. 4).
    """
    values, first, last = halves(features, regions)
    pooled = values.gather(2, first_argmax(values, first, last))
    return pooled.unflatten(0, (-1, 2)).flatten(1, 2)


def boundary_mean_pool(features: Tensor, regions: Tensor) -> Tensor:
    """As `boundary_max_pool`, with the mean over each region: differences of prefix sums."""
    values, first, last = halves(features, regions)
    sums = torch.nn.functional.pad(values.float().cumsum(2), (1, 0))
    total = _take(sums, last + 1) - _take(sums, first)
    return (total / (last - first + 1)[:, None]).unflatten(0, (-1, 2)).flatten(1, 2)


def boundary_samples(features: Tensor, regions: Tensor) -> Tensor:
    """The features at the first, middle and last position of each region: (B, C, N, 3)."""
    values, first, last = halves(features, regions)
    samples = torch.stack([_take(values, at) for at in (first, (first + last) // 2, last)], dim=-1)
    return samples.unflatten(0, (-1, 2)).flatten(1, 2)


def _take(values: Tensor, positions: Tensor) -> Tensor:
    return values.gather(2, positions[:, None].expand(-1, values.shape[1], -1))


class BoundaryPool(nn.Module):
    """Pooling of start- and end-sensitive features (B, channels, T) in regions (B, N, 4) to (B, out_channels, N).

    max and mean as the functions above; conv: three samples of each region under one convolution, start and end
    channels apart; stack: the three samples concatenated (AFSD, Table 2e). Start features stay the first half.
    """

    def __init__(self, kind: PoolKind, channels: int) -> None:
        super().__init__()
        self.kind = kind
        self.out_channels = self.widened(kind, channels)
        self.mixing = nn.Conv1d(channels, channels, 3, groups=2) if kind == "conv" else None

    @staticmethod
    def widened(kind: PoolKind, channels: int) -> int:
        """The number of channels that pooling `channels` gives."""
        return channels * 3 if kind == "stack" else channels

    def forward(self, features: Tensor, regions: Tensor) -> Tensor:
        """Pool; see the class."""
        if self.kind == "max":
            return boundary_max_pool(features, regions)
        if self.kind == "mean":
            return boundary_mean_pool(features, regions)
        samples = boundary_samples(features, regions)  # (B, C, N, 3)
        if self.mixing is None:
            stacked = samples.unflatten(1, (2, -1)).transpose(3, 4).transpose(2, 3)  # (B, 2, 3, C/2, N)
            return stacked.flatten(1, 3)
        mixed = self.mixing(samples.transpose(1, 2).flatten(0, 1))  # (B*N, C, 1)
        return mixed.unflatten(0, (len(features), -1)).squeeze(3).transpose(1, 2)
