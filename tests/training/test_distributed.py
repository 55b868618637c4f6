"""Processes of a training: alone they need nothing, and together they leave with one message."""

import pytest
import torch

from taltool.errors import UsageError
from taltool.training.distributed import Processes, joined

LAUNCHED = {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}


@pytest.mark.parametrize("environment", [{}, LAUNCHED | {"WORLD_SIZE": "1"}, {"WORLD_SIZE": "4"}])
def test_a_process_that_no_launcher_started_is_alone(environment: dict[str, str]) -> None:
    with joined("cpu", environment) as (processes, device):
        assert (processes.rank, processes.count, processes.is_first, device) == (0, 1, True, "cpu")
        assert processes.gathered("a") == ["a"]
        assert processes.told("a") == "a"
        assert processes.total(torch.tensor(3)) == 3


def test_several_processes_cannot_share_one_named_gpu() -> None:
    with pytest.raises(UsageError, match="--device cuda, one GPU for each"), joined("cuda:0", LAUNCHED):
        pass


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UsageError, match="1 GPUs here for at least 2 processes"), joined("cuda", LAUNCHED):
        pass


def test_numbers_are_drawn_by_one_process_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(7)
    expected = torch.rand(5, generator=torch.Generator().manual_seed(7))
    states = {}

    def broadcast(state: torch.Tensor, rank: int) -> None:
        if rank == 0:  # what process 0 says to this one, number 1: it has drawn two numbers
            other = torch.Generator().manual_seed(7)
            torch.rand(2, generator=other)
            state.copy_(other.get_state())
        states[rank] = state

    monkeypatch.setattr(torch.distributed, "broadcast", broadcast)
    drawn = Processes(1, 2).in_turn(generator, lambda g: torch.rand(3, generator=g))
    assert torch.equal(drawn, expected[2:])
    assert sorted(states) == [0, 1]
