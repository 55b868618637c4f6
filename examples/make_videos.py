"""Write untrimmed videos with four kinds of motion, and their ground truth: a data set for the quickstart.

    python make_videos.py DATA          writes DATA/videos/*.mp4 and DATA/gt.json

In every video one textured object idles (stands still or drifts) and now and then acts: it swings from side to side
(`swing`), up and down (`bounce`), runs in circles (`orbit`) or comes and goes (`loom`). The objects, the cluttered
backgrounds, the light and the shaking camera are drawn without regard to the action, so only motion tells the classes
apart. Other objects cross the scene at a constant speed meanwhile. The same seed writes the same files.
"""

import argparse
import json
import multiprocessing
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
CLASSES = ("swing", "bounce", "orbit", "loom")
FPS, HEIGHT, WIDTH = 20, 120, 160
MARGIN = 24  # Pixels of background beyond each edge of the picture, for the camera to shake in.
TEXTURE = 48  # Side of an object's texture in pixels.


def clutter(random: np.random.Generator, height: int, width: int) -> Array:
    """Noise of several scales with rectangles thrown on it: (height, width), about 0 to 1."""
    picture = np.zeros((height, width))
    for scale in (3, 7, 13, 29):
        coarse = random.random((height // scale + 2, width // scale + 2))
        picture += np.kron(coarse, np.ones((scale, scale)))[:height, :width] / 4
    for _ in range(height * width // 1500):
        top, left = random.integers(0, height), random.integers(0, width)
        picture[top : top + random.integers(4, 30), left : left + random.integers(4, 30)] = random.random()
    return picture


def texture(random: np.random.Generator) -> Array:
    """What an object looks like: (TEXTURE, TEXTURE) of high contrast."""
    picture = clutter(random, TEXTURE, TEXTURE)
    return (picture - picture.min()) / (picture.max() - picture.min())


def paste(scene: Array, looks: Array, x: float, y: float, size: float) -> None:
    """Draw a round object of diameter `size` with its centre at (x, y), to a fraction of a pixel."""
    radius = size / 2
    top, left = max(0, int(y - radius)), max(0, int(x - radius))
    bottom, right = min(scene.shape[0], int(y + radius) + 2), min(scene.shape[1], int(x + radius) + 2)
    if top >= bottom or left >= right:
        return
    rows, columns = np.arange(top, bottom)[:, None] - y, np.arange(left, right)[None, :] - x
    inside = np.clip(radius - np.hypot(rows, columns) + 0.5, 0, 1)
    scale = (TEXTURE - 2) / size
    v, u = np.clip((rows + radius) * scale, 0, TEXTURE - 2), np.clip((columns + radius) * scale, 0, TEXTURE - 2)
    i, j = v.astype(int), u.astype(int)
    v, u = v - i, u - j
    upper = looks[i, j] * (1 - u) + looks[i, j + 1] * u
    lower = looks[i + 1, j] * (1 - u) + looks[i + 1, j + 1] * u
    patch = scene[top:bottom, left:right]
    patch += inside * (upper * (1 - v) + lower * v - patch)


def smooth_walk(random: np.random.Generator, length: int, step: float, limit: float) -> Array:
    """A path (length, 2) that wanders smoothly within +-limit."""
    speed = random.normal(0, step, (length, 2))
    kernel = np.hanning(2 * FPS + 1) / np.sqrt(FPS)
    path = np.cumsum(np.stack([np.convolve(column, kernel, "same") for column in speed.T], 1), 0)
    return limit * np.sin(path / limit)


def schedule(random: np.random.Generator, length: int) -> list[tuple[int, int, str]]:
    """When the object does what: (first frame, end frame, class), with idle time before, between and after."""
    instances: list[tuple[int, int, str]] = []
    at = int(random.uniform(0.5, 3.0) * FPS)
    while True:
        frames = int(random.uniform(2.0, 4.5) * FPS)
        if at + frames > length - FPS // 2:
            return instances
        instances.append((at, at + frames, str(random.choice(CLASSES))))
        at += frames + int(random.uniform(1.0, 4.0) * FPS)


def performance(random: np.random.Generator, length: int, instances: list[tuple[int, int, str]]) -> Array:
    """The object's x, y (pixels from its resting place) and its size factor in every frame: (length, 3)."""
    pose = np.zeros((length, 3))
    for first, end, name in instances:
        seconds = np.arange(end - first) / FPS
        whole = seconds[-1]
        strength = np.clip(np.minimum(seconds, whole - seconds) / 0.15, 0, 1)
        angle = 2 * np.pi * seconds * random.uniform(0.9, 1.4) * random.choice([-1, 1])
        reach = random.uniform(17, 23)
        if name in ("swing", "orbit"):
            pose[first:end, 0] = strength * reach * (np.sin(angle) if name == "swing" else np.cos(angle))
        if name in ("bounce", "orbit"):
            pose[first:end, 1] = strength * reach * np.sin(angle)
        if name == "loom":
            pose[first:end, 2] = strength * np.sin(angle) * 0.45
    return pose


def render(random: np.random.Generator, length: int, instances: list[tuple[int, int, str]]) -> Any:
    """Yield the luminance of every frame: (HEIGHT, WIDTH) uint8."""
    background = 0.3 + 0.4 * clutter(random, HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN)
    camera = smooth_walk(random, length, 0.2, 8.0) + random.normal(0, 0.25, (length, 2))
    middle = np.array([WIDTH, HEIGHT]) / 2 + MARGIN + random.uniform(-1, 1, 2) * (35, 18)
    place = middle + smooth_walk(random, length, 0.25, 10.0)
    pose = performance(random, length, instances)
    size, looks = random.uniform(44, 54), texture(random)
    passers = [
        (
            texture(random),
            random.uniform(12, 22),
            random.uniform(0, length),
            random.uniform(0, 1, 2),
            random.normal(0, 1.3, 2),
        )
        for _ in range(length // (4 * FPS))
    ]
    light = 1 + 0.25 * np.sin(np.arange(length) / FPS * random.uniform(0.3, 1.5) + random.uniform(0, 6))
    contrast, brightness = random.uniform(90, 170), random.uniform(10, 60)
    for frame in range(length):
        scene = background.copy()
        for passer, diameter, when, (x, y), (dx, dy) in passers:
            since = frame - when
            paste(scene, passer, x * WIDTH + MARGIN + dx * since, y * HEIGHT + MARGIN + dy * since, diameter)
        x, y = place[frame] + pose[frame, :2]
        paste(scene, looks, x, y, size * (1 + pose[frame, 2]))
        left, top = np.rint(camera[frame]).astype(int) + MARGIN
        seen = scene[top : top + HEIGHT, left : left + WIDTH] * contrast * light[frame] + brightness
        yield np.clip(seen + random.normal(0, 3, seen.shape), 0, 255).astype(np.uint8)


def write_video(path: Path, frames: Any) -> None:
    """Encode luminance frames as H.264."""
    with av.open(str(path), "w") as container:
        # The slower presets do not always write the same bytes (seen with libx264 of PyAV 18.1, one thread too).
        options = {"preset": "ultrafast", "crf": "23", "threads": "1"}
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = Fraction(1, FPS)
        grey = np.full((HEIGHT // 2, WIDTH), 128, np.uint8)
        for number, luminance in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.concatenate([luminance, grey]), format="yuv420p")
            picture.pts = number
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def make(task: tuple[Path, int, int]) -> tuple[str, dict[str, Any]]:
    """Write video `number`; return its id and what happens in it."""
    folder, seed, number = task
    random = np.random.default_rng([seed, number])
    length = int(random.uniform(15, 40) * FPS)
    instances = schedule(random, length)
    video_id = f"motion_{number:03d}"
    write_video(folder / f"{video_id}.mp4", render(random, length, instances))
    annotations = [{"segment": [first / FPS, end / FPS], "label": name} for first, end, name in instances]
    return video_id, {"duration": length / FPS, "annotations": annotations}


def main() -> None:
    """Make the data set that the command line asks for."""
    parser = argparse.ArgumentParser(description="Write untrimmed videos of four kinds of motion, and their gt.json.")
    parser.add_argument("folder", type=Path, help="where to write videos/ and gt.json")
    parser.add_argument("--videos", type=int, default=30, help="how many (default 30); every third is for validation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    options = parser.parse_args()
    folder = options.folder / "videos"
    folder.mkdir(parents=True, exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        made = dict(pool.map(make, [(folder, options.seed, n) for n in range(options.videos)], chunksize=1))
    for number, facts in enumerate(made.values()):
        facts["subset"] = "validation" if number % 3 == 2 else "training"
    truth = {"version": "taltool examples 1", "taxonomy": [], "database": made}
    (options.folder / "gt.json").write_text(json.dumps(truth, indent=1) + "\n")
    print(
        f"{len(made)} videos, {sum(len(facts['annotations']) for facts in made.values())} instances: {options.folder}"
    )


if __name__ == "__main__":
    main()
