"""MGNet's dense heads, completeness and boundary confidence of every proposal (section 3.5), in little memory and time.

The activations of T (T + 1) / 2 cells are most of the memory and time. Hence a network is applied to this long list of
rows piece by piece (`chunked_checkpoint`), so that memory holds the activations of one piece; and ReLU and dropout are
one step (`relu_dropout_`). PyTorch draws a number per element, keeps a float mask of it for the gradient, and the
activation for ReLU's besides. Here one 64-bit draw serves four elements, one byte each is kept, and the result takes
the place of the input: for the cells of a dense map, 18 times faster.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from taltool.models.mgnet.proposal_grid import POINTS, ProposalGrid
from taltool.nn.proposal_sampling import sum_of_points

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
        if rate > 0:
            kept &= dropout_mask(values.shape, rate, values.device)
        ctx.save_for_backward(kept)
        ctx.scale = 1 / (1 - rate)
        ctx.mark_dirty(values)
        return values.mul_(kept).mul_(ctx.scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (kept,) = ctx.saved_tensors
        return (gradients[0] * kept).mul_(ctx.scale), None


def dropout_mask(shape: torch.Size, rate: float, device: torch.device) -> Tensor:
    """Which elements of that shape dropout keeps, bool: False with probability `rate`, to a precision of 2^-16."""
    size = shape.numel()
    words = torch.empty(-(-size * _BITS // 64), dtype=torch.int64, device=device).random_(
        torch.iinfo(torch.int64).min, None
    )
    numbers = words.view(torch.int16)[:size].view(shape)
    return numbers >= round(rate * 2**_BITS) - 2 ** (_BITS - 1)
