"""The parts of BMN's network: the dense map of its proposals, durations over starts, and where the points of each are
sampled; convolutions, boundary probabilities, confidences of the proposals."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from taltool.models.bmn.config import BMNConfig
from taltool.nn.attention import TransformerEmbedding
from taltool.nn.proposal_sampling import PointBags, sum_of_points, upper_triangle


def proposal_cells(length: int, most_snippets: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """First and last snippet (N,) int64 of the proposals within `length` snippets, in rows of equal start.

    They have at most `most_snippets` snippets; 0 = as many as there are.
    """
    first, last = upper_triangle(length, device)
    is_short = last - first < (most_snippets or length)
    return first[is_short], last[is_short]


def sample_positions(first: Tensor, last: Tensor, points: int, samples: int, reach: float) -> Tensor:
    """Where the samples of proposals lie, in snippets: (N, points, samples) float64 for first and last (N,) int64.

    points * samples of them stand evenly from first - reach * length to last + reach * length, both ends included,
    where length is last - first + 1; a point is the mean of `samples` neighbours.
    """
    margin = (last - first + 1).double() * reach
    steps = torch.linspace(0, 1, points * samples, dtype=torch.float64, device=first.device)
    return torch.lerp((first - margin)[:, None], (last + margin)[:, None], steps).unflatten(1, (points, samples))


def point_bags(positions: Tensor, length: int) -> PointBags:
    """How points of cells are sampled that are the means of S samples each, at positions (N, P, S) float64 in snippets.

    A sample is interpolated linearly between the snippets beside it; snippets beyond both ends are 0.
    """
    cells, points, samples = positions.shape
    left = positions.floor()
    share = positions - left
    snippet = torch.stack([left, left + 1], dim=-1).long()  # (N, P, S, 2)
    weight = torch.stack([1 - share, share], dim=-1) / samples
    inside = (snippet >= 0) & (snippet < length) & (weight > 0)
    point = torch.arange(cells * points, device=positions.device).view(cells, points, 1, 1)
    # Samples of a point that fall between the same snippets become one entry.
    entry, where = (point * length + snippet)[inside].unique(return_inverse=True)
    weights = weight.new_zeros(len(entry)).index_add_(0, where, weight[inside])
    rows = points * length
    return PointBags.of(entry // rows, entry % rows, weights, cells, rows)


@dataclass(frozen=True)
class ProposalMap:
    """The map of D durations over T starts: its cells, the proposals that end within T snippets, and their points.

    first, last (N,) are the cells' snippets; row last - first, column first of the map is theirs.
    """

    length: int
    durations: int
    first: Tensor
    last: Tensor
    bags: PointBags

    @classmethod
    def of(cls, config: BMNConfig, length: int, device: torch.device) -> "ProposalMap":
        """The map over `length` snippets."""
        first, last = proposal_cells(length, config.most_snippets, device)
        positions = sample_positions(first, last, config.points, config.samples_per_point, config.reach)
        durations = min(config.most_snippets or length, length)
        return cls(length, durations, first, last, point_bags(positions, length))

    def spread(self, cells: Tensor) -> Tensor:
        """Cells (B, N, C) on the map, zero elsewhere: (B, C, D, T), channels last in memory."""
        maps = cells.new_zeros(len(cells), self.durations, self.length, cells.shape[-1])
        maps[:, self.last - self.first, self.first] = cells
        return maps.permute(0, 3, 1, 2)

    def cells(self, maps: Tensor) -> Tensor:
        """The cells (B, N, C) of maps (B, C, D, T)."""
        return maps.permute(0, 2, 3, 1)[:, self.last - self.first, self.first]


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
