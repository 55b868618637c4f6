"""What the presets of all five papers have in common."""

import pytest

from taltool.experiment.configuration import build, preset_layer
from taltool.models import MODELS

FIVE = ("afsd", "amnet", "gsmt", "mgnet", "tsa-tal")
PRESETS = [(name, preset) for name in FIVE for preset in MODELS.load(name).presets]


@pytest.mark.parametrize(("name", "preset"), PRESETS, ids=lambda word: word)
def test_a_papers_preset_adds_nothing_to_the_papers_training(name: str, preset: str) -> None:
    """No paper of the five, and no code of one, clips gradients, warms up, averages weights or holds out videos."""
    model_class = MODELS.load(name)
    training = build(name, model_class.Config, [preset_layer(preset, model_class.presets, name)]).training
    assert training.clip_norm == 0
    assert training.warmup_epochs == 0
    assert training.ema_decay == 0
    assert training.select == "last"
