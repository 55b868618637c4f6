"""Locations and boundary positions get their ground truth."""

import pytest
import torch

from taltool.nn.targets import (
    CellTargets,
    PaddedTargets,
    assign_shortest,
    best_tiou,
    cells_of,
    covered,
    padded_targets,
    region_labels,
)

CPU = torch.device("cpu")


def targets(*samples: list[list[float]]) -> PaddedTargets:
    segments = [torch.tensor(own).view(-1, 2) for own in samples]
    return padded_targets(segments, [torch.arange(len(own)) for own in segments], CPU)


def test_a_location_gets_the_shortest_instance_that_holds_it_both_ends_included() -> None:
    assigned = assign_shortest(torch.tensor([50.0, 20, 60, 101]), targets([[10, 100], [40, 60]]))
    assert assigned.positive.tolist() == [[True, True, True, False]]
    assert assigned.labels.tolist() == [[1, 0, 1, 0]]
    assert assigned.distances.tolist() == [[[10, 10], [10, 80], [20, 0], [0, 0]]]


def test_samples_without_instances_have_no_positives() -> None:
    assigned = assign_shortest(torch.tensor([0.0, 5.0]), targets([[0, 9], [1, 2]], []))
    assert assigned.positive.tolist() == [[True, True], [False, False]]
    assert not assign_shortest(torch.tensor([0.0]), targets([])).positive.any()


def test_bounds_are_open_below_and_closed_above() -> None:
    bounds = torch.tensor([[0.0, 6.0], [0.0, 5.9], [6.0, 9.0], [5.9, 9.0]])
    assigned = assign_shortest(torch.full((4,), 4.0), targets([[0, 10]]), bounds)
    assert assigned.positive.tolist() == [[True, False, False, True]]


def test_bounds_choose_the_shortest_among_those_in_range() -> None:
    bounds = torch.tensor([[20.0, 90.0]])
    assert assign_shortest(torch.tensor([50.0]), targets([[10, 100], [40, 60]]), bounds).labels.tolist() == [[0]]


def cells(segments: list[list[float]], length: int) -> CellTargets:
    own = torch.tensor(segments).view(-1, 2)
    return cells_of(padded_targets([own], [torch.zeros(len(own), dtype=torch.int64)], own.device), length)


def test_a_cell_belongs_to_the_instance_that_holds_its_centre() -> None:
    """Centres 1.5, 2.5, 3.5 lie in [1.5, 3.6); the end itself does not count."""
    assert cells([[1.5, 3.6]], 6).owner.tolist() == [[-1, 0, 0, 0, -1, -1]]
    assert cells([[1.5, 3.5]], 6).owner.tolist() == [[-1, 0, 0, -1, -1, -1]]


def test_an_instance_between_two_centres_keeps_the_cell_of_its_middle() -> None:
    assert cells([[2.6, 3.2]], 6).owner.tolist() == [[-1, -1, 0, -1, -1, -1]]
    assert cells([[3.0, 3.0]], 6).owner.tolist() == [[-1, -1, -1, 0, -1, -1]]
    assert cells([[5.9, 6.0]], 6).owner.tolist() == [[-1, -1, -1, -1, -1, 0]]


def test_the_shorter_of_two_instances_owns_a_cell_and_both_hold_it() -> None:
    found = cells([[0, 5], [2, 4]], 6)
    assert found.owner.tolist() == [[0, 0, 1, 1, 0, -1]]
    assert found.inside.int().tolist() == [[[1, 1, 1, 1, 1, 0], [0, 0, 1, 1, 0, 0]]]


def test_no_instance_owns_no_cell() -> None:
    assert not cells([], 4).is_action.any()


def test_values_of_the_owner() -> None:
    found = cells([[0, 2], [2, 4]], 4)
    assert found.of_owner(torch.tensor([[7, 8]])).tolist() == [[7, 7, 8, 8]]
    assert found.of_owner(torch.tensor([[[0.0, 2.0], [2.0, 4.0]]])).tolist() == [[[0, 2], [0, 2], [2, 4], [2, 4]]]


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


def test_a_place_is_covered_by_the_region_that_covers_it_most() -> None:
    """[0, 2], [2, 4] and [4, 6] under [1, 2.5] and [3.5, 9], and under nothing."""
    starts, ends = torch.tensor([[1.0, 3.5], [0.0, 9.0]]), torch.tensor([[2.5, 9.0], [9.0, 9.0]])
    present = torch.tensor([[True, True], [False, False]])
    found = covered(torch.tensor([0.0, 2.0, 4.0]), 2.0, starts, ends, present)
    assert found.tolist() == [[0.5, 0.25, 1.0], [0.0, 0.0, 0.0]]
