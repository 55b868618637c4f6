"""Speed of extraction, against decoding alone, the network alone, and plain ways to do the same.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_extract.py [VIDEO]

Without VIDEO a 320x240 H.264 video of two minutes is made. Every line is timed twice and the faster run counts: the
first table in processor time of one process, the others by the clock. At the end the whole extraction is compared with
its slowest part, which has as many threads for flow and network as the whole, and with what the processor time of all
parts takes on so many cores: nothing can be quicker than either. The networks see a shorter video, in snippets at every
4 frames as by default; Python and its modules are started before the clock.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np

from taltool.backbones.contract import Computing
from taltool.backbones.hog3d import HOG3D, HOG3DConfig
from taltool.extraction.encoder import single_threaded
from taltool.extraction.extract import encoder, extract, extract_video
from taltool.extraction.settings import ExtractionSettings
from taltool.extraction.worker_pool import available_cores
from taltool.video.flow import Flow, FlowSettings
from taltool.video.frames import FrameFormat, FrameSequence
from taltool.video.snippet_windows import SnippetWindows
from taltool.video.sources import VideoSource

FRAMES, FRAMES_FOR_NETWORKS = 3000, 108


def seconds(work: Callable[[], Any]) -> float:
    """The processor time of the faster of two runs."""
    return min(both_clocks(work)[1] for _ in range(2))


def both_clocks(work: Callable[[], Any]) -> tuple[float, float]:
    """Seconds by the clock, and of processors, that the work takes."""
    begun = time.monotonic(), time.process_time()
    work()
    return time.monotonic() - begun[0], time.process_time() - begun[1]


def make_video(path: Path, length: int) -> Path:
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
    alone = SnippetWindows(backbone.window, backbone.window)
    for first in range(0, len(pictures) - backbone.window + 1, backbone.stride):
        list(backbone.encode(pictures[first : first + backbone.window], alone))


def main(path: str) -> None:
    """Print frames a second and the ratio to decoding alone."""
    frames = decode_alone(path)
    gray = FrameFormat("gray", HOG3DConfig().short_side)
    pictures = list(FrameSequence(path, gray))
    backbone = HOG3D(HOG3DConfig())
    backbone.prepare(Computing())
    windows = SnippetWindows(backbone.window, backbone.stride)
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


def overlap(path: str, title: str, jobs: int, **words: Any) -> None:
    """Print how much longer the whole extraction, as the words say, by `jobs` threads takes than its slowest part.

    All are measured in turn, three times, for other work on the machine to strike them alike.
    """
    settings = ExtractionSettings.of(**words)
    made = encoder(settings, Computing())
    threads = ThreadPoolExecutor(jobs)
    decode = partial(decoded, path, settings, made.formats)
    pictures = decode()
    spans = list(settings.windows.spans(made.rows(pictures, threads)))

    def encode() -> None:
        if made.takes_snippets:
            runs = [spans[first : first + made.batch] for first in range(0, len(spans), made.batch)]
            list(threads.map(made.encode, runs))
        else:
            list(made.encode_video(pictures, threads))

    with tempfile.TemporaryDirectory() as folder, single_threaded():
        parts = {
            "decoding": decode,
            "flow": lambda: list(made.rows(pictures, threads)),
            "network": encode,
            "whole": lambda: whole(path, Path(folder) / "f.h5", jobs, words),
        }
        turns = [{name: both_clocks(part) for name, part in parts.items()} for _ in range(3)]
    best = {name: min(turn[name][0] for turn in turns) for name in parts}
    work = {name: min(turn[name][1] for turn in turns) for name in parts}
    told = "  ".join(f"{name} {best[name]:5.2f} s" for name in parts)
    whole_time, slowest = best.pop("whole"), max(best[name] for name in parts if name != "whole")
    total = sum(work[name] for name in best)
    bound = max(slowest, total / available_cores())
    print(
        f"{title:18} {told}: {whole_time / slowest:.2f} x the slowest part, {whole_time / bound:.2f} x what the cores "
        f"allow; processor time {work['whole'] / total:.2f} x that of the parts"
    )


def decoded(path: str, settings: ExtractionSettings, formats: tuple[FrameFormat, ...]) -> list[Any]:
    """All pictures of a video."""
    return list(FrameSequence(path, formats[0], settings.fps).together(formats))


def whole(path: str, output: Path, jobs: int, words: dict[str, Any]) -> None:
    """The extraction into a new file."""
    output.unlink(missing_ok=True)
    extract(path, output=output, jobs=jobs, **words)


def flows(path: str) -> None:
    """Print the speed of optical flow at a short side of 256 pixels, one thread."""
    pictures = list(islice(FrameSequence(path, FrameFormat("gray", 256)), 120))
    for settings, pairs in (
        (FlowSettings("dis", "ultrafast"), 100),
        (FlowSettings("dis", "fast"), 100),
        (FlowSettings("dis", "medium"), 50),
        (FlowSettings("tvl1"), 3),
    ):
        flow = Flow(settings, 20.0)
        with single_threaded():
            taken = seconds(lambda: [flow(*pair) for pair in islice(pairwise(pictures), pairs)])  # noqa: B023
        name = f"{settings.method} {settings.dis_preset if settings.method == 'dis' else ''}"
        print(f"flow {name:29} {pairs / taken:7.1f} frames/s")


def networks(path: str) -> None:
    """Print the overlap of the parts for I3D over colours, and over both streams."""
    network, cores = {"backbone": "i3d", "weights": ("random",), "fps": "own"}, available_cores()
    overlap(path, "i3d, rgb", cores, **network)
    overlap(path, "i3d, both, dis", cores, stream="both", flow="dis", **network)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        video = sys.argv[1] if len(sys.argv) > 1 else str(make_video(Path(folder) / "v.mp4", FRAMES))
        main(video)
        flows(video)
        for jobs in (1, available_cores()):
            overlap(video, f"hog3d, {jobs} threads", jobs)
        networks(str(make_video(Path(folder) / "short.mp4", FRAMES_FOR_NETWORKS)))
