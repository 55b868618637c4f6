"""A video becomes pictures at a constant rate, each at its true time, upright, as far as it can be decoded."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.error import InvalidDataError
from numbered_videos import number, picture, turn_clockwise, write

from taltool.errors import DataError, UsageError
from taltool.video import decode
from taltool.video.frames import FrameFormat, FrameSequence

GRAY = FrameFormat("gray", short_side=48)
PAIRS = FrameFormat("gray", short_side=48, paired=True)
RATES = {"30": Fraction(30), "25": Fraction(25), "29.97": Fraction(30000, 1001), "59.94": Fraction(60000, 1001)}


def at_rate(fps: Fraction, frames: int) -> list[Fraction]:
    return [n / fps for n in range(frames)]


def uneven(frames: int) -> list[float]:
    steps = np.random.default_rng(3).choice([0.031, 0.04, 0.055, 0.11], frames - 1)
    return [0.0, *np.cumsum(steps).tolist()]


def shown_at(moments: list[float], moment: float) -> int:
    """The number of the frame that a viewer sees: the last one whose time has come."""
    return max(n for n, begins in enumerate(moments) if begins <= moment + 1.2e-5)


@pytest.mark.parametrize("fps", [None, 10.0, 60.0, 7.3])
@pytest.mark.parametrize("rate", RATES)
def test_every_picture_is_the_frame_seen_at_its_time(tmp_path: Path, rate: str, fps: float | None) -> None:
    moments = [float(moment) for moment in at_rate(RATES[rate], 100)]
    frames = FrameSequence(str(write(tmp_path / "v.mp4", moments)), GRAY, fps)
    shown = [number(each) for each in frames]
    grid = frames.timeline
    assert grid.fps == pytest.approx(fps or float(RATES[rate]), rel=1e-6)
    assert shown == [shown_at(moments, grid.first + k / grid.fps) for k in range(len(shown))]
    assert len(shown) / grid.fps == pytest.approx(100 / float(RATES[rate]), abs=1 / grid.fps)


@pytest.mark.parametrize("fps", [None, 10.0, 60.0])
def test_frames_of_variable_rate_are_taken_by_their_timestamps(tmp_path: Path, fps: float | None) -> None:
    moments = uneven(90)
    frames = FrameSequence(str(write(tmp_path / "v.mp4", moments)), GRAY, fps)
    shown = [number(each) for each in frames]
    grid = frames.timeline
    assert grid.native is None
    assert shown == [shown_at(moments, grid.first + k / grid.fps) for k in range(len(shown))]
    assert len(shown) == pytest.approx((moments[-1] + grid.step) * grid.fps, abs=1)


@pytest.mark.parametrize("fps", [None, 10.0, 60.0, 7.3])
@pytest.mark.parametrize("rate", RATES)
def test_neighbours_are_those_of_the_videos_own_rate_whatever_the_rate(
    tmp_path: Path, rate: str, fps: float | None
) -> None:
    moments = [float(moment) for moment in at_rate(RATES[rate], 100)]
    frames = FrameSequence(str(write(tmp_path / "v.mp4", moments)), GRAY, fps)
    alone = [number(each) for each in frames]
    shown = [(number(seen), *map(number, pair)) for seen, pair in frames.together((GRAY, PAIRS))]
    assert [seen for seen, _, _ in shown] == alone
    # The last frame has no next one.
    assert shown == [(seen, min(seen, 98), min(seen, 98) + 1) for seen in alone]
    assert frames.count == len(alone)


@pytest.mark.parametrize("fps", [10.0, 60.0])
def test_neighbours_of_a_variable_rate_are_those_of_the_grid_that_keeps_it(tmp_path: Path, fps: float) -> None:
    path = str(write(tmp_path / "v.mp4", uneven(90)))
    own, wanted = FrameSequence(path, PAIRS), FrameSequence(path, PAIRS, fps)
    kept = [tuple(map(number, pair)) for (pair,) in own.together((PAIRS,))]
    shown = [tuple(map(number, pair)) for (pair,) in wanted.together((PAIRS,))]
    first, rate = own.timeline.first, own.timeline.fps
    places = [int((wanted.timeline.first + k / fps + 1.2e-5 - first) * rate) for k in range(len(shown))]
    assert shown == [kept[min(place, len(kept) - 1)] for place in places]


@pytest.mark.parametrize("fps", [None, 10.0])
def test_a_single_picture_has_no_neighbour(tmp_path: Path, fps: float | None) -> None:
    path = str(write(tmp_path / "v.mp4", [0.0]))
    assert {pair[1] for (pair,) in FrameSequence(path, PAIRS, fps).together((PAIRS,))} == {None}


@pytest.mark.parametrize("fps", [None, 10.0, 60.0])
def test_of_neighbours_only_those_that_are_wanted_are_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fps: float | None
) -> None:
    from taltool.video import frames

    converted, real = [], frames._pixels
    path = str(write(tmp_path / "v.mp4", at_rate(Fraction(25), 100)))
    every = [pair for (pair,) in FrameSequence(path, PAIRS, fps).together((PAIRS,))]
    wanted = {3, 4, 20, len(every) - 1}
    monkeypatch.setattr(frames, "_pixels", lambda frame: converted.append(frame) or real(frame))
    shown = [pair for (pair,) in FrameSequence(path, PAIRS, fps).together((PAIRS,), lambda each, _: each in wanted)]
    assert len(shown) == len(every)
    for place in wanted:
        np.testing.assert_array_equal(shown[place], every[place])
    # The first one gives the size.
    assert len(converted) <= 2 * (len(wanted) + 1)


@pytest.mark.parametrize(("length", "most", "count"), [(100, 768, 100), (100, 100, 100), (100, 64, 64), (100, 1, 1)])
@pytest.mark.parametrize("rate", RATES)
def test_a_whole_video_becomes_a_number_of_frames_but_no_more_than_it_has(
    tmp_path: Path, rate: str, length: int, most: int, count: int
) -> None:
    moments = [0.04 + float(moment) for moment in at_rate(RATES[rate], length)]
    frames = FrameSequence(str(write(tmp_path / "v.mp4", moments)), GRAY, frames=most)
    shown = [number(each) for each in frames]
    assert len(shown) == frames.count == count
    # As AFSD/anet_data/transform_videos.py: the own rate times the share that is kept.
    assert frames.timeline.fps == pytest.approx(float(RATES[rate]) * count / length, rel=1e-6)
    assert shown == [k * length // count for k in range(count)]


def test_frames_of_a_variable_rate_are_spread_over_the_whole_video(tmp_path: Path) -> None:
    moments = uneven(90)
    frames = FrameSequence(str(write(tmp_path / "v.mp4", moments)), GRAY, frames=50)
    shown = [number(each) for each in frames]
    grid = frames.timeline
    assert len(shown) == 50
    assert shown == [shown_at(moments, grid.first + k / grid.fps) for k in range(50)]
    assert grid.fps == pytest.approx(50 / (moments[-1] + grid.step), rel=0.02)


def test_a_constant_rate_keeps_every_frame_once(tmp_path: Path) -> None:
    path = write(tmp_path / "v.mkv", at_rate(RATES["29.97"], 120), tick=Fraction(1, 1000))
    assert [number(each) for each in FrameSequence(str(path), GRAY)] == list(range(120))


def test_a_dropped_frame_is_replaced_by_the_one_before_it(tmp_path: Path) -> None:
    moments = at_rate(Fraction(25), 40)
    del moments[17]
    shown = [number(each) for each in FrameSequence(str(write(tmp_path / "v.mp4", moments)), GRAY)]
    assert shown == [*range(17), 16, *range(17, 39)]


@pytest.mark.parametrize("right_angles", [1, 2, 3])
def test_turned_videos_are_set_upright(tmp_path: Path, right_angles: int) -> None:
    path = tmp_path / "v.mp4"
    with av.open(str(path), "w") as container:
        stored = [np.ascontiguousarray(np.rot90(picture(n), right_angles)) for n in range(30)]
        stream = container.add_stream("libx264", rate=30)
        stream.height, stream.width = stored[0].shape
        stream.pix_fmt = "yuv420p"
        for each in stored:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(each, format="gray").reformat(format="yuv420p")))
        container.mux(stream.encode())
    turn_clockwise(path, right_angles)
    pictures = list(FrameSequence(str(path), GRAY))
    assert pictures[0].shape == (48, 96)
    assert [number(each) for each in pictures] == list(range(30))
    squeezed, *_ = FrameSequence(str(path), FrameFormat("gray", exact=(32, 80)))
    assert squeezed.shape == (32, 80)


def test_colour_pictures_keep_their_colours(tmp_path: Path) -> None:
    red = np.zeros((64, 96, 3), np.uint8)
    red[..., 0] = 200
    with av.open(str(tmp_path / "v.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(red, format="rgb24").reformat(format="yuv420p")))
        container.mux(stream.encode())
    first, *_ = FrameSequence(str(tmp_path / "v.mp4"), FrameFormat("rgb"))
    assert first.shape == (64, 96, 3)
    assert np.abs(first.astype(int) - red).max() < 12


def test_a_file_cut_short_gives_the_frames_before_the_cut(tmp_path: Path) -> None:
    path = write(tmp_path / "v.mkv", at_rate(Fraction(25), 200))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    shown = [number(each) for each in FrameSequence(str(path), GRAY)]
    assert 60 < len(shown) < 140
    # Of the last frames some need others that are lost.
    assert shown[:-8] == list(range(len(shown) - 8))


def test_a_broken_packet_moves_no_other_frame_in_time(tmp_path: Path) -> None:
    path = write(tmp_path / "v.mp4", at_rate(Fraction(25), 60), options={"g": "1", "bf": "0"})
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        spoiled = packets[20]
        assert spoiled.pos is not None
        at, size = spoiled.pos, spoiled.size
    content = bytearray(path.read_bytes())
    content[at : at + size] = bytes(size)
    path.write_bytes(content)
    frames = FrameSequence(str(path), GRAY)
    shown = [number(each) for each in frames]
    assert shown == [*range(20), 19, *range(21, 60)]
    assert "0.80 s" in str(frames.losses.summary())


def test_what_is_no_video_is_refused_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_text("this is text")
    with pytest.raises(DataError, match="Invalid data"):
        FrameSequence(str(tmp_path / "v.mp4"), GRAY)
    with pytest.raises(DataError, match="No such file"):
        FrameSequence(str(tmp_path / "absent.mp4"), GRAY)


def test_sound_without_pictures_is_refused(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        silence.rate = 8000
        container.mux(stream.encode(silence))
    with pytest.raises(DataError, match="no video stream"):
        FrameSequence(str(tmp_path / "a.wav"), GRAY)


@pytest.mark.parametrize(
    ("height", "width", "size"), [(240, 320, (48, 64)), (1, 1, (48, 48)), (320, 240, (64, 48)), (10, 1000, (48, 192))]
)
def test_the_short_side_is_scaled_and_the_long_one_limited(height: int, width: int, size: tuple[int, int]) -> None:
    assert GRAY.size(height, width) == size


def test_pixels_that_nobody_delivers_are_refused() -> None:
    with pytest.raises(UsageError, match="pictures in 'greyish': there are only gray and rgb"):
        FrameFormat("greyish")  # type: ignore[arg-type]


def test_pixels_that_are_not_square_are_made_square() -> None:
    assert GRAY.size(480, 720, pixel_aspect=32 / 27) == (48, 85)


def test_pictures_that_are_not_wanted_cost_nothing_and_change_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from taltool.video import frames

    converted, real = [], frames._pixels
    path = str(write(tmp_path / "v.mp4", at_rate(Fraction(25), 40)))
    monkeypatch.setattr(frames, "_pixels", lambda frame: converted.append(frame) or real(frame))
    wanted = {3, 4, 17, 39}
    shown = [number(each) for (each,) in FrameSequence(path, GRAY).together((GRAY,), lambda each, _: each in wanted)]
    assert len(shown) == 40
    assert {n for n in wanted if shown[n] == n} == wanted
    # The first one gives the size.
    assert len(converted) == len(wanted) + 1


def test_a_video_of_usual_size_is_read_once(tmp_path: Path) -> None:
    path = write(tmp_path / "v.mp4", at_rate(Fraction(25), 40))
    frames = FrameSequence(str(path), GRAY)
    path.unlink()
    assert [number(each) for each in frames] == list(range(40))


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.avi", "v.ts"])
@pytest.mark.parametrize("is_damaged", [False, True])
def test_packets_that_were_kept_decode_as_those_that_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, is_damaged: bool
) -> None:
    path = write(tmp_path / name, at_rate(Fraction(25), 80))
    if is_damaged and name != "v.mp4":  # Whose index stands at its end.
        content = bytearray(path.read_bytes())
        content[len(content) // 2 : len(content) // 2 + 400] = bytes(400)
        path.write_bytes(content[: len(content) * 9 // 10])
    kept = FrameSequence(str(path), GRAY)
    monkeypatch.setattr("taltool.video.decode._MOST_KEPT", 0)
    again = FrameSequence(str(path), GRAY)
    for _ in range(2):
        np.testing.assert_array_equal(np.stack(list(kept)), np.stack(list(again)))
        assert (kept.count, kept.losses.summary()) == (again.count, again.losses.summary())


@pytest.mark.parametrize("most_kept", [0, 1 << 20])
def test_a_drive_that_fails_is_told_once_and_what_came_before_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_kept: int
) -> None:
    path = str(write(tmp_path / "v.mp4", at_rate(Fraction(25), 80)))

    class Failing:
        def __init__(self, container: Any) -> None:
            self.container = container

        def __getattr__(self, name: str) -> Any:
            return getattr(self.container, name)

        def demux(self, stream: Any) -> Iterator[Any]:
            yield from islice(self.container.demux(stream), 40)
            raise InvalidDataError(1, "the drive is gone")

    @contextmanager
    def opened(path: str) -> Iterator[tuple[Any, Any]]:
        with really_opened(path) as (container, stream):
            yield Failing(container), stream

    really_opened = decode._opened
    monkeypatch.setattr(decode, "_opened", opened)
    monkeypatch.setattr(decode, "_MOST_KEPT", most_kept)
    frames = FrameSequence(path, GRAY)
    shown = [number(each) for each in frames]
    assert 30 < len(shown) <= 40
    assert shown[:30] == list(range(30))
    assert frames.losses.reasons == ["the drive is gone"]


def test_pictures_that_cannot_be_converted_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refuses:
        def reformat(self, *_: object, **__: object) -> None:
            raise av.error.FFmpegError(95, "Operation not supported")

    write(tmp_path / "v.mp4", [0.0, 0.04, 0.08])
    monkeypatch.setattr("taltool.video.frames.VideoReformatter", Refuses)
    with pytest.raises(DataError, match=r"its pictures \(yuv420p, \d+x\d+\) cannot be converted \(Operation not"):
        list(FrameSequence(str(tmp_path / "v.mp4"), GRAY))
