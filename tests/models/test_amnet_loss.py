"""AMNet's focal loss of smoothed labels against numbers worked by hand."""

import pytest
import torch

from taltool.models.amnet.loss import sigmoid_focal_loss


@pytest.mark.parametrize(("target", "expected"), [(1.0, 0.043322), (0.0, 0.129965), (0.5, 0.5 * 0.25 * 0.693147)])
def test_sigmoid_focal_loss_of_the_worked_example(target: float, expected: float) -> None:
    loss = sigmoid_focal_loss(torch.tensor(0.0), torch.tensor(target))
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_sigmoid_focal_loss_is_finite_at_certainty() -> None:
    logits = torch.tensor([200.0, -200.0, 200.0], requires_grad=True)
    loss = sigmoid_focal_loss(logits, torch.tensor([1.0, 1.0, 0.0]), gamma=1.5)
    loss.sum().backward()
    torch.testing.assert_close(loss.detach(), torch.tensor([0.0, 50.0, 150.0]))  # alpha_t * |logit| where wrong
    assert logits.grad.isfinite().all()
