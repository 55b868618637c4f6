"""Learning rates, decay and averaged weights, against hand-worked values."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from taltool.errors import UsageError
from taltool.experiment.settings import TrainingSettings
from taltool.models.contract import Candidates, Model, Outputs, Targets
from taltool.training.updater import AveragedWeights, learning_rate, make_optimizer


class Line(Model):
    """One weight and one bias, and a buffer that counts."""

    def __init__(self) -> None:
        super().__init__(None, 1, 1, 1)
        self.line = nn.Linear(1, 1)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, features: Tensor, mask: Tensor) -> Outputs:
        return {}

    def loss(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        return {}

    def decode(self, outputs: Outputs, mask: Tensor) -> list[Candidates]:
        return []


def rates(count: int, **settings: Any) -> list[float]:
    made = TrainingSettings(learning_rate=1.0, epochs=4, **settings)
    return [learning_rate(made, iteration, steps_per_epoch=2) for iteration in range(count)]


def test_a_constant_rate_stays() -> None:
    assert rates(8) == [1.0] * 8


def test_a_warm_up_rises_by_the_iteration() -> None:
    assert rates(5, warmup_epochs=2.0) == [0.25, 0.5, 0.75, 1.0, 1.0]


def test_a_cosine_falls_to_zero_at_the_end_of_training() -> None:
    found = rates(9, schedule="cosine")
    assert found[0] == 1.0
    assert found[4] == pytest.approx(0.5)
    assert found[2] == pytest.approx(0.5 * (1 + math.cos(math.pi / 4)))
    assert found[8] == pytest.approx(0.0)


def test_steps_multiply_every_so_many_epochs() -> None:
    found = rates(8, schedule="step", step_epochs=1, step_factor=0.5)
    assert found == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]


def test_decay_spares_biases_where_asked() -> None:
    for everything, bias_after in ((True, 0.9), (False, 1.0)):
        network = Line()
        with torch.no_grad():
            network.line.weight.fill_(1.0)
            network.line.bias.fill_(1.0)
        settings = TrainingSettings(optimizer="adamw", learning_rate=0.1, weight_decay=1.0, decay_everything=everything)
        optimizer = make_optimizer(network.named_parameters(), settings)
        for parameter in network.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        assert network.line.weight.item() == pytest.approx(0.9)  # 1 - rate * decay
        assert network.line.bias.item() == pytest.approx(bias_after)


def test_a_layer_decays_as_its_model_says_where_asked() -> None:
    own = {"line.weight": 0.5}
    for by_layer, weight_after in ((True, 0.95), (False, 0.9)):
        network = Line()
        torch.nn.init.ones_(network.line.weight)
        torch.nn.init.ones_(network.line.bias)
        settings = TrainingSettings(optimizer="adamw", learning_rate=0.1, weight_decay=1.0, decay_by_layer=by_layer)
        optimizer = make_optimizer(network.named_parameters(), settings, own.get)
        for parameter in network.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        assert network.line.weight.item() == pytest.approx(weight_after)
        assert network.line.bias.item() == pytest.approx(0.9)


def test_rates_of_parts_come_on_top_of_their_decays() -> None:
    network, own = Line(), {"line.weight": 0.1, "line.bias": 1.0}
    for everything, expected in ((True, [(1.0, 0.5), (0.1, 0.5)]), (False, [(1.0, 0.0), (0.1, 0.5)])):
        settings = TrainingSettings(optimizer="adamw", weight_decay=0.5, decay_everything=everything)
        groups = make_optimizer(network.named_parameters(), settings, rate_of=own.__getitem__).param_groups
        assert [(group.get("rate", 1.0), group["weight_decay"]) for group in groups] == expected
        assert [group["params"][0] is network.line.bias for group in groups] == [True, False]
    # Without rates a state says nothing of them, as those of earlier versions.
    (group,) = make_optimizer(network.named_parameters(), TrainingSettings()).state_dict()["param_groups"]
    assert "rate" not in group


def test_a_model_without_decays_of_its_own_cannot_be_asked_for_them() -> None:
    network = Line()
    with pytest.raises(UsageError, match="decay_by_layer"):
        make_optimizer(network.named_parameters(), TrainingSettings(decay_by_layer=True), network.decay_of)


def test_sgd_uses_the_momentum() -> None:
    network = Line()
    network.line.weight.data.fill_(0.0)
    settings = TrainingSettings(optimizer="sgd", learning_rate=0.1, weight_decay=0.0, momentum=0.5)
    optimizer = make_optimizer(network.named_parameters(), settings)
    for _ in range(2):
        for parameter in network.parameters():
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()
    assert network.line.weight.item() == pytest.approx(-0.1 - 0.1 * 1.5)


def test_averaged_weights_forget_the_start_and_copy_buffers() -> None:
    network = Line()
    network.line.weight.data.fill_(0.0)
    averaged = AveragedWeights(network, decay=0.25)
    expected = 0.0
    for iteration, value in enumerate([1.0, 2.0, 3.0]):
        network.line.weight.data.fill_(value)
        network.seen += 1  # type: ignore[operator]
        averaged.update(iteration)
        decay = min(0.25, (1 + iteration) / (10 + iteration))  # 0.1, 2/11, 0.25
        expected = decay * expected + (1 - decay) * value
    assert averaged.network.line.weight.item() == pytest.approx(expected)  # type: ignore[union-attr, operator]
    assert averaged.network.seen.item() == 3  # type: ignore[union-attr, operator]
    assert network.line.weight.item() == 3.0
    assert not any(parameter.requires_grad for parameter in averaged.network.parameters())
