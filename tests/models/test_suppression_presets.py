"""The suppression of a model's preset is the one that `nms --preset MODEL-DATASET` has; it is told in one place."""

import pytest

from taltool.experiment.configuration import build, preset_layer
from taltool.models import MODELS
from taltool.ops.nms_settings import PRESETS, Method, Suppression, preset_section
from taltool.ops.protocols import DATASETS

OURS = ("afsd", "amnet", "bmn", "gsmt", "mgnet", "tsa-tal")


def suppression(model: str, preset: str) -> Suppression:
    model_class = MODELS.load(model)
    return build(model, model_class.Config, [preset_layer(preset, model_class.presets, model)]).nms


@pytest.mark.parametrize("model", OURS)
def test_a_preset_named_for_a_data_set_suppresses_as_nms_does_by_its_name(model: str) -> None:
    named = [preset for preset in MODELS.load(model).presets if preset.removesuffix("-paper") in DATASETS]
    assert named
    assert {preset: suppression(model, preset) for preset in named} == {
        preset: PRESETS[f"{model}-{preset}"].settings for preset in named
    }


@pytest.mark.parametrize("model", OURS)
def test_no_preset_of_a_model_has_a_suppression_of_its_own(model: str) -> None:
    known = [row.settings for row in PRESETS.values()]
    assert all(suppression(model, preset) in known for preset in MODELS.load(model).presets)


def test_a_section_holds_plain_values_that_differ_from_the_defaults() -> None:
    assert preset_section("mgnet-activitynet13-code") == {
        "method": "soft-width",
        "tiou": 0.65,
        "tiou_wide": 0.9,
        "sigma": 0.75,
        "top_k": 100,
        "agnostic": True,
    }
    assert type(preset_section("gsmt-thumos14")["method"]) is str


@pytest.mark.parametrize("name", PRESETS)
def test_a_section_makes_the_settings_that_it_is_of(name: str) -> None:
    section = preset_section(name)
    assert Suppression(**{**section, "method": Method(section["method"])}) == PRESETS[name].settings
