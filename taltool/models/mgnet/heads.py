"""MGNet's dense heads, completeness and boundary confidence of every proposal (section 3.5), in little memory and time.

Proposals are the cells of a map, start over end; each is described by 32 points (DBG's sampler).

The activations of T (T + 1) / 2 cells are most of the memory and time. Hence a network is applied to this long list of
rows piece by piece (`chunked_checkpoint`), so that memory holds the activations of one piece; and ReLU and dropout are
one step (`relu_dropout_`). PyTorch draws a number per element, keeps a float mask of it for the gradient, and the
activation for ReLU's besides. Here one 64-bit draw serves four elements, one byte each is kept, and the result takes
the place of the input: for the cells of a dense map, 18 times faster.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from taltool.nn.proposal_sampling import PointBags, sum_of_points, upper_triangle

START_POINTS, CENTRE_POINTS, END_POINTS = 8, 16, 8
POINTS = START_POINTS + CENTRE_POINTS + END_POINTS
# The regions around start and end reach this share of the proposal's length to both sides.
REGION = 1 / 5


def point_positions(first: Tensor, last: Tensor) -> Tensor:
    """Where the points of proposals lie, in snippets and not clamped: (N, 32) float64 for first and last (N,) int64.

    8 points over start +- length / 5, 16 from first to last, 8 over end +- length / 5, where length is
    last - first + 1.
    """
    first, last = first.double()[:, None], last.double()[:, None]
    reach = (last - first + 1) * REGION
    steps = [
        torch.arange(n, device=first.device, dtype=first.dtype) / (n - 1)
        for n in (START_POINTS, CENTRE_POINTS, END_POINTS)
    ]
    around_start = first - reach + steps[0] * 2 * reach
    inside = first + steps[1] * (last - first)
    around_end = last - reach + steps[2] * 2 * reach
    return torch.cat([around_start, inside, around_end], dim=1)


@dataclass(frozen=True)
class ProposalGrid:
    """The cells of a map over T snippets and how their points are interpolated.

    first, last (N,) are the cells; left, right (N, 32) the snippets beside each point and share (N, 32) float64 the
    weight of the right one; bags the same as a sparse product.
    """

    length: int
    first: Tensor
    last: Tensor
    left: Tensor
    right: Tensor
    share: Tensor
    bags: PointBags

    @classmethod
    def of(cls, length: int, device: torch.device) -> "ProposalGrid":
        """The grid over `length` snippets; points outside are moved to the first or last snippet."""
        first, last = upper_triangle(length, device)
        positions = point_positions(first, last).clamp(0, length - 1)
        left = positions.floor().clamp(max=max(length - 2, 0)).long()
        right = (left + 1).clamp(max=length - 1)
        share = positions - left
        rows = torch.stack([left, right], dim=-1) + torch.arange(POINTS, device=device)[:, None] * length
        weights = torch.stack([1 - share, share], dim=-1)  # (N, 32, 2)
        cells = torch.arange(len(first), device=device).repeat_interleave(2 * POINTS)
        bags = PointBags.of(cells, rows.flatten(), weights.flatten(), len(first), POINTS * length)
        return cls(length, first, last, left, right, share, bags)

    def points(self, values: Tensor) -> Tensor:
        """Values (B, T) at the points of each cell: (B, N, 32)."""
        left, right = values[:, self.left], values[:, self.right]
        return torch.lerp(left, right, self.share.to(values.dtype))


def extended(features: Tensor, mask: Tensor) -> Tensor:
    """Features (B, C, T) with the last valid snippet of each sample repeated over its padding.

    Points beyond the end of a padded sample are then those of the sample alone. mask (B, T) bool, padding at the end.
    """
    last = (mask.sum(1) - 1).clamp(min=0)[:, None]
    index = torch.minimum(torch.arange(mask.shape[1], device=mask.device), last)
    return features.gather(2, index[:, None].expand_as(features))


# A block of 256 channels takes 1 MiB; twice or half as many took as long.
CELLS_PER_BLOCK = 1024
# Of each random number that drops an element.
_BITS = 16


class CompletenessHead(nn.Module):
    """The completeness of each cell from the action probabilities at its 32 points (Eq. 15 and 16)."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.enter = glorot_linear(POINTS, width)
        self.rest = CellPerceptron(width, 1, dropout)

    def forward(self, action: Tensor, grid: ProposalGrid) -> Tensor:
        """Map action probabilities (B, T) to logits (B, N)."""
        points = grid.points(action)
        logits = chunked_checkpoint(lambda block: self.rest(self.enter(block)), points.flatten(0, 1), CELLS_PER_BLOCK)
        return logits.view(points.shape[:2])


class BoundaryHead(nn.Module):
    """The confidence of start and end of each cell from the features at its 32 points (Eq. 17 and 18).

    A convolution over the points, `points`, without activation, and one of kernel 1, `enter`, are one linear map.
    Their product is applied to the T snippets, 32 times, before anything is sampled; see `sum_of_points`.
    """

    def __init__(self, channels: int, proposal_width: int, width: int, dropout: float) -> None:
        super().__init__()
        self.points = glorot_linear(channels * POINTS, proposal_width)  # inputs in the order (channel, point)
        nn.init.xavier_uniform_(self.points.weight.data.unflatten(1, (channels, POINTS)))  # as the convolution it is
        self.enter = glorot_linear(proposal_width, width)
        self.rest = CellPerceptron(width, 2, dropout)

    def forward(self, features: Tensor, grid: ProposalGrid) -> tuple[Tensor, Tensor]:
        """Map features (B, C, T) to the logits (B, N) of start and end."""
        with torch.autocast(features.device.type, enabled=False):
            weight = self.enter.weight @ self.points.weight  # (width, C * 32)
            bias = F.linear(self.points.bias, self.enter.weight, self.enter.bias)
            kernel = weight.unflatten(1, (-1, POINTS))
            # The weights of each point's snippets sum to 1, so every cell gets the whole bias.
            cells = sum_of_points(features, kernel, grid.bags, bias / POINTS)  # (N, B, width)
        logits = chunked_checkpoint(self.rest, cells.flatten(0, 1), CELLS_PER_BLOCK).view(*cells.shape[:2], 2)
        start, end = logits.transpose(0, 1).unbind(-1)
        return start, end


class CellPerceptron(nn.Module):
    """What follows the first layer of both heads at each cell: ReLU, dropout, a hidden layer, ReLU, dropout, logits."""

    def __init__(self, width: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.hidden, self.output = glorot_linear(width, width), glorot_linear(width, outputs)
        self.dropout = dropout

    def forward(self, cells: Tensor) -> Tensor:
        """Map cells (..., width) to (..., outputs)."""
        rate = self.dropout if self.training else 0.0
        return self.output(relu_dropout_(self.hidden(relu_dropout_(cells.clone(), rate)), rate))


def glorot_linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer with Glorot-uniform weights and zero bias: a convolution of kernel 1 over the map."""
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def chunked_checkpoint(function: Callable[[Tensor], Tensor], rows: Tensor, size: int) -> Tensor:
    """function(rows) for rows (N, ...), `size` rows at a time.

    function must treat every row by itself. Of the blocks only the inputs and outputs are kept; for the gradient each
    is computed once more, with the same random numbers.
    """
    parts = [checkpoint(function, block, use_reentrant=False) for block in rows.split(size)]
    return torch.cat(parts)


def relu_dropout_(values: Tensor, rate: float) -> Tensor:
    """max(values, 0) / (1 - rate) where a draw of probability 1 - rate keeps it, else 0; rate in [0, 1), 0 is ReLU.

    In place: `values` must be the result of an operation whose gradient does not need it, such as a linear layer, and
    no view (the gradient of a changed view is copied).
    """
    return _ReluDropout.apply(values, rate)


class _ReluDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, rate: float) -> Tensor:
        kept = values > 0
        if rate > 0:  # Keep with probability 1 - rate, to a precision of 2^-16.
            count = -(-values.numel() * _BITS // 64)
            words = torch.empty(count, dtype=torch.int64, device=values.device)
            numbers = words.random_(torch.iinfo(torch.int64).min, None).view(torch.int16)[: values.numel()]
            kept &= numbers.view(values.shape) >= round(rate * 2**_BITS) - 2 ** (_BITS - 1)
        ctx.save_for_backward(kept)
        ctx.scale = 1 / (1 - rate)
        ctx.mark_dirty(values)
        return values.mul_(kept).mul_(ctx.scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (kept,) = ctx.saved_tensors
        return (gradients[0] * kept).mul_(ctx.scale), None
