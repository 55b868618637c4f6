"""MGNet's dense heads as its paper writes them, over whole T x T maps of sampled points; the twin of the fast ones."""

from mgnet_points_twin import sampling_weights
from torch import Tensor, nn

from taltool.models.mgnet.heads import POINTS, BoundaryHead, CellPerceptron, CompletenessHead


class PlainHeads(nn.Module):
    """Both heads with the weights of ours: every point of every proposal is sampled by one product, then a Conv3d of
    size (32, 1, 1), and Conv2d of kernel 1, ReLU and dropout over the map."""

    def __init__(self, completeness: CompletenessHead, boundary: BoundaryHead, length: int) -> None:
        super().__init__()
        weight, bias = boundary.points.weight.data, boundary.points.bias.data
        self.register_buffer("sampled", sampling_weights(length, weight.dtype).flatten(1))
        self.length = length
        self.points = nn.Conv3d(weight.shape[1] // POINTS, len(weight), (POINTS, 1, 1)).to(weight)
        self.points.weight.data.copy_(weight.view_as(self.points.weight))
        self.points.bias.data.copy_(bias)  # type: ignore[union-attr]
        self.completeness = self._perceptron(completeness.enter, completeness.rest)
        self.boundary = self._perceptron(boundary.enter, boundary.rest)

    def _perceptron(self, enter: nn.Linear, rest: CellPerceptron) -> nn.Sequential:
        convs = []
        for layer in (enter, rest.hidden, rest.output):
            conv = nn.Conv2d(layer.in_features, layer.out_features, 1).to(layer.weight)
            conv.weight.data.copy_(layer.weight.data[..., None, None])
            conv.bias.data.copy_(layer.bias.data)  # type: ignore[union-attr]
            convs.append(conv)
        first, second, third = convs
        drop = nn.Dropout(rest.dropout)
        return nn.Sequential(first, nn.ReLU(), drop, second, nn.ReLU(), drop, third)

    def sample(self, features: Tensor) -> Tensor:
        """Features (B, C, T) at every point of every proposal: (B, C, 32, T, T)."""
        return (features @ self.sampled).unflatten(2, (POINTS, self.length, self.length))

    def forward(self, action: Tensor, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Maps (B, T, T) of completeness, start and end, from action probabilities (B, T) and features (B, C, T)."""
        complete = self.completeness(self.sample(action[:, None]).squeeze(1)).squeeze(1)
        start, end = self.boundary(self.points(self.sample(features)).squeeze(2)).unbind(1)
        return complete, start, end
