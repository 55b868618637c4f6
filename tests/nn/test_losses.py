"""Losses against numbers worked by hand."""

import pytest
import torch

from taltool.nn import losses
from taltool.nn.whole_batch import ALONE


@pytest.mark.parametrize(("label", "expected"), [(0, 0.498398), (2, 0.034258)])
def test_softmax_focal_loss_of_the_worked_example(label: int, expected: float) -> None:
    loss = losses.softmax_focal_loss(torch.tensor([0.0, 1.0, 2.0]), torch.tensor(label))
    # The reference adds 1e-6 to the probability, which moves the result by 3e-6.
    assert loss.item() == pytest.approx(expected, abs=5e-6)


def test_focal_loss_stays_finite_with_a_fractional_exponent_at_certainty() -> None:
    logits = torch.tensor([[100.0, -100.0]], requires_grad=True)
    losses.softmax_focal_loss(logits, torch.tensor([0]), gamma=1.5).sum().backward()
    assert logits.grad.isfinite().all()


def test_tiou_of_distances() -> None:
    assert losses.distance_tiou(torch.tensor([4.0, 6.0]), torch.tensor([6.0, 2.0])).item() == pytest.approx(0.5)


def test_tiou_of_distances_that_start_behind_the_location() -> None:
    # [5, 20] against [0, 10] around 0: 5 of 20.
    assert losses.distance_tiou(torch.tensor([-5.0, 20.0]), torch.tensor([0.0, 10.0])).item() == pytest.approx(0.25)


def test_tiou_of_disjoint_or_empty_segments_is_zero() -> None:
    ours = torch.tensor([[-5.0, 20.0], [0.0, 0.0], [3.0, -9.0]])
    assert losses.distance_tiou(ours, torch.tensor([[0.0, 4.0], [0.0, 0.0], [1.0, 1.0]])).tolist() == [0, 0, 0]


def test_the_triplet_wants_a_margin_of_one() -> None:
    anchor, near, far = torch.tensor([0.0, 0.0]), torch.tensor([3.0, 4.0]), torch.tensor([0.0, 5.5])
    assert losses.triplet_margin_loss(anchor, near, far).item() == pytest.approx(5 - 5.5 + 1, abs=1e-5)
    assert losses.triplet_margin_loss(anchor, near, far, squared=True).item() == 0  # 25 - 30.25 + 1 < 0
    assert losses.triplet_margin_loss(anchor, far, near, squared=True).item() == pytest.approx(6.25)


def test_the_margin_of_a_triplet_may_be_chosen() -> None:
    # FaceNet's: 0.2.
    anchor, near, far = torch.tensor([1.0, 0.0]), torch.tensor([0.6, 0.8]), torch.tensor([0.0, 1.0])
    assert losses.triplet_margin_loss(anchor, far, near, squared=True, margin=0.2).item() == pytest.approx(1.4)


def test_the_triplet_equals_pytorchs_with_gradient() -> None:
    torch.manual_seed(0)
    vectors = torch.randn(3, 7, 16)
    ours, plain = vectors.clone().requires_grad_(), vectors.clone().requires_grad_()
    losses.triplet_margin_loss(*ours).mean().backward()
    torch.nn.functional.triplet_margin_loss(*plain).backward()
    torch.testing.assert_close(ours.grad, plain.grad)


def test_the_triplet_of_equal_vectors_has_a_finite_gradient() -> None:
    vectors = torch.zeros(3, 2, 4, requires_grad=True)
    losses.triplet_margin_loss(*vectors).sum().backward()
    assert vectors.grad.isfinite().all()


def test_sums_are_normalised_per_clip_or_over_the_batch() -> None:
    values, mask = torch.tensor([[2.0, 4.0], [6.0, 9.0]]), torch.tensor([[True, True], [True, False]])
    count = mask.sum(1)
    assert losses.normalised_sum(values, mask, count).item() == (6 / 2 + 6 / 1) / 2
    assert losses.normalised_sum(values, mask, count.sum()).item() == 12 / 3


def test_a_sum_without_positives_is_an_attached_zero() -> None:
    values = torch.ones(1, 3, requires_grad=True)
    total = losses.normalised_sum(values, torch.zeros(1, 3, dtype=torch.bool), torch.ones(1))
    total.backward()
    assert total.item() == 0
    assert values.grad.tolist() == [[0, 0, 0]]


def test_balanced_bce_weighs_both_kinds_alike() -> None:
    """Positives at probability 1/2 and 1/4, the single negative at 1/2: (mean(ln 2, ln 4) + ln 2) / 2."""
    logits = torch.tensor([0.0, -torch.log(torch.tensor(3.0)), 0.0])
    found = losses.balanced_bce(logits, torch.tensor([1.0, 1.0, 0.0]), torch.ones(3))
    log2 = float(torch.log(torch.tensor(2.0)))
    assert float(found) == pytest.approx((1.5 * log2 + log2) / 2)


@pytest.mark.parametrize("target", [0.0, 1.0])
def test_balanced_bce_of_one_kind_alone_is_finite_and_ignores_masked_positions(target: float) -> None:
    logits = torch.zeros(4, requires_grad=True)
    loss = losses.balanced_bce(logits, torch.full((4,), target), torch.tensor([1.0, 1.0, 0.0, 0.0]))
    loss.backward()
    assert loss.item() == pytest.approx(0.5 * float(torch.log(torch.tensor(2.0))))
    assert logits.grad is not None
    assert logits.grad[2:].tolist() == [0, 0]


def over_a_batch(logits: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    divisors = ALONE.divisors(losses.binary_counts("start", targets, mask))
    return losses.batch_balanced_bce("start", logits, targets, mask, divisors)


def test_balanced_bce_over_a_batch_is_half_of_each_kinds_mean() -> None:
    labels, probabilities = torch.tensor([1.0, 1, 0, 0, 0, 0, 0, 0]), [0.9, 0.6, 0.1, 0.2, 0.3, 0.1, 0.1, 0.4]
    found = over_a_batch(torch.tensor(probabilities).logit(), labels, torch.ones(8))
    assert found.item() == pytest.approx(0.271274, abs=1e-6)
    assert 2 * 8 * found.item() == pytest.approx(4.340378, abs=1e-5)  # MGNet, Eq. 19


def test_balanced_bce_over_a_batch_counts_all_samples_together() -> None:
    probabilities, labels = torch.tensor([[0.8, 0.3], [0.6, 0.1]]), torch.tensor([[1, 0.4], [0.6, 0]])
    # -(ln .8 + ln .6) / 2 = .366985, -(ln .7 + ln .9) / 2 = .231018
    found = over_a_batch(probabilities.logit(), labels, torch.ones(2, 2))
    assert found.item() == pytest.approx(0.299001, abs=1e-6)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_balanced_bce_over_a_batch_of_one_kind_only_is_finite(label: float) -> None:
    logits = torch.tensor([-200.0, 200.0], requires_grad=True)
    over_a_batch(logits, torch.full((2,), label), torch.ones(2)).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_binary_counts_leave_out_what_the_mask_takes_out() -> None:
    labels, mask = torch.tensor([[1, 0.4], [0.6, 0]]), torch.tensor([[1.0, 1.0], [0.0, 1.0]])
    assert losses.binary_counts("end", labels, mask) == {"end_positives": 1, "end_negatives": 2}
