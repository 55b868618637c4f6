"""The rules by which models fit sampling, width and training to data that nobody tuned them for, in round numbers."""

import pytest

from taltool.data.statistics import DatasetStatistics
from taltool.experiment.configuration import Layer, build
from taltool.models.auto_recipes import (
    batch_size,
    dense_windows,
    detector_settings,
    network_width,
    proposal_settings,
    pyramid_levels,
    samples_per_epoch,
    training_recipe,
    updates_for,
    whole_or_windows,
    windows,
)
from taltool.models.contract import Model


def data(
    *lengths: int, instance: float = 8.0, instances: int = 100, channels: int = 400, classes: int = 5
) -> DatasetStatistics:
    """Videos of these lengths whose instances are all equally long, in snippets."""
    return DatasetStatistics(len(lengths), classes, channels, 1.0, tuple(sorted(lengths)), (instance,) * instances)


def test_videos_up_to_768_snippets_are_seen_whole() -> None:
    assert whole_or_windows(data(100, 768)) == {"resize": "pad", "length": 768}
    assert whole_or_windows(data(100, 769))["resize"] == "window"


@pytest.mark.parametrize(("instance", "length"), [(2, 64), (16, 64), (17, 128), (32, 128), (200, 1024), (900, 1024)])
def test_a_window_is_the_power_of_two_that_holds_four_long_instances_within_64_and_1024(
    instance: float, length: int
) -> None:
    found = whole_or_windows(data(5000, instance=instance))
    assert found["length"] == length
    # By half: no instance shorter than half a window is cut by every window.
    assert (found["train_stride"], found["test_stride"], found["jitter"]) == (length // 2, length // 2, length / 4)


@pytest.mark.parametrize(
    ("instance", "video", "length"), [(2, 900, 32), (40, 900, 80), (57, 900, 112), (500, 900, 256), (40, 60, 60)]
)
def test_a_dense_window_holds_two_long_instances_in_sixteens_up_to_256_or_the_video(
    instance: float, video: int, length: int
) -> None:
    found = dense_windows(data(video, instance=instance))
    assert found["length"] == length
    assert found["train_stride"] == found["test_stride"] == length // 4


@pytest.mark.parametrize(
    ("samples", "length", "expected"),
    [
        (1000, 64, 16),  # 1024 snippets
        (1000, 256, 4),
        (1000, 300, 3),  # 3.4 make 1024.
        (1000, 290, 4),  # 3.5
        (1000, 2304, 2),  # At least two,
        (1000, 10, 16),  # at most sixteen,
        (60, 64, 15),  # and at most a fourth of the epoch,
        (64, 64, 16),
        (11, 64, 2),
        (7, 64, 1),
        (3, 64, 1),  # but one.
    ],
)
def test_a_batch_is_about_1024_snippets_and_no_more_than_a_fourth_of_an_epoch(
    samples: int, length: int, expected: int
) -> None:
    assert batch_size(samples, length, 1024) == expected


def test_a_batch_of_whole_videos_is_as_long_as_the_longest_of_them_but_a_twentieth() -> None:
    statistics = data(*[100] * 970, *[700] * 30)
    whole = detector_settings(statistics, {}, whole_or_windows(statistics), {})
    assert whole["sampling"]["length"] == 700
    assert whole["training"]["batch_size"] == 10  # of 100
    cut = detector_settings(statistics, {}, windows(512), {})
    assert cut["training"]["batch_size"] == 2


@pytest.mark.parametrize(("instances", "noise"), [(9_999, 0.5), (10_000, None)])
def test_noise_is_for_fewer_than_ten_thousand_instances(instances: int, noise: float | None) -> None:
    for make in (detector_settings, proposal_settings):
        settings = make(data(300, instances=instances), {}, windows(64), {"feature_noise": 0.5})
        assert settings["sampling"].get("feature_noise") == noise


def test_a_batch_may_be_asked_for_other_snippets() -> None:
    assert batch_size(1000, 256, snippets=2048) == 8


def test_an_epoch_has_a_sample_for_each_video_or_for_each_stride_of_them() -> None:
    assert samples_per_epoch(data(100, 200), {"resize": "pad", "length": 200}) == 2
    assert samples_per_epoch(data(100, 200), {"resize": "window", "train_stride": 32}) == 9
    assert samples_per_epoch(data(5), {"resize": "window", "train_stride": 32}) == 1


@pytest.mark.parametrize(
    ("instances", "channels", "width"),
    [(500, 2048, 128), (5000, 400, 256), (5000, 2048, 256), (20_000, 400, 256), (20_000, 2048, 512)],
)
def test_the_width_grows_with_the_instances_and_with_the_features(instances: int, channels: int, width: int) -> None:
    assert network_width(data(300, instances=instances, channels=channels)) == width


@pytest.mark.parametrize(
    ("samples", "batch", "epochs", "warmup"),
    [(30, 7, 234, 5.0), (400, 16, 40, 2.0), (2, 1, 400, 5.0), (100_000, 16, 5, 0.25)],
)
def test_a_training_makes_a_thousand_updates_within_5_and_400_epochs(
    samples: int, batch: int, epochs: int, warmup: float
) -> None:
    found = training_recipe(samples, batch, 1000)
    assert (found["epochs"], found["batch_size"], found["warmup_epochs"]) == (epochs, batch, warmup)


@pytest.mark.parametrize(("instances", "updates"), [(720, 1000), (90, 500), (1, 112), (2880, 2000), (18_000, 5000)])
def test_updates_grow_by_the_root_of_many_instances_and_shrink_by_the_cube_root_of_few(
    instances: int, updates: int
) -> None:
    assert updates_for(data(300, instances=instances)) == updates
    assert updates_for(data(300, instances=instances), usual=500) == pytest.approx(updates / 2, abs=1)


def test_scores_of_cut_candidates_are_lowered_where_there_are_windows() -> None:
    for make in (detector_settings, proposal_settings):
        for sampling, factor in (({"resize": "pad", "length": 300}, 1.0), (windows(64), 0.2)):
            settings = make(data(300), {}, sampling, {})
            experiment = build("plain", type("Config", (), {}), [Layer("auto", settings)])
            assert experiment.prediction.cut_factor == factor


@pytest.mark.parametrize(
    ("instance", "length", "levels"), [(1, 768, 2), (16, 768, 5), (32, 768, 6), (16, 8, 3), (900, 2304, 8)]
)
def test_levels_halve_the_grid_until_a_long_instance_is_one_snippet(instance: float, length: int, levels: int) -> None:
    """Of level 5 a snippet is 16 of the first level's. There are 2 to 8 levels, and none shorter than two snippets."""
    assert pyramid_levels(data(5000, instance=instance), length) == levels


def test_a_model_that_says_nothing_about_its_settings_gets_those_that_learn() -> None:
    class Plain(Model):
        Config = object

    settings = Plain.auto_settings(data(100, 200, 300))
    experiment = build("plain", type("Config", (), {}), [Layer("auto", settings)])
    assert experiment.training.learning_rate == 1e-3
    assert experiment.training.epochs > 16
    assert experiment.sampling.resize == "pad"
