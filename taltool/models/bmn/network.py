"""The parts of BMN's network: convolutions, boundary probabilities, confidences of the proposals of a dense map."""

from torch import Tensor, nn

from taltool.models.bmn.proposal_map import ProposalMap
from taltool.nn.embedding import TransformerEmbedding
from taltool.nn.proposal_sampling import sum_of_points


class Convolutions(nn.Module):
    """Convolutions of kernel 3 in groups of channels, ReLU behind each, zero in padding."""

    def __init__(self, inputs: int, width: int, layers: int, groups: int) -> None:
        super().__init__()
        widths = [inputs, *[width] * (layers - 1)]
        self.layers = nn.ModuleList(nn.Conv1d(i, width, 3, padding=1, groups=groups) for i in widths)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Map (B, inputs, T) with mask (B, T) to (B, width, T)."""
        for layer in self.layers:
            features = layer(features).relu() * mask[:, None]
        return features


class FrontEmbedding(nn.Module):
    """GSMT's transformer embedding of the snippets, behind a linear layer where a width is asked for."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.enter = nn.Conv1d(channels, width, 1) if width else nn.Identity()
        self.embed = TransformerEmbedding(width or channels)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Map (B, channels, T) with mask (B, T) to (B, width, T)."""
        return self.embed(self.enter(features), mask)


class BoundaryHead(nn.Module):
    """The logits of each snippet being a start (or an end): a hidden layer and one output."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.hidden, self.output = Convolutions(width, width, 1, groups), nn.Conv1d(width, 1, 1)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Map (B, width, T) to (B, T)."""
        return self.output(self.hidden(features, mask)).squeeze(1)


class ProposalHead(nn.Module):
    """Proposal evaluation: two confidences of each proposal from the features at its points and at its neighbours'.

    The convolution over points, `points`, is applied to the snippets before anything is sampled, see `sum_of_points`.
    Cells beyond the end of a sample are zero in front of each convolution over the map, as what is beyond the map is;
    in the published code, whose samples have one length, they hold what the biases make of no features.
    """

    def __init__(self, width: int, proposal_width: int, map_width: int, points: int) -> None:
        super().__init__()
        self.reduce = Convolutions(width, width, 1, groups=1)
        self.points = nn.Conv3d(width, proposal_width, (points, 1, 1))
        self.enter = nn.Linear(proposal_width, map_width)  # A convolution of kernel 1, and so `output`.
        self.neighbours = nn.ModuleList(nn.Conv2d(map_width, map_width, 3, padding=1) for _ in range(2))
        self.output = nn.Linear(map_width, 2)

    def forward(self, features: Tensor, mask: Tensor, proposals: ProposalMap) -> Tensor:
        """Map features (B, width, T) with mask (B, T) to logits (B, N, 2) of regression and classification."""
        assert self.points.bias is not None
        reduced = self.reduce(features, mask)
        sampled = sum_of_points(reduced, self.points.weight.flatten(2), proposals.bags) + self.points.bias
        cells = self.enter(sampled.relu_()).relu().transpose(0, 1)  # (B, N, map_width)
        there = proposals.spread(mask[:, proposals.last, None].to(cells.dtype))
        maps = proposals.spread(cells)
        for layer in self.neighbours:
            maps = layer(maps * there).relu()
        return self.output(proposals.cells(maps))
