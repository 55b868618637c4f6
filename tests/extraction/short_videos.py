"""What tests of extraction share: short videos of noise, and a backbone that needs no time."""

import importlib.util
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from project import PROJECT

from taltool.backbones.contract import Backbone
from taltool.extraction.encoder import Encoder
from taltool.extraction.settings import ExtractionSettings
from taltool.video.flow import FlowSettings
from taltool.video.frames import FrameFormat
from taltool.video.sources import VideoSource, find

STRIDE = 8
SETTINGS = ExtractionSettings.of(stride=STRIDE)
EXAMPLE = PROJECT / "examples" / "make_videos.py"


def write_video(path: Path, length: int = 40, seed: int = 0) -> Path:
    """A short video of noise, written by the example."""
    specification = importlib.util.spec_from_file_location("make_videos", EXAMPLE)
    assert specification is not None
    assert specification.loader is not None
    example = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(example)
    noise = np.random.default_rng(seed)
    frames = (noise.integers(0, 256, (example.HEIGHT, example.WIDTH), np.uint8) for _ in range(length))
    path.parent.mkdir(parents=True, exist_ok=True)
    example.write_video(path, frames)
    return path


def write_video_of_unknown_codec(path: Path) -> Path:
    """A whole file whose header names a codec that FFmpeg does not know."""
    content = write_video(path).read_bytes()
    named = content.rindex(b"avc1")
    path.write_bytes(content[:named] + b"zzzz" + content[named + 4 :])
    return path


def sources(folder: Path) -> list[VideoSource]:
    return find([str(folder)])[0]


class Mean(Backbone):
    """A backbone whose features are the mean luminance of the frames of a snippet: quick, whatever the video."""

    frame_format = FrameFormat("gray", short_side=16)
    streams: ClassVar = {"mean": (0, 1)}

    def encode_snippets(self, snippets: NDArray[np.uint8]) -> NDArray[np.float32]:
        return snippets.reshape(len(snippets), -1).mean(1, dtype=np.float32)[:, None]


def use(monkeypatch: pytest.MonkeyPatch, *backbones: Backbone, batch: int = 1) -> None:
    """Extract with these, the streams of one backbone, whatever the settings say."""
    made = Encoder(backbones, FlowSettings("dis"), SETTINGS.windows, batch, ["mine"] * len(backbones))
    monkeypatch.setattr("taltool.extraction.extract.encoder", lambda *_: made)
    monkeypatch.setattr("taltool.extraction.extract.stream_channels", lambda settings: made.streams)
