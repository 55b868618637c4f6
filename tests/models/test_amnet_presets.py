"""AMNet's presets against sections 3 and 4 of the paper: its numbers, and Eq. 11 as they read it, worked by hand."""

import pytest
import torch

from taltool.experiment.configuration import build, preset_layer
from taltool.experiment.settings import Experiment
from taltool.models.amnet.model import AMNet, AMNetConfig
from taltool.models.contract import Targets

both = pytest.mark.parametrize("preset", ["thumos14", "activitynet13"])


def experiment(preset: str) -> Experiment:
    return build("amnet", AMNetConfig, [preset_layer(preset, AMNet.presets, "amnet")])


@pytest.mark.parametrize(
    ("preset", "epochs", "batch", "rate"), [("thumos14", 45, 4, 1e-4), ("activitynet13", 10, 16, 1e-3)]
)
def test_training_is_that_of_section_4_2(preset: str, epochs: int, batch: int, rate: float) -> None:
    training, model = experiment(preset).training, experiment(preset).model
    assert (training.epochs, training.batch_size, training.learning_rate) == (epochs, batch, rate)
    assert (training.optimizer, training.weight_decay, training.schedule) == ("adamw", 0.05, "cosine")
    assert training.decay_everything
    assert (model.lambda1, model.lambda2, model.training) == (1.0, 1.0, "two_step")


@both
def test_losses_are_the_sums_of_equation_11(preset: str) -> None:
    """Two locations in the instance [0, 8], each with distances that make the tIoU .5, and a third one in none."""
    model = AMNet(AMNetConfig(width=32, levels=2, **AMNet.presets[preset]["model"]), 6, 1, 16)
    outputs = {
        "logits": torch.zeros(1, 3, 1),
        "distances": torch.tensor([[[2.0, 2.0], [1.0, 3.0], [1.0, 1.0]]]),  # [2, 6], [3, 7] of [0, 8]
        "matching": torch.tensor([[0.0, 0.5, 9.0]]),
        "centres": torch.tensor([4.0, 4.0, 12.0]),
        "level": torch.tensor([0, 1, 0]),
        "valid": torch.ones(1, 3, dtype=torch.bool),
        "mask": torch.ones(1, 16, dtype=torch.bool),
    }
    terms = model.loss(outputs, Targets([torch.tensor([[0.0, 8.0]])], [torch.tensor([0])]))
    # At logit 0 the focal loss is 1/4 ln 2 times alpha_t; the label .9 + .1 / 2 of the positives is smoothed.
    weight = 2 * (0.25 * 0.95 + 0.75 * 0.05) + 0.75
    assert terms["class"].item() == pytest.approx(0.25 * 0.693147 * weight, abs=1e-6)
    assert terms["location"].item() == pytest.approx(2 * (1 - 0.5))
    assert terms["matching"].item() == pytest.approx(0.5**2 + (0.462117 - 0.5) ** 2, abs=1e-6)


@both
def test_the_triplet_compares_plain_means_over_time(preset: str) -> None:
    assert experiment(preset).model.triplet_pool == "mean"
