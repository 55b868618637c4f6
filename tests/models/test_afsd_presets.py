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
# The same videos as frames, ten a second.
PICTURES = dataclasses.replace(
    KITCHEN,
    channels=3,
    seconds_per_snippet=0.1,
    video_lengths=tuple(range(2120, 5320, 80)),
    instance_lengths=tuple(float(n) for n in range(10, 210, 2)) * 7,
    frame_size=(112, 112),
)
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
    assert small["training"]["epochs"] > large["training"]["epochs"] >= 5


def test_a_small_data_set_gets_about_a_thousand_updates() -> None:
    training = auto_settings(KITCHEN)["training"]
    assert 900 <= training["epochs"] * 40 / training["batch_size"] <= 1100


def test_only_small_data_sets_are_augmented() -> None:
    assert auto_settings(KITCHEN)["sampling"]["feature_noise"] > 0
    assert "feature_noise" not in auto_settings(MANY)["sampling"]


def preset(name: str) -> Experiment:
    return build("afsd", AFSDConfig, [preset_layer(name, AFSD.presets, "afsd")])


FRAME_PRESETS = [name for name in AFSD.presets if "frames" in name]


def test_frames_are_seen_in_clips_that_every_level_halves() -> None:
    for longest in (20.0, 200.0, 2000.0):
        lengths = tuple(longest * share / 100 for share in range(1, 101))
        found = auto_settings(dataclasses.replace(PICTURES, instance_lengths=lengths))
        model, sampling = AFSDConfig(**found["model"]), found["sampling"]
        assert (model.input, model.crop, model.frames_per_snippet) == ("frames", 96, 4)
        assert sampling["resize"] == "window"
        assert sampling["length"] % model.unit_multiple == 0
        assert 64 <= sampling["length"] <= 1024
        assert sampling["length"] >= min(1.9 * longest, 1024)
        # Pixels are neither normalised nor disturbed.
        assert sampling.keys() == {"resize", "length", "train_stride", "test_stride", "jitter"}


@pytest.mark.parametrize(("size", "crop"), [((112, 112), 96), ((240, 320), 96), ((64, 80), 64), ((40, 40), 32)])
def test_a_crop_fits_into_the_pictures(size: tuple[int, int], crop: int) -> None:
    assert auto_settings(dataclasses.replace(PICTURES, frame_size=size))["model"]["crop"] == crop


def test_few_data_make_a_small_backbone_from_frames_and_many_a_whole_one() -> None:
    many = dataclasses.replace(MANY, channels=3, frame_size=(112, 112))
    assert auto_settings(PICTURES)["model"]["backbone_divisor"] > 1
    assert auto_settings(many)["model"]["backbone_divisor"] == 1


@pytest.mark.parametrize("name", FRAME_PRESETS)
def test_presets_of_frames_are_those_of_features_but_for_what_is_seen(name: str) -> None:
    found, plain = preset(name), preset(name.replace("-frames", ""))
    own = {"input": "frames", "backbone_rate": found.model.backbone_rate}
    assert found.model == dataclasses.replace(plain.model, **own)
    assert (found.training, found.prediction, found.nms) == (plain.training, plain.prediction, plain.nms)
    assert found.sampling.resize == "window"
    assert found.sampling.length % found.model.unit_multiple == 0


def test_presets_of_frames_have_the_clips_and_rates_of_paper_and_code() -> None:
    """Section 4.1; configs/*.yaml, thumos14/train.py and anet/train.py of the authors."""
    assert len(FRAME_PRESETS) == 4
    found = {name: preset(name) for name in FRAME_PRESETS}
    clips = {name: (own.sampling.length, own.sampling.train_stride) for name, own in found.items()}
    assert clips == {
        "thumos14-frames": (256, 30),
        "thumos14-frames-paper": (256, 256 - 30),
        "activitynet13-frames": (768, 768),
        "activitynet13-frames-paper": (768, 768),
    }
    assert all(own.model.crop == 96 and own.model.backbone_divisor == 1 for own in found.values())
    assert {name: own.model.backbone_rate for name, own in found.items() if own.model.backbone_rate != 1} == {
        "activitynet13-frames": 0.1
    }
    assert all(own.sampling.test_stride == 128 for name, own in found.items() if "thumos" in name)


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
