"""The dense head as DBG and MGNet describe it: every point of every proposal is sampled, then convolved over.

The twin that `taltool.models.mgnet.heads` is compared with; it holds B x C x 32 x T x T numbers.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def positions(first: int, last: int) -> list[float]:
    """The 32 positions of one proposal by definition, before they are moved inside."""
    reach = (last - first + 1) / 5
    start = [first - reach + n * 2 * reach / 7 for n in range(8)]
    centre = [first + n * (last - first) / 15 for n in range(16)]
    end = [last - reach + n * 2 * reach / 7 for n in range(8)]
    return start + centre + end


def sampling_weights(length: int, dtype: torch.dtype) -> Tensor:
    """How much of each snippet each point takes: (T, 32, T, T), zero for proposals that end before they start."""
    weights = torch.zeros(length, 32, length, length, dtype=dtype)
    for first in range(length):
        for last in range(first, length):
            for point, position in enumerate(positions(first, last)):
                inside = min(max(position, 0.0), length - 1.0)
                left = int(inside)
                weights[left, point, first, last] += 1 - (inside - left)
                weights[min(left + 1, length - 1), point, first, last] += inside - left
    return weights


def plain_sum_of_points(features: Tensor, weight: Tensor, sampled: Tensor, bias: Tensor) -> Tensor:
    """A Conv3d of size (32, 1, 1), (D, C, 32), over all sampled points of features (B, C, T): (B, D, T, T)."""
    points = torch.einsum("bct,tnij->bcnij", features, sampled)
    return F.conv3d(points, weight[..., None, None], bias).squeeze(2)
