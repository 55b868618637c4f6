"""Locations and boundary positions get their ground truth."""

import torch

from taltool.nn.targets import PaddedTargets, assign_shortest, boundary_labels, padded_targets

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


def test_boundary_labels_of_the_worked_example() -> None:
    labels = boundary_labels(targets([[50, 80]]), 100)[0]
    assert labels[0].nonzero().flatten().tolist() == [48, 49, 50, 51, 52]
    assert labels[1].nonzero().flatten().tolist() == [78, 79, 80, 81, 82]


def test_boundary_labels_of_a_short_instance_are_two_frames_wide_and_end_at_the_clip() -> None:
    labels = boundary_labels(targets([[0, 4], [6, 8]]), 8)[0]
    assert labels[0].nonzero().flatten().tolist() == [0, 1, 5, 6, 7]
    assert labels[1].nonzero().flatten().tolist() == [3, 4, 5, 7]


def test_no_instance_labels_no_boundary() -> None:
    assert not boundary_labels(targets([]), 8).any()
