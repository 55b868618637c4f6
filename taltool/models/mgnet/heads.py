"""The two dense heads of MGNet: how complete each proposal is, and how sure its start and end are (section 3.5)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taltool.models.mgnet.blocks import in_blocks
from taltool.models.mgnet.relu_dropout import relu_dropout_
from taltool.nn.proposal_sampling import POINTS, ProposalGrid, sum_of_points

# A block of 256 channels takes 1 MiB; twice or half as many took as long.
CELLS_PER_BLOCK = 1024


def glorot_linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer with Glorot-uniform weights and zero bias: a convolution of kernel 1 over the map."""
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


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


class CompletenessHead(nn.Module):
    """The completeness of each cell from the action probabilities at its 32 points (Eq. 15 and 16)."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.enter = glorot_linear(POINTS, width)
        self.rest = CellPerceptron(width, 1, dropout)

    def forward(self, action: Tensor, grid: ProposalGrid) -> Tensor:
        """Map action probabilities (B, T) to logits (B, N)."""
        points = grid.points(action)
        logits = in_blocks(lambda block: self.rest(self.enter(block)), points.flatten(0, 1), CELLS_PER_BLOCK)
        return logits.view(points.shape[:2])


class BoundaryHead(nn.Module):
    """The confidence of start and end of each cell from the features at its 32 points (Eq. 17 and 18).

    A convolution over the points, `points`, without activation, and one of kernel 1, `enter`, are one linear map.
    Their product is applied to the T snippets, 32 times, before anything is sampled; see `proposal_sampling`.
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
            cells = sum_of_points(features, kernel, grid, bias)  # (N, B, width)
        logits = in_blocks(self.rest, cells.flatten(0, 1), CELLS_PER_BLOCK).view(*cells.shape[:2], 2)
        start, end = logits.transpose(0, 1).unbind(-1)
        return start, end
