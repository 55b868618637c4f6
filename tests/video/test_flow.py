"""Flow is measured, clamped and rounded as two-stream networks know it, and field n begins with picture n."""

import sys
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from taltool.errors import UsageError
from taltool.video.flow import Flow, FlowSettings, fields, quantised
from taltool.video.frames import Pair

METHODS = [FlowSettings("tvl1"), FlowSettings("dis", "fast")]


@pytest.fixture
def threads() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


def texture(seed: int = 0) -> NDArray[np.uint8]:
    """A smooth picture of noise, 120 x 140."""
    coarse = np.random.default_rng(seed).random((17, 20))
    rows, columns = np.linspace(0, 15.999, 120), np.linspace(0, 18.999, 140)
    y, x = rows.astype(int)[:, None], columns.astype(int)[None]
    v, u = (rows % 1)[:, None], (columns % 1)[None]
    top = coarse[y, x] * (1 - u) + coarse[y, x + 1] * u
    bottom = coarse[y + 1, x] * (1 - u) + coarse[y + 1, x + 1] * u
    return (255 * (top * (1 - v) + bottom * v)).astype(np.uint8)


def neighbours(pictures: list[NDArray[np.uint8]]) -> list[Pair]:
    """The pairs of a video that keeps its rate: every picture with the next one, the last as the one before."""
    found: list[Pair] = list(pairwise(pictures))
    return [*found, *([found[-1]] if found else [(picture, None) for picture in pictures])]


def pixels(field: NDArray[np.uint8], bound: float = 20.0) -> NDArray[np.float64]:
    """The displacement in the middle of a quantised field, as networks read it."""
    return np.median(field[40:-40, 40:-40].reshape(-1, 2), 0) / 255 * 2 * bound - bound


def test_the_bytes_are_those_of_the_image_files_of_two_stream_papers() -> None:
    # 255 * (v + 20) / 40: no motion is 127.5, which rounds to the even neighbour.
    expected = {-30.0: 0, -20.0: 0, -10.0: 64, 0.0: 128, 1.0: 134, 10.0: 191, 20.0: 255, 25.0: 255}
    assert quantised(np.array(list(expected), np.float32), 20.0).tolist() == list(expected.values())


@given(st.floats(-20, 20), st.sampled_from([20.0, 32.0]))
def test_a_byte_is_at_most_half_a_step_from_the_displacement(value: float, bound: float) -> None:
    byte = quantised(np.array([value], np.float32), bound).astype(float)
    assert abs(byte[0] * 2 * bound / 255 - bound - value) <= bound / 255 + 1e-5


@pytest.mark.parametrize("settings", METHODS)
def test_a_shift_to_the_right_and_down_is_positive_in_x_then_y(settings: FlowSettings) -> None:
    whole = texture()
    before, after = whole[10:110, 10:130], whole[8:108, 7:127]
    flow = Flow(settings, 20.0)(np.ascontiguousarray(before), np.ascontiguousarray(after))
    assert flow.shape == (100, 120, 2)
    np.testing.assert_allclose(pixels(flow), [3, 2], atol=0.3)


@pytest.mark.parametrize("settings", METHODS)
def test_field_n_is_the_motion_from_picture_n_to_the_next(settings: FlowSettings, threads: Executor) -> None:
    whole, lefts = texture(), np.cumsum([0, 1, 2, 3, 0, 1])
    pictures = [np.ascontiguousarray(whole[10:110, left : left + 120]) for left in lefts]
    measured = [pixels(each)[0] for each in fields(neighbours(pictures), Flow(settings, 20.0), threads)]
    np.testing.assert_allclose(measured, [-1, -2, -3, 0, -1, -1], atol=0.35)


@pytest.mark.parametrize("width", [32, 40, 44, 48, 64])
def test_a_field_depends_on_no_other(width: int) -> None:
    noise = np.random.default_rng(0)
    pictures = [np.kron(noise.integers(0, 256, (8, width // 4), np.uint8), np.ones((4, 4), np.uint8)) for _ in range(4)]
    used = Flow(FlowSettings("dis"), 20)
    for before, after in pairwise(pictures):
        np.testing.assert_array_equal(used(before, after), Flow(FlowSettings("dis"), 20)(before, after))


def test_one_picture_does_not_move(threads: Executor) -> None:
    [field] = fields(neighbours([texture()]), Flow(FlowSettings("dis"), 20.0), threads)
    assert (field == 128).all()
    assert list(fields([], Flow(FlowSettings("dis"), 20.0), threads)) == []


def test_there_are_as_many_fields_as_pictures_however_many_are_under_way(threads: Executor) -> None:
    pictures = [np.roll(texture(), n, 1) for n in range(40)]
    flow = Flow(FlowSettings("dis", "ultrafast"), 20.0)
    measured = list(fields(neighbours(pictures), flow, threads))
    alone = [flow(before, after) for before, after in pairwise(pictures)]
    np.testing.assert_array_equal(measured, [*alone, alone[-1]])


def test_the_bound_of_the_settings_wins_over_the_backbones() -> None:
    assert Flow(FlowSettings("dis"), 20.0).bound == 20.0
    assert Flow(FlowSettings("dis", bound=32.0), 20.0).bound == 32.0
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="must be 0 to"):
            FlowSettings(bound=wrong)


def test_without_opencv_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(UsageError, match=r"taltool\[flow\]"):
        Flow(FlowSettings(), 20.0)


class Counting(Flow):
    measured = 0

    def __call__(self, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.uint8]:
        self.measured += 1
        return super().__call__(before, after)


@pytest.mark.parametrize("wanted", [{0, 1, 5, 6, 9}, {3}, {8, 9}, {9}])
def test_only_fields_that_are_wanted_are_computed(threads: Executor, wanted: set[int]) -> None:
    pictures = [np.roll(texture(), n * n // 4, 1) for n in range(10)]
    flow = Counting(FlowSettings("dis", "ultrafast"), 20.0)
    every = list(fields(neighbours(pictures), flow, threads))
    flow.measured = 0
    chosen = list(fields(neighbours(pictures), flow, threads, wanted.__contains__))
    assert len(chosen) == len(every)
    for number in wanted:
        np.testing.assert_array_equal(chosen[number], every[number])
    # The last picture has the field of the one before it, which nobody else may want.
    assert flow.measured <= len(wanted | {8})


def test_moments_that_share_a_pair_share_its_field(threads: Executor) -> None:
    pairs = [pair for pair in neighbours([np.roll(texture(), n, 1) for n in range(4)]) for _ in range(3)]
    flow = Counting(FlowSettings("dis", "ultrafast"), 20.0)
    measured = list(fields(pairs, flow, threads))
    assert flow.measured == 3
    np.testing.assert_array_equal(measured, [flow(before, after) for before, after in pairs])  # type: ignore[arg-type]
