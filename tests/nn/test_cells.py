"""Which cells an instance holds, by cases on paper."""

import torch

from taltool.nn.cells import CellTargets, cells_of
from taltool.nn.targets import padded_targets


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
