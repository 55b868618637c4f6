"""Speed of extraction in one process, against decoding alone and against plain ways to do the same.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_extract.py [VIDEO]

Without VIDEO a 320x240 H.264 video is made. Every line is timed twice and the faster run counts.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np

from taltool.backbones.hog3d import HOG3D, HOG3DConfig
from taltool.engine.extraction import ExtractionSettings, extract_video
from taltool.video.frames import FrameFormat, FrameSequence
from taltool.video.sources import VideoSource
from taltool.video.windows import Windows


def seconds(work: Callable[[], Any]) -> float:
    """The processor time of the faster of two runs."""
    taken = []
    for _ in range(2):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return min(taken)


def make_video(path: Path, length: int = 600) -> Path:
    """A picture of noise over which a smooth one wanders, 320x240, H.264."""
    random = np.random.default_rng(0)
    ground = np.kron(random.integers(0, 255, (30, 40), np.uint8), np.ones((8, 8), np.uint8))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for n in range(length):
            picture = np.roll(ground, (n // 3, n), (0, 1))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="gray").reformat(format="yuv420p")))
        container.mux(stream.encode())
    return path


def decode_alone(path: str) -> int:
    """The number of frames, nothing done with them."""
    with av.open(path) as container:
        container.streams.video[0].codec_context.thread_count = 1
        return sum(1 for _ in container.decode(video=0))


def decode_to_arrays(path: str) -> None:
    """What tutorials do: every frame to an RGB array."""
    with av.open(path) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for frame in container.decode(video=0):
            frame.to_ndarray(format="rgb24")


def each_snippet_for_itself(pictures: list[Any]) -> None:
    """hog3d without sharing: every window's gradients anew."""
    backbone = HOG3D(HOG3DConfig())
    alone = Windows(backbone.window, backbone.window)
    for first in range(0, len(pictures) - backbone.window + 1, backbone.stride):
        list(backbone.encode(pictures[first : first + backbone.window], alone))


def main(path: str) -> None:
    """Print frames a second and the ratio to decoding alone."""
    frames = decode_alone(path)
    gray = FrameFormat("gray", HOG3DConfig().short_side)
    pictures = list(FrameSequence(path, gray))
    backbone = HOG3D(HOG3DConfig())
    windows = Windows(backbone.window, backbone.stride)
    lines = {
        "decode alone": lambda: decode_alone(path),
        "decode to RGB arrays": lambda: decode_to_arrays(path),
        "decode to small luminance (ours)": lambda: list(FrameSequence(path, gray)),
        "hog3d alone": lambda: list(backbone.encode(pictures, windows)),
        "hog3d, no work shared": lambda: each_snippet_for_itself(pictures),
        "extract (all of it)": lambda: extract_video(VideoSource("v", path), ExtractionSettings.of()),
    }
    alone = seconds(lines["decode alone"])
    for name, work in lines.items():
        taken = seconds(work)
        print(f"{name:34} {frames / taken:7.0f} frames/s   {taken / alone:5.2f} x decoding")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(sys.argv[1])
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(str(make_video(Path(folder) / "v.mp4")))
