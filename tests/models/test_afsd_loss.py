"""The terms of AFSD's objective against numbers worked by hand."""

import math

import pytest
import torch

from taltool.models.afsd.config import AFSDConfig
from taltool.models.afsd.consistency import boundary_labels, probability_bce
from taltool.models.afsd.loss import centerness, detection_terms, offset_loss
from taltool.nn.targets import PaddedTargets, padded_targets
from taltool.nn.whole_batch import ALONE


def targets(*samples: list[list[float]]) -> PaddedTargets:
    segments = [torch.tensor(own).view(-1, 2) for own in samples]
    return padded_targets(segments, [torch.arange(len(own)) for own in segments], torch.device("cpu"))


def test_smooth_l1_is_quadratic_below_one() -> None:
    assert offset_loss("smooth_l1")(torch.tensor(0.5), torch.tensor(0.0)).item() == 0.125
    assert offset_loss("l1")(torch.tensor(0.5), torch.tensor(0.0)).item() == 0.5
    assert math.isclose(offset_loss("smooth_l1")(torch.tensor(3.0), torch.tensor(0.0)).item(), 2.5)


def test_centerness_is_one_in_the_middle_and_zero_at_an_end() -> None:
    values = centerness(torch.tensor([[5.0, 5.0], [0.0, 8.0], [1.0, 4.0]]))
    assert values.tolist() == pytest.approx([1, 0, 0.5])


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


def test_cross_entropy_of_mean_activations() -> None:
    rows = torch.tensor([[0.0, 0, 1], [2, 2, 2]]).tanh().mean(1)
    torch.testing.assert_close(rows, torch.tensor([0.253865, 0.964028]), atol=1e-6, rtol=0)
    loss = probability_bce(rows, torch.tensor([0.0, 1.0])).mean()
    assert loss.item() == pytest.approx(0.164742, abs=1e-6)


def test_cross_entropy_of_certain_mistakes_is_finite() -> None:
    wrong = torch.tensor([0.0, 1.0], requires_grad=True)
    loss = probability_bce(wrong, torch.tensor([1.0, 0.0])).sum()
    loss.backward()
    assert loss.isfinite()
    assert wrong.grad.isfinite().all()


@pytest.mark.parametrize(("divisor", "expected"), [("coarse", math.log(2)), ("refined", 2 * math.log(2))])
def test_quality_is_divided_by_the_coarse_positives_or_as_printed_by_the_refined(divisor: str, expected: float) -> None:
    """Eq. 14: two locations lie in the instance, one of them found it well enough to be refined; logits of 0 cost ln 2
    each."""
    config = AFSDConfig(frames_per_snippet=1, quality_divisor=divisor)  # type: ignore[arg-type]
    outputs = {
        "centres": torch.tensor([5.0, 8.0, 30.0]),
        "level": torch.zeros(3, dtype=torch.int64),
        "valid": torch.ones(1, 3, dtype=torch.bool),
        "distances": torch.tensor([[[5.0, 5.0], [1.0, 1.0], [1.0, 1.0]]]),
        "logits": torch.zeros(1, 3, 2),
        "refined_logits": torch.zeros(1, 3, 2),
        "offsets": torch.zeros(1, 3, 2),
        "quality": torch.zeros(1, 3),
    }
    terms = detection_terms(outputs, targets([[0.0, 10.0]]), config, ALONE)
    assert terms["quality"].item() == pytest.approx(expected)
