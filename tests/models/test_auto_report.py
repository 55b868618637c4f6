"""What `train` says about the settings that it fitted to the data: true of the settings, and of the data."""

from typing import Any

import pytest

from taltool.data.statistics import DatasetStatistics
from taltool.experiment.configuration import Layer, build, to_plain
from taltool.models import MODELS
from taltool.models.auto_recipes import describe_choice


def data(*lengths: int, instance: float = 8.0, instances: int = 100, **others: Any) -> DatasetStatistics:
    values = {"channels": 28, "num_classes": 5, "seconds_per_snippet": 0.5} | others
    return DatasetStatistics(
        num_videos=len(lengths),
        video_lengths=tuple(sorted(lengths)),
        instance_lengths=(instance,) * instances,
        **values,
    )


def lines(model: str, statistics: DatasetStatistics) -> list[str]:
    kind = MODELS.load(model)
    experiment = build(model, kind.Config, [Layer("auto", kind.auto_settings(statistics))])
    return describe_choice(statistics, to_plain(experiment))


def test_six_short_videos_are_told_as_they_are() -> None:
    facts, samples, updates, noise = lines("afsd", data(*(300, 250, 400, 350, 301, 280), instances=28))
    assert (
        facts == "6 videos of 250 to 400 snippets of 0.5 s; 28 instances of 5 classes, nine in ten of 8 to 8 snippets"
    )
    assert samples == "each video whole: the longest has 400 snippets"
    # 1,000 updates for 720 instances, for 28 a cube root of 28 / 720 = .339 of them.
    assert updates == "about 342 updates of 1 sample, by the number of instances: training.epochs=57"
    assert noise.startswith("a network 128 channels wide, noise of 1 deviations on features")


def test_long_videos_are_told_to_be_seen_through_windows() -> None:
    _, samples, _, _ = lines("afsd", data(5000, instance=16))
    assert samples == (
        "windows of 64 snippets, 4 times a long instance, 32 apart; candidates that a window cuts have 0.2 of their "
        "score"
    )


def test_thousands_of_videos_are_told_to_need_no_noise_and_few_epochs() -> None:
    statistics = data(*[150] * 10_000, instances=15_000, channels=2048)
    _, _, updates, noise = lines("afsd", statistics)
    assert updates.endswith("training.epochs=5")
    assert noise == "a network 512 channels wide, no noise on features: there are instances enough"


@pytest.mark.parametrize("model", MODELS.names())
def test_every_model_says_four_lines_of_what_it_chose(model: str) -> None:
    for statistics in (data(100, 200), data(90, 5000), data(*[100] * 400)):
        assert len(lines(model, statistics)) == 4


def test_frames_are_called_frames() -> None:
    facts, samples, _, noise = lines("tsa-tal", data(500, 600, frame_size=(64, 64), channels=3))
    assert "500 to 600 frames" in facts
    assert samples.startswith("windows of 64 frames")
    assert noise.endswith("no noise on frames: they are cropped and mirrored at random")
