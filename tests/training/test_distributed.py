"""Processes of a training: alone they need nothing, and together they leave with one message."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from taltool.errors import UsageError
from taltool.training.distributed import ProcessGroup, init_distributed
from taltool.training.micro_batches import BatchPartition

LAUNCHED = {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}


@pytest.mark.parametrize("environment", [{}, LAUNCHED | {"WORLD_SIZE": "1"}, {"WORLD_SIZE": "4"}])
def test_a_process_that_no_launcher_started_is_alone(environment: dict[str, str]) -> None:
    with init_distributed("cpu", environment) as (processes, device):
        assert (processes.rank, processes.world_size, processes.is_first, device) == (0, 1, True, "cpu")
        assert processes.all_gather("a") == ["a"]
        assert processes.broadcast("a") == "a"
        assert processes.all_reduce_sum(torch.tensor(3)) == 3


def test_several_processes_cannot_share_one_named_gpu() -> None:
    with pytest.raises(UsageError, match="--device cuda, one GPU for each"), init_distributed("cuda:0", LAUNCHED):
        pass


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UsageError, match="1 GPUs here for at least 2 processes"), init_distributed("cuda", LAUNCHED):
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
    drawn = ProcessGroup(1, 2).sequential_rng(generator, lambda g: torch.rand(3, generator=g))
    assert torch.equal(drawn, expected[2:])
    assert sorted(states) == [0, 1]


counts = st.integers(1, 7)


def test_a_batch_of_five_over_two_processes() -> None:
    first, second = (BatchPartition(processes=2, rank=rank).micro_batches(range(10, 15)) for rank in (0, 1))
    assert [(list(p.places), p.weight) for p in first] == [([10, 11], 0.4)]
    assert [(list(p.places), p.weight) for p in second] == [([12, 13, 14], 0.6)]


def test_a_batch_of_six_in_two_parts_over_two_processes() -> None:
    micro_batches = BatchPartition(parts=2, processes=2, rank=1).micro_batches(range(6))
    assert [list(p.places) for p in micro_batches] == [[1, 2], [4, 5]]
    assert [p.weight for p in micro_batches] == [1 / 3, 1 / 3]


def test_a_process_without_a_sample_takes_one_that_does_not_count() -> None:
    (idle,) = BatchPartition(processes=2, rank=0).micro_batches(range(4, 5))
    (busy,) = BatchPartition(processes=2, rank=1).micro_batches(range(4, 5))
    assert (list(idle.places), idle.weight) == ([4], 0.0)
    assert (list(busy.places), busy.weight) == ([4], 1.0)


@given(first=st.integers(0, 9), size=st.integers(1, 20), parts=counts, processes=counts)
def test_every_sample_is_computed_once_and_in_order(first: int, size: int, parts: int, processes: int) -> None:
    batch = range(first, first + size)
    divided = [BatchPartition(parts, processes, rank).micro_batches(batch) for rank in range(processes)]
    assert len({len(micro_batches) for micro_batches in divided}) == 1  # the processes take the same number of turns
    turns = list(zip(*divided, strict=True))
    assert [
        place for turn in turns for micro_batch in turn if micro_batch.weight for place in micro_batch.places
    ] == list(batch)
    assert abs(sum(micro_batch.weight for turn in turns for micro_batch in turn) - 1) < 1e-9
    assert all(
        micro_batch.weight == 0 or abs(micro_batch.weight - len(micro_batch.places) / size) < 1e-9
        for t in turns
        for micro_batch in t
    )
