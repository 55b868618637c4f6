"""What a model that learns from frames is shown: squares of the pictures, as bytes, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest
import torch

from taltool.data.clock import FeatureClock
from taltool.data.hdf5_features import FeatureFile, FeatureWriter, VideoFeatures
from taltool.errors import DataError, UsageError
from taltool.experiment.batches import NO_INSTANCES, read_batch, read_example
from taltool.experiment.frames import FrameSource
from taltool.experiment.sampling import Sample
from taltool.experiment.settings import SamplingSettings
from taltool.models.contract import FrameInput

CLOCK = FeatureClock(fps=10, stride=1, window=1, duration=1.2)
STREAMS = {"rgb": (0, 3), "flow": (3, 5)}
FRAMES = np.random.default_rng(0).integers(0, 256, (12, 10, 14, 5), np.uint8)


def store(folder: Path, frames: np.ndarray = FRAMES) -> str:
    with FeatureWriter(str(folder / "frames.h5"), streams=STREAMS) as writer:
        writer.write(VideoFeatures("v", frames, CLOCK, {}))
    return str(folder / "frames.h5")


def source(file: FeatureFile, crop: int = 6, flip: bool = True, **settings: object) -> FrameSource:
    return FrameSource(file, SamplingSettings(**{"length": 8} | settings), FrameInput(crop, flip), 0)  # type: ignore[arg-type]


def seen(frames: FrameSource, rng: np.random.Generator | None = None) -> np.ndarray:
    """What a network sees of the first eight frames."""
    return read_example(frames, Sample("v", 0, 8, CLOCK), NO_INSTANCES, rng).values


def test_prediction_sees_the_middle_of_each_picture(tmp_path: Path) -> None:
    with FeatureFile(store(tmp_path)) as file:
        batch = read_batch(source(file), [Sample("v", 3, 8, CLOCK.cropped(3))], [NO_INSTANCES], 1)
    # 10 x 14 pixels: of a square of 6 there are 2 rows above and 2 below, 4 columns left and 4 right.
    assert (batch.features.dtype, batch.features.is_contiguous()) == (torch.uint8, True)
    assert batch.features.tolist() == [FRAMES[3:11, 2:8, 4:10].transpose(3, 0, 1, 2).tolist()]


@pytest.mark.parametrize("streams", [(), ("rgb",), ("flow",), ("flow", "rgb")])
def test_streams_are_chosen_by_name(tmp_path: Path, streams: tuple[str, ...]) -> None:
    columns = [column for name in streams for column in range(*STREAMS[name])] or list(range(5))
    with FeatureFile(store(tmp_path)) as file:
        found = source(file, streams=streams)
        assert found.width("v") == len(columns)
        assert seen(found).tolist() == FRAMES[:8, 2:8, 4:10][..., columns].tolist()


def test_a_video_shorter_than_a_clip_is_followed_by_zeros(tmp_path: Path) -> None:
    with FeatureFile(store(tmp_path, FRAMES[:5])) as file:
        batch = read_batch(source(file), [Sample("v", 0, 5, CLOCK)], [NO_INSTANCES], 1)
    assert batch.mask.tolist() == [[True] * 5 + [False] * 3]
    assert batch.features.shape == (1, 5, 8, 6, 6)
    assert not batch.features[:, :, 5:].any()


@pytest.mark.slow
@pytest.mark.parametrize("streams", [(), ("flow",), ("flow", "rgb"), ("rgb",)])
def test_training_sees_a_square_at_random_the_same_in_all_frames_of_a_sample(
    tmp_path: Path, streams: tuple[str, ...]
) -> None:
    columns = [column for name in streams for column in range(*STREAMS[name])] or list(range(5))
    seen = set()
    with FeatureFile(store(tmp_path)) as file:
        frames = source(file, streams=streams)
        for place in range(400):
            shown = read_example(frames, Sample("v", 2, 8, CLOCK), NO_INSTANCES, np.random.default_rng([0, 0, place]))
            (where,) = [
                (top, left, is_mirrored)
                for top in range(5)
                for left in range(9)
                for is_mirrored in (False, True)
                if np.array_equal(mirrored(FRAMES, is_mirrored, top, left)[..., columns], shown.values)
            ]
            seen.add(where)
    # Every one of the 5 x 9 squares, as it is and mirrored, by about 4 of 400 draws each: hardly one is never drawn.
    assert len(seen) > 80


def mirrored(frames: np.ndarray, is_mirrored: bool, top: int, left: int) -> np.ndarray:
    """A square of frames 2 to 9; in a mirror what moved right moves left, and what stood still (128) stands still."""
    shown = frames[2:10, top : top + 6, left : left + 6].astype(int)
    if is_mirrored:
        shown = shown[:, :, ::-1].copy()
        shown[..., 3] = np.where(shown[..., 3] == 128, 128, 255 - shown[..., 3])
    return shown


def test_a_model_may_want_no_mirror(tmp_path: Path) -> None:
    with FeatureFile(store(tmp_path)) as file:
        frames = source(file, crop=10, flip=False)
        lefts = {
            left
            for place in range(50)
            for left in range(5)
            if np.array_equal(seen(frames, np.random.default_rng(place)), FRAMES[:8, :, left : left + 10])
        }
    assert lefts == set(range(5))


def test_pictures_smaller_than_the_crop_are_an_error_that_names_both(tmp_path: Path) -> None:
    with FeatureFile(store(tmp_path)) as file:
        frames = source(file, crop=11)
        for look in (lambda: seen(frames), lambda: frames.check(["v"], "it", "mend")):
            with pytest.raises(
                DataError, match=r"'v' has frames of 10 x 14, and the model sees squares of 11: extract"
            ):
                look()


@pytest.mark.parametrize(
    "setting",
    [
        {"resize": "pad"},
        {"resize": "rescale"},
        {"window_seconds": 2.0},
        {"normalize": "channel"},
        {"feature_noise": 0.5},
        {"feature_dropout": 0.5},
        {"time_dropout": 0.5},
        {"mixup": 1.5},
    ],
)
def test_settings_of_features_are_refused_with_what_turns_them_off(tmp_path: Path, setting: dict[str, object]) -> None:
    ((name, value),) = setting.items()
    usual = getattr(SamplingSettings(), name)
    usual = usual if isinstance(usual, str) else "0"
    with FeatureFile(store(tmp_path)) as file, pytest.raises(UsageError) as caught:
        source(file, **setting)
    assert str(caught.value).startswith(f"sampling.{name} = {value} with a model that learns from frames: ")
    assert str(caught.value).endswith(f"--set sampling.{name}={usual}")


def test_the_cache_counts_bytes_and_keeps_whole_videos(tmp_path: Path) -> None:
    wanted, settings = FrameInput(6), SamplingSettings(length=8, streams=("flow",))
    size = 12 * 10 * 14 * 2
    with FeatureFile(store(tmp_path)) as file:
        assert not FrameSource(file, settings, wanted, size - 1).fits_memory(["v"])
        frames = FrameSource(file, settings, wanted, size)
        assert frames.fits_memory(["v"])
        first = seen(frames).tolist()
        file.read = None  # type: ignore[method-assign, assignment]
        assert seen(frames).tolist() == first
        assert frames.width("v") == 2
        assert frames.length("v") == 12
