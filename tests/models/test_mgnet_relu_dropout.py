"""ReLU with dropout: what is kept, how it is scaled, and what the gradient sees."""

import pytest
import torch

from taltool.models.mgnet.relu_dropout import relu_dropout_


def test_without_a_rate_it_is_relu() -> None:
    values = torch.tensor([-2.0, 0.0, 3.0], requires_grad=True)
    kept = relu_dropout_(values * 1, 0.0)
    kept.backward(torch.tensor([5.0, 7.0, 11.0]))
    assert kept.tolist() == [0, 0, 3]
    assert values.grad.tolist() == [0, 0, 11]


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.9])
def test_the_share_that_is_dropped_is_the_rate(rate: float) -> None:
    torch.manual_seed(0)
    kept = relu_dropout_(torch.ones(1001, 777), rate)
    assert (kept == 0).float().mean() == pytest.approx(rate, abs=3e-3)
    assert kept.mean() == pytest.approx(1.0, abs=3e-2)
    assert kept.max() == pytest.approx(1 / (1 - rate))


def test_neighbours_are_dropped_independently() -> None:
    torch.manual_seed(0)
    dropped = (relu_dropout_(torch.ones(400_000), 0.5) == 0).float()
    for step in (1, 2, 3, 4, 8):
        assert (dropped[step:] * dropped[:-step]).mean() == pytest.approx(0.25, abs=5e-3)


def test_the_gradient_flows_where_a_positive_value_was_kept() -> None:
    torch.manual_seed(0)
    values = torch.randn(64, 8, dtype=torch.float64, requires_grad=True)
    kept = relu_dropout_(values * 1, 0.3)
    kept.sum().backward()
    torch.testing.assert_close(values.grad, (kept > 0).double() / 0.7)


def test_a_seed_fixes_what_is_dropped() -> None:
    drawn = []
    for _ in range(2):
        torch.manual_seed(3)
        drawn.append(relu_dropout_(torch.ones(33), 0.5))
    assert torch.equal(*drawn)
