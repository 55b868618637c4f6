"""Labels by overlap, worked by hand on a grid of ten snippets."""

import pytest
import torch

from taltool.nn.dense_labels import best_tiou, region_labels
from taltool.nn.targets import PaddedTargets, padded_targets


def truth(*samples: list[list[float]]) -> PaddedTargets:
    own = [torch.tensor(each, dtype=torch.float64).view(-1, 2) for each in samples]
    return padded_targets(own, [torch.zeros(len(each), dtype=torch.int64) for each in own], torch.device("cpu"))


def test_a_cell_is_labelled_by_the_share_that_an_instance_or_boundary_covers() -> None:
    action, start, end = region_labels(truth([[2.3, 5.6]]), 10, 1)[0]
    assert action.tolist() == pytest.approx([0, 0, 0.7, 1, 1, 0.6, 0, 0, 0, 0], abs=1e-6)
    assert start.tolist() == pytest.approx([0, 0.7, 1, 0.3, 0, 0, 0, 0, 0, 0], abs=1e-6)
    assert end.tolist() == pytest.approx([0, 0, 0, 0, 0.4, 1, 0.6, 0, 0, 0], abs=1e-6)


def test_the_width_of_the_boundary_is_a_choice() -> None:
    start = region_labels(truth([[2.3, 5.6]]), 10, 2)[0, 1]
    assert start.tolist() == pytest.approx([0.7, 1, 1, 1, 0.3, 0, 0, 0, 0, 0], abs=1e-6)


def test_of_several_instances_the_one_that_covers_most_counts() -> None:
    action = region_labels(truth([[0, 1.5], [1.25, 3]], []), 4, 1)[:, 0]
    assert action.tolist() == [[1, 0.75, 1, 0], [0, 0, 0, 0]]


def test_completeness_is_the_best_overlap_of_whole_cells() -> None:
    cells = [(2, 4), (2, 5), (1, 4), (3, 4), (2, 2), (0, 9), (5, 9)]
    first, last = torch.tensor(cells, dtype=torch.float64).T
    found = best_tiou(truth([[2, 5]]), first, last + 1)[0]
    assert found.tolist() == pytest.approx([1, 0.75, 0.75, 2 / 3, 1 / 3, 0.3, 0])


def test_without_an_instance_nothing_is_complete() -> None:
    found = best_tiou(truth([], [[3, 3]]), torch.tensor([0.0, 3.0]), torch.tensor([4.0, 4.0]))
    assert found.tolist() == [[0, 0], [0, 0]]
