"""Snippets that may be boundaries of a proposal."""

import torch

from taltool.nn.boundaries import likely_boundaries


def test_likely_boundaries_are_peaks_high_scores_and_the_ends() -> None:
    scores = torch.tensor([[0.1, 0.3, 0.2, 0.2, 0.9, 0.6, 0.1, 0.05]])
    mask = torch.arange(8)[None] < 7
    assert likely_boundaries(scores, mask).int().tolist() == [[1, 1, 0, 0, 1, 1, 1, 0]]
