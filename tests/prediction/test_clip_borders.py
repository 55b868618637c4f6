"""Clips put together again: nothing that a network finds is lost or doubled where clips begin and end."""

import numpy as np
import pytest
import torch
from torch import Tensor

from taltool.data.clock import FeatureClock
from taltool.data.hdf5_features import VideoFeatures
from taltool.data.memory_features import MemoryFeatures
from taltool.data.records import VideoProposals
from taltool.experiment.frames import FrameSource
from taltool.experiment.settings import PredictionSettings, SamplingSettings
from taltool.models.contract import Candidates, FrameInput, Model, Outputs
from taltool.ops.nms_settings import Method, Suppression
from taltool.postprocessing.nms import suppress_stream
from taltool.prediction.detector import Detector, Member

GAP = 2  # Frames between two actions.
HOUR = 36_000  # Frames, 10 a second.


class Beacon(Model):
    """Fires at every frame brighter than 100 for the action in whose middle that frame is, `length` frames long.

    Of an action that a clip cuts it reports what the clip shows, and is less sure. The frames of pictures are 1 x 1.
    """

    def forward(self, features: Tensor, mask: Tensor) -> Outputs:
        return {"light": features[:, 0, :, 0, 0].float(), "mask": mask}

    def loss(self, outputs: Outputs, *_: object) -> dict[str, Tensor]:
        raise NotImplementedError

    def decode(self, outputs: Outputs, mask: Tensor) -> list[Candidates]:
        found = []
        for light, valid in zip(outputs["light"], mask.sum(1).tolist(), strict=True):
            (middle,) = (light > 100).nonzero(as_tuple=True)
            first = middle - self.length // 2
            segments = torch.stack([first, first + self.length], 1).clamp(0, valid)
            scores = (segments[:, 1] - segments[:, 0]) / self.length
            found.append(Candidates(segments.float(), 0.9 * scores, torch.zeros_like(middle)))
        return found


def actions(frames: int, length: int) -> list[int]:
    """The first frames of as many actions as a video holds, from its first frame on, and one that ends with it."""
    firsts = list(range(0, frames - length + 1, length + GAP))
    flush = frames - length
    return [first for first in firsts if first <= flush - length - GAP] + [flush] * (flush >= 0)


def detected(
    frames: int, length: int, sampling: SamplingSettings, nms: Suppression, cache: int = 0, batch_size: int = 4
) -> VideoProposals:
    """What is left after suppression of the detections in a video of so many frames, 10 a second, full of actions."""
    pixels = np.zeros((frames, 1, 1, 3), np.uint8)
    pixels[[first + length // 2 for first in actions(frames, length)]] = 200
    clock = FeatureClock(fps=10, stride=1, window=1, duration=frames / 10)
    with MemoryFeatures(["v"], {"rgb": (0, 3)}, "videos") as videos:
        videos.add(VideoFeatures("v", pixels, clock, {}))
        source = FrameSource(videos, sampling, FrameInput(1), cache)
        settings = PredictionSettings(min_score=0.0, top_k=0)
        detector = Detector([Member(Beacon(None, 3, 1, length), source)], ["it"], settings)
        (found,) = suppress_stream(detector.predict(["v"], batch_size), nms)  # type: ignore[arg-type]
    return found


def expected(frames: int, length: int) -> np.ndarray:
    """The true segments (N, 2), seconds."""
    return np.array([[first / 10, (first + length) / 10] for first in actions(frames, length)]).reshape(-1, 2)


def in_order(found: VideoProposals) -> np.ndarray:
    return found.segments[np.argsort(found.segments[:, 0], kind="stable")]


HARD = Suppression(method=Method.hard, tiou=0.4, top_k=None)
PRIMES = [211, 331, 509, 997, 1999, 4001]


@pytest.mark.parametrize(
    ("clip", "stride", "length"),
    [
        pytest.param(32, 16, 7, id="half"),
        pytest.param(32, 25, 7, id="an action"),  # No more overlap than an action is long.
        pytest.param(31, 11, 20, id="odd"),
    ],
)
def test_every_action_is_found_once_whatever_the_length_of_the_video(clip: int, stride: int, length: int) -> None:
    sampling = SamplingSettings(length=clip, test_stride=stride)
    for frames in [*range(1, 130), *PRIMES]:
        found = detected(frames, length, sampling, HARD, cache=10_000 * (frames % 2), batch_size=1 + frames % 5)
        np.testing.assert_allclose(in_order(found), expected(frames, length), atol=1e-9, err_msg=f"{frames} frames")


@pytest.mark.parametrize("frames", [HOUR - 1, HOUR, HOUR + 1, 35_969])
def test_every_action_of_an_hour_is_found_once(frames: int) -> None:
    found = detected(frames, 20, SamplingSettings(length=256, test_stride=128), HARD)
    assert len(found) > 1600
    np.testing.assert_allclose(in_order(found), expected(frames, 20), atol=1e-9)


def test_soft_suppression_leaves_every_action_once_at_its_full_score() -> None:
    sampling = SamplingSettings(length=32, test_stride=16)
    for frames in [*range(20, 120), *PRIMES]:
        found = detected(
            frames, 7, sampling, Suppression(method=Method.soft_gaussian, sigma=0.5, min_score=0.0, top_k=None)
        )
        best = found.take(np.flatnonzero(found.scores > 0.89), found.scores[found.scores > 0.89])
        np.testing.assert_allclose(in_order(best), expected(frames, 7), atol=1e-9, err_msg=f"{frames} frames")
        # What a second clip reports of the same action is left, as low as the decay makes it: 0.9 * exp(-1 / 0.5).
        assert np.delete(found.scores, np.flatnonzero(found.scores > 0.89)).max(initial=0) < 0.65


def test_clips_that_do_not_overlap_cut_actions_but_lose_and_double_none() -> None:
    sampling = SamplingSettings(length=32, test_stride=32)
    for frames in [*range(7, 33), *range(64, 2000, 32)]:  # Else the last clip overlaps: both show parts of an action.
        truth, found = expected(frames, 7), in_order(detected(frames, 7, sampling, HARD))
        assert len(found) == len(truth)
        overlap = np.minimum(found[:, 1], truth[:, 1]) - np.maximum(found[:, 0], truth[:, 0])
        assert (overlap > 0.3).all()  # Of 0.7 seconds: the half with the middle, at least.
