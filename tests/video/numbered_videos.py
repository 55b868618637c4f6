"""Videos whose frames carry their number as a picture: eight bars, white for 1, the lowest bit at the left."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

BITS, BAR, HEIGHT = 8, 16, 64
TICK = Fraction(1, 90_000)


def picture(number: int) -> NDArray[np.uint8]:
    """The picture (HEIGHT, BITS * BAR) that carries a number; its lower half is black."""
    bits = (number >> np.arange(BITS)) & 1
    rows = np.tile(np.repeat(bits * 255, BAR), (HEIGHT, 1)).astype(np.uint8)
    rows[HEIGHT // 2 :] = 0
    return rows


def number(shown: NDArray[np.uint8]) -> int:
    """The number that an upright picture of any size carries."""
    height, width = shown.shape
    columns = (np.arange(BITS) + 0.5) * width / BITS
    assert shown[int(height * 0.75)].max() < 128, "this picture is not upright"
    return int(((shown[height // 4, columns.astype(int)] > 128) << np.arange(BITS)).sum())


def write(
    path: Path, seconds: Sequence[Fraction | float], tick: Fraction = TICK, options: dict[str, str] | None = None
) -> Path:
    """Write a video whose frame n is shown from seconds[n] on."""
    with av.open(str(path), "w") as container:
        # The rate is only a hint to the encoder: what counts are the timestamps.
        stream = container.add_stream("libx264", rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = BITS * BAR, HEIGHT, "yuv420p"
        stream.codec_context.time_base = tick
        for n, moment in enumerate(seconds):
            frame = av.VideoFrame.from_ndarray(picture(n), format="gray").reformat(format="yuv420p")
            frame.pts, frame.time_base = round(Fraction(moment) / tick), tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def turn_clockwise(path: Path, right_angles: int) -> None:
    """Write into an MP4's track header that players must turn its pictures clockwise."""
    cosine, sine = {0: (1, 0), 1: (0, 1), 2: (-1, 0), 3: (0, -1)}[right_angles % 4]
    one = 1 << 16
    matrix = struct.pack(">9i", cosine * one, sine * one, 0, -sine * one, cosine * one, 0, 0, 0, 1 << 30)
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40
    content[at : at + len(matrix)] = matrix
    path.write_bytes(content)
