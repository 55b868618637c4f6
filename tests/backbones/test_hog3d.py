"""HOG3D sees how things move, and little of their contrast, of the light and of a shaking camera."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from taltool.backbones.hog3d import HOG3D, HOG3DConfig, icosahedron, mean_gradients, quantised
from taltool.errors import UsageError
from taltool.video.snippet_windows import SnippetWindows

Frames = NDArray[np.uint8]
WINDOWS = SnippetWindows(16, 4)
BACKGROUND = np.random.default_rng(1).random((96, 128))


def scene(x_speed: float, y_speed: float, length: int = 32, seed: int = 0) -> Frames:
    """A textured square that moves over a still background, (length, 96, 128)."""
    looks = np.kron(np.random.default_rng(seed).random((8, 8)), np.ones((5, 5)))
    frames = np.repeat(0.3 * np.kron(BACKGROUND[::8, ::8], np.ones((8, 8)))[None], length, 0)
    for n, frame in enumerate(frames):
        x, y = int(20 + x_speed * n), int(20 + y_speed * n)
        frame[y : y + 40, x : x + 40] = looks
    return (frames * 200 + 20).astype(np.uint8)


def features(frames: Frames, windows: SnippetWindows = WINDOWS, **changes: object) -> NDArray[np.float32]:
    return np.concatenate(list(HOG3D(HOG3DConfig(**changes)).encode(frames, windows)))  # type: ignore[arg-type]


def distance(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(one - other, axis=1).mean())


def test_there_is_one_row_for_each_snippet_and_the_channels_are_declared() -> None:
    rows = features(scene(1, 0, length=33))
    assert rows.shape == (WINDOWS.count(33), HOG3D(HOG3DConfig()).streams["hog3d"][1])
    assert rows.dtype == np.float32


def test_a_snippet_depends_on_its_own_frames_only() -> None:
    frames = scene(1, 0, length=64)
    rows = features(frames)
    # The frame before the window takes part in the first temporal gradient.
    alone = features(frames[19:36], SnippetWindows(16, 4, offset=1))
    np.testing.assert_allclose(rows[5], alone[0], atol=1e-5)


@pytest.mark.parametrize("length", [1, 5, 16, 75])
def test_threads_that_share_a_video_give_the_same_bytes(length: int) -> None:
    frames = scene(0.3, 0.2, length)
    with ThreadPoolExecutor(3) as threads:
        shared = np.concatenate(list(HOG3D(HOG3DConfig()).encode(frames, WINDOWS, threads)))
    assert shared.tobytes() == features(frames).tobytes()


def test_direction_of_motion_counts_more_than_looks() -> None:
    right = features(scene(1, 0))
    assert distance(right, features(scene(1, 0, seed=5))) < distance(right, features(scene(0, 1)))


def test_motion_in_the_opposite_direction_is_told_apart() -> None:
    forth = scene(1, 0)
    # Played backwards, what is at a place is the same and the temporal gradient has the opposite sign.
    assert distance(features(forth), features(forth[::-1])) > 0.5


def test_contrast_and_brightness_hardly_count() -> None:
    frames = scene(1, 0)
    dim = (frames * 0.5 + 30).astype(np.uint8)
    assert distance(features(frames), features(dim)) < 0.2 * distance(features(frames), features(scene(0, 1)))


def test_a_shaking_camera_is_taken_out() -> None:
    picture = scene(0, 0, length=1)[0].astype(float)
    for _ in range(3):  # Lenses blur; a shift is then well below the size of what is seen.
        picture = sum(np.roll(picture, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)) / 9
    still = np.repeat(picture[None], 48, 0).astype(np.uint8)
    shaken = np.stack([np.roll(frame, n % 2, axis=1) for n, frame in enumerate(still)])
    uncompensated = distance(features(still, compensate=False), features(shaken, compensate=False))
    assert distance(features(still), features(shaken)) < 0.6 * uncompensated


def test_gradients_of_a_ramp_are_its_slope() -> None:
    x, y = np.arange(16, dtype=np.float32), np.arange(12, dtype=np.float32)
    ramp = np.broadcast_to(2 * x + 3 * y[:, None], (1, 12, 16)).astype(np.float32)
    inner = mean_gradients(ramp, ramp + 5, block=4, compensate=False)[0, 1, 1]
    np.testing.assert_allclose(inner, [2, 3, 5], atol=1e-5)


def test_the_normals_are_the_twenty_of_an_icosahedron() -> None:
    normals = icosahedron(half=False)
    cosines = np.sort(normals @ normals.T, axis=1)
    assert normals.shape == (20, 3)
    # Neighbouring faces of an icosahedron meet at 138.19 degrees, so their normals are 41.81 degrees apart.
    np.testing.assert_allclose(np.degrees(np.arccos(cosines[:, -2])), 41.81, atol=0.01)
    half = icosahedron(half=True)
    assert len(half) == 10
    assert (half @ half.T).min() > -0.99


def test_a_gradient_along_a_normal_falls_into_its_bin_and_keeps_its_magnitude() -> None:
    normals = icosahedron(half=False)
    binned = quantised(7 * normals, normals, threshold=0.8)
    np.testing.assert_allclose(binned, 7 * np.eye(20), atol=1e-4)


def test_opposite_gradients_share_a_bin_in_half_orientation() -> None:
    gradients = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    normals = icosahedron(half=True)
    np.testing.assert_allclose(quantised(gradients, normals, 0.3), quantised(-gradients, normals, 0.3), atol=1e-6)


@pytest.mark.parametrize("level", [0, 255])
def test_pictures_without_structure_give_zeros(level: int) -> None:
    assert not features(np.full((20, 96, 96), level, np.uint8)).any()


def test_settings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match="do not fit"):
        HOG3DConfig(short_side=8, grids=(3,))
    with pytest.raises(UsageError, match="at least 3 frames"):
        features(scene(0, 0), SnippetWindows(2, 1))
