"""What AFSD chooses for data that nobody tuned it for, and what its papers' presets say."""

import dataclasses

import pytest
import torch

from taltool.data.statistics import DatasetStatistics
from taltool.experiment.configuration import build, preset_layer
from taltool.experiment.settings import Experiment
from taltool.models.afsd.config import AFSDConfig, auto_settings
from taltool.models.afsd.model import AFSD

# Forty cooking videos of some minutes, one snippet a second.
KITCHEN = DatasetStatistics(40, 17, 28, 1.0, tuple(range(212, 532, 8)), tuple(float(n) for n in range(1, 101)) * 7)
FILMS = dataclasses.replace(KITCHEN, video_lengths=tuple([7200] * 40))
MANY = DatasetStatistics(4000, 17, 2048, 1.0, (300,) * 4000, (5.0,) * 20000)


def test_short_videos_are_seen_whole_and_long_ones_through_windows() -> None:
    assert auto_settings(KITCHEN)["sampling"]["resize"] == "pad"
    assert auto_settings(KITCHEN)["sampling"]["length"] == KITCHEN.video_lengths[-1]
    assert auto_settings(FILMS)["sampling"]["resize"] == "window"


def test_a_window_holds_four_long_instances_and_overlaps_by_half() -> None:
    sampling = auto_settings(FILMS)["sampling"]
    assert sampling["length"] >= 4 * FILMS.instance_length(0.95)
    assert sampling["train_stride"] == sampling["test_stride"] == sampling["length"] / 2


def test_the_highest_level_covers_the_long_instances() -> None:
    # A location covers up to four strides to each side.
    for facts in (KITCHEN, FILMS, MANY):
        stride = 2 ** (auto_settings(facts)["model"]["levels"] - 1)
        assert stride <= facts.instance_length(0.95) * 1.5 <= 6 * stride


def test_more_data_make_a_wider_network_and_fewer_epochs() -> None:
    small, large = auto_settings(KITCHEN), auto_settings(MANY)
    assert small["model"]["width"] < large["model"]["width"]
    assert small["training"]["epochs"] > large["training"]["epochs"] >= 10


def test_a_small_data_set_gets_about_a_thousand_updates() -> None:
    training = auto_settings(KITCHEN)["training"]
    assert 900 <= training["epochs"] * 40 / training["batch_size"] <= 1100


def test_only_small_data_sets_are_augmented() -> None:
    assert auto_settings(KITCHEN)["sampling"]["feature_noise"] > 0
    assert "feature_noise" not in auto_settings(MANY)["sampling"]


def preset(name: str) -> Experiment:
    return build("afsd", AFSDConfig, [preset_layer(name, AFSD.presets, "afsd")])


@pytest.mark.parametrize("name", ["thumos14-paper", "activitynet13-paper"])
def test_the_papers_form_is_one_choice(name: str) -> None:
    """Section 3.3, Eq. 3, 9, 10 and 14, section 4.1, Algorithm 1 of the supplement."""
    found = preset(name)
    model = found.model
    assert (model.trip, model.triplet_weight, model.bcl_update, model.splice) == ("paper", 1, "two_step", "paper")
    assert (model.ssl_outside_div, model.ssl_inside_div) == (4, 100)
    assert (model.quality_divisor, model.refined_tiou, model.refined_loss) == ("refined", 0.5, "l1")
    assert (model.distance_unit, model.level_bounds, model.init, model.classifier) == ("frame", False, "xavier", "own")
    assert model.location_weight == {"thumos14-paper": 10, "activitynet13-paper": 1}[name]
    training = found.training
    assert (training.optimizer, training.learning_rate, training.weight_decay) == ("adam", 1e-5, 1e-3)
    assert (training.epochs, training.batch_size) == (16, 1)


def test_the_code_for_activitynet_is_another_choice() -> None:
    """The authors' anet/train.py with the command of their README."""
    found = preset("activitynet13")
    assert (found.model.refined_tiou, found.model.init, found.model.classifier) == (0.6, "normal", "external")
    assert (found.training.learning_rate, found.training.weight_decay, found.training.epochs) == (1e-4, 1e-4, 10)
    assert found.model.splice == "code-activitynet13"


def test_clips_of_the_text_overlap_by_thirty_frames_those_of_the_code_begin_thirty_apart() -> None:
    text, code = (preset(name).sampling for name in ("thumos14-paper", "thumos14"))
    assert abs((64 - text.train_stride) * 4 - 30) <= 2
    assert abs(code.train_stride * 4 - 30) <= 2
    assert (64 - text.test_stride) * 4 == (64 - code.test_stride) * 4 == 128


def test_weights_of_towers_branches_and_heads_are_drawn_as_the_authors_draw_them_on_activitynet() -> None:
    torch.manual_seed(0)
    model = AFSD(AFSDConfig(init="normal", width=128), 16, 1, 32)
    for part in (model.coarse.location_tower, model.refinement.class_branch, model.refinement.offset_head):
        assert torch.cat([p.flatten() for p in part.parameters() if p.ndim > 1]).std().item() == pytest.approx(
            0.01, rel=0.1
        )
    assert model.pyramid.projection.conv.weight.std().item() > 0.05
