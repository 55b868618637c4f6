"""What AFSD chooses for data that nobody tuned it for."""

import dataclasses

from taltool.data.statistics import DatasetStatistics
from taltool.models.afsd.config import auto_settings

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
