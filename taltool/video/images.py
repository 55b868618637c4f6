"""A folder of images, one per frame, read as if it were a video.

The images of a folder are one series: names that differ in their last number alone (img_00001.jpg, img_00002.jpg, ...),
or names without numbers, taken in their order. Nothing in them tells when they were taken, so the user says how many
there are to a second.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from av.error import FFmpegError

from taltool.errors import DataError
from taltool.video.decode import Losses, PacketScan, open_container, video_stream
from taltool.video.sources import image_files

_NUMBERED = re.compile(r"^(.*?)(\d+)$")
# Times are exact: there is no clock that could have rounded them.
_TICK = 1e-9


def series(folder: Path) -> tuple[list[Path], list[int]]:
    """The images of a folder in order, and the place (from 0) of each in the sequence.

    Numbers that rise in steps of more than one (every fifth frame was kept) count as neighbours; where some of the
    numbers are missing, places are. Raises DataError where the folder holds no images, or those of several series.
    """
    found = sorted(image_files(folder))
    numbered = [_NUMBERED.match(path.stem) for path in found]
    if not found:
        raise DataError("holds no images")
    if not all(numbered):
        return found, list(range(len(found)))
    by_prefix: dict[str, list[tuple[int, Path]]] = defaultdict(list)
    for match, path in zip(numbered, found, strict=True):
        if match:
            by_prefix[match[1]].append((int(match[2]), path))
    if len(by_prefix) > 1:
        raise DataError(
            f"holds images of {len(by_prefix)} series ({', '.join(sorted(by_prefix)[:4])}): put each into a folder"
        )
    [members] = by_prefix.values()
    members.sort()
    distances = np.diff([number for number, _ in members])
    if len(distances) and distances.min() == 0:
        raise DataError(f"holds two images of one number near {members[int(distances.argmin())][1].name}")
    step = int(np.gcd.reduce(distances)) if len(distances) else 1
    return [path for _, path in members], [(number - members[0][0]) // step for number, _ in members]


def scan_images(path: str, fps: float) -> PacketScan:
    """What `taltool.video.decode.scan` says of a video, for a folder whose images follow each other at `fps`."""
    _, places = series(Path(path))
    times = np.array(places, np.float64) / fps
    end = (places[-1] + 1) / fps
    return PacketScan(times=times, tick=_TICK, declared=[fps], end=end, zero=0.0, pixel_aspect=1.0, cut=None)


def decoded_images(path: str, fps: float, losses: Losses) -> Iterator[tuple[float, Any]]:
    """Yield (seconds, frame) of every image; one that cannot be decoded is entered in `losses` and skipped."""
    files, places = series(Path(path))
    for file, place in zip(files, places, strict=True):
        try:
            with open_container(file) as container:
                frame = next(container.decode(video_stream(container)), None)
        except (FFmpegError, DataError) as error:
            losses.add(place / fps, error)
            continue
        if frame is not None:
            yield place / fps, frame
