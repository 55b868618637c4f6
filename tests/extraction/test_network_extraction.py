"""The features of a video by a network are those that one would compute by hand from its frames."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from short_videos import write_video

from taltool.backbones.contract import is_quick_on_cpu
from taltool.backbones.i3d import I3D
from taltool.data.hdf5_features import VideoFeatures
from taltool.errors import DataError
from taltool.extraction.extract import extract_video
from taltool.extraction.settings import ExtractionSettings
from taltool.video.frames import FrameFormat, FrameSequence
from taltool.video.sources import VideoSource

CONFIG = I3D.Config(short_side=48, crop=32)
SMALL = ("backbone.short_side=48", "backbone.crop=32")


@pytest.fixture(scope="module")
def network() -> I3D:
    """A network with norms that have seen something."""
    backbone = I3D(CONFIG)
    generator = torch.Generator().manual_seed(1)
    for name, value in backbone.network.state_dict().items():
        if "bn" in name and value.is_floating_point():
            value.add_(0.4 * torch.rand(value.shape, generator=generator) - 0.2)
    return backbone


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("videos") / "v.mp4", length=45)


def extracted(video: Path, weights: Path | str, precision: Any = "float32") -> VideoFeatures:
    settings = ExtractionSettings.of(
        "i3d", stride=8, fps="own", set_=SMALL, weights=[str(weights)], precision=precision
    )
    return extract_video(VideoSource("v", str(video)), settings)


@pytest.fixture
def checkpoint(network: I3D, tmp_path: Path) -> Path:
    save_file(network.network.state_dict(), tmp_path / "i3d.safetensors")
    return tmp_path / "i3d.safetensors"


def by_hand(network: I3D, video: Path) -> np.ndarray:
    """Windows of 16 frames at every 8, the middle 32 x 32 pixels, from -1 to 1, through the plain network."""
    frames = np.stack(list(FrameSequence(str(video), FrameFormat("rgb", 48))))
    top, left = (frames.shape[1] - 32) // 2, (frames.shape[2] - 32) // 2
    seen = frames[:, top : top + 32, left : left + 32].astype(np.float32) / 127.5 - 1
    clips = np.stack([seen[start : start + 16] for start in range(0, len(frames) - 15, 8)])
    with torch.no_grad():
        return network.network(torch.from_numpy(clips).permute(0, 4, 1, 2, 3).contiguous()).numpy()


@pytest.mark.slow
def test_features_are_what_the_network_gives_for_each_window(network: I3D, video: Path, checkpoint: Path) -> None:
    found, expected = extracted(video, checkpoint), by_hand(network, video)
    assert found.values.shape == (4, 1024)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found.values, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.skipif(not is_quick_on_cpu("bf16"), reason="this processor has no bfloat16 instructions")
def test_bfloat16_features_point_the_same_way(network: I3D, video: Path, checkpoint: Path) -> None:
    found, expected = extracted(video, checkpoint, "bf16").values, by_hand(network, video)
    cosines = (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosines.min() > 0.9999


def test_weights_are_told_apart_in_the_record(checkpoint: Path) -> None:
    records = [
        ExtractionSettings.of("i3d", set_=SMALL, weights=[word]).record() for word in (str(checkpoint), "random")
    ]
    assert "sha256:" in records[0]
    assert str(checkpoint) not in records[0]
    assert records[0] != records[1]


def test_a_checkpoint_that_does_not_fit_is_refused_with_names(video: Path, tmp_path: Path) -> None:
    save_file({"conv1.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(DataError, match=r"missing \(Conv3d_1a_7x7.*1 tensors unexpected \(conv1.weight\)"):
        extracted(video, tmp_path / "other.safetensors")
