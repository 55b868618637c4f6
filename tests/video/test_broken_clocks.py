"""The clock of a video breaks, and frames come in the order of the file, each once, at the time that goes on."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numbered_videos import number, picture, write

from taltool.inspection.info import info
from taltool.video.broken_clocks import Packet, mended
from taltool.video.frames import FrameFormat, FrameSequence

GRAY = FrameFormat("gray", short_side=48)
TICK = 0.001
STEP = 40  # Ticks: 25 frames a second.


def of_times(*shown: int | None, keys: tuple[int, ...] = (0,), decoded: list[int] | None = None) -> list[Packet]:
    """Packets in the order of the file, shown at these ticks; those at the places `keys` are keyframes."""
    coded = decoded or list(shown)
    return [Packet(time, coded[place], STEP, place in keys) for place, time in enumerate(shown)]


def mend(packets: list[Packet], longest: float = 10.0) -> tuple[list[int | None], str | None]:
    stamps, mends = mended(packets, STEP, TICK, longest)
    return stamps, mends.summary()


def test_a_clock_that_runs_is_left_alone() -> None:
    # I P B B P B B in the order of decoding, as H.264 has it, with a key in the middle.
    times = [0, 120, 40, 80, 240, 160, 200, 280, 400, 320, 360]
    assert mend(of_times(*times, keys=(0, 7))) == (times, None)


def test_a_step_back_goes_on_by_one_frame() -> None:
    stamps, told = mend(of_times(0, 40, 80, 0, 40, 80, keys=(0, 3)))
    assert stamps == [0, 40, 80, 120, 160, 200]
    assert told == "has a clock that goes back 1 time, at 0.12 s; time goes on from the frame before"


def test_frames_of_the_new_clock_that_are_shown_before_its_keyframe_stay_behind_the_old_ones() -> None:
    stamps, _ = mend(of_times(0, 40, 80, 120, 160, 80, 0, 40, 120, keys=(0, 5)))
    assert stamps == [0, 40, 80, 120, 160, 280, 200, 240, 320]


def test_a_leap_is_closed_and_a_long_frame_is_not() -> None:
    assert mend(of_times(0, 40, 9_000, 9_040))[1] is None
    stamps, told = mend(of_times(0, 40, 3_600_000, 3_600_040))
    assert stamps == [0, 40, 80, 120]
    assert told is not None
    assert "leaps ahead 1 time, at 0.08 s" in told
    assert mend(of_times(0, 40, 3_600_000, 3_600_040), longest=4_000.0) == ([0, 40, 3_600_000, 3_600_040], None)


def test_a_leap_between_frames_that_are_decoded_before_those_shown_before_them() -> None:
    leapt = 3_600_000
    times = [0, 120, 40, 80, leapt + 240, 160, 200, leapt + 360, leapt + 280, leapt + 320]
    decoded = [-40, 0, 40, 80, 120, 160, 200, leapt + 240, leapt + 280, leapt + 320]
    # Shown at 0, 40 ... 200, then, after the leap, at 240, 280, 320, 360 of the new clock.
    assert mend(of_times(*times, decoded=decoded))[0] == [0, 120, 40, 80, 240, 160, 200, 360, 280, 320]


def test_a_long_frame_between_frames_that_are_decoded_before_those_shown_before_them() -> None:
    times = [0, 120, 40, 80, 5_240, 160, 200, 5_360, 5_280, 5_320]
    decoded = [-40, 0, 40, 80, 120, 160, 200, 5_240, 5_280, 5_320]
    assert mend(of_times(*times, decoded=decoded)) == (times, None)


@pytest.mark.parametrize("wrong", [10**12, -(10**12), 3_600_000])
@pytest.mark.parametrize("place", [7, 30, 99])
def test_a_single_wrong_stamp_moves_no_other_frame(wrong: int, place: int) -> None:
    times = list(range(0, 100 * STEP, STEP))
    packets = of_times(*times[:place], wrong, *times[place + 1 :])
    stamps, told = mend(packets)
    assert stamps == times
    assert told is not None


def test_three_recordings_with_gaps_of_their_own() -> None:
    recording = [*range(0, 800, 40), 2_760, 2_800]
    stamps, told = mend(of_times(*recording * 3, keys=(0, 22, 44)))
    assert stamps == [start + each for start in (0, 2_840, 5_680) for each in recording]
    assert told is not None
    assert "goes back 2 times, at 2.84 s, 5.68 s" in told


def test_a_rate_that_changes_with_the_recording_goes_on_by_the_last_frames_duration() -> None:
    slow, fast = list(range(0, 800, 40)), list(range(0, 800, 20))
    stamps, _ = mended(of_times(*slow, *fast, keys=(0, 20)), 20, TICK, 10.0)
    assert stamps == [*slow, *(800 + each for each in fast)]


def test_frames_of_one_time_are_spread_up_to_the_next_but_not_beyond_their_duration() -> None:
    stamps, told = mend(of_times(0, 40, 40, 120, 160, 160, 200, 200, 200, 800))
    #             40, 80: room for two; 160, 180: for half; then 40 apart, for there is room for fifteen.
    assert stamps == [0, 40, 80, 120, 160, 180, 200, 240, 280, 800]
    assert told is not None
    assert told.startswith("has a clock that gives 4 frames the time of another")


def test_packets_without_a_time_keep_none() -> None:
    assert mend(of_times(None, 0, None, 40, keys=(0,))) == ([None, 0, None, 40], None)


def test_on_random_breaks_every_frame_follows_the_one_before() -> None:
    random = np.random.default_rng(5)
    for _ in range(50):
        shown: list[int] = []
        keys = []
        for length in random.integers(20, 60, 4):
            # More than 10 s from whatever came before, so that no recording continues another.
            start = int(random.integers(-(10**9), 10**9))
            keys.append(len(shown))
            shown += range(start, start + int(length) * STEP, STEP)
        stamps, _ = mend(of_times(*shown, keys=tuple(keys)))
        assert stamps == list(range(shown[0], shown[0] + len(shown) * STEP, STEP))


def transport_stream(path: Path, numbers: range, begin: float = 0.0, size: tuple[int, int] = (128, 64)) -> Path:
    """An MPEG-TS at 25 frames a second, with B-frames, whose pictures are those of `numbers`."""
    with av.open(str(path), "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "bf": "2", "g": "12"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.time_base = Fraction(1, 90_000)
        for place, each in enumerate(numbers):
            shown = av.VideoFrame.from_ndarray(picture(each), format="gray")
            frame = shown.reformat(width=size[0], height=size[1], format="yuv420p")
            frame.pts, frame.time_base = round((begin + place / 25) * 90_000), Fraction(1, 90_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def joined(folder: Path, *parts: Path) -> str:
    path = folder / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return str(path)


@pytest.mark.parametrize("begin", [0.0, 3_600.0], ids=["step back", "leap"])
def test_the_frames_of_joined_recordings_come_each_once(tmp_path: Path, begin: float) -> None:
    first = transport_stream(tmp_path / "1.ts", range(60))
    path = joined(tmp_path, first, transport_stream(tmp_path / "2.ts", range(60, 100), begin))
    frames = FrameSequence(path, GRAY)
    assert [number(each) for each in frames] == list(range(100))
    assert frames.timeline.fps == pytest.approx(25)
    assert frames.duration == pytest.approx(4.0)
    told = frames.mended()
    assert told is not None
    assert "1 time, at 2.40 s" in told
    assert [each for each in info(path).facts["oddities"] if "broken clock" in each] == [
        told.replace("has a clock that", "a broken clock:")
    ]


def test_a_recording_that_begins_hours_after_the_rest_of_its_file_begins_at_zero(tmp_path: Path) -> None:
    # 26.5 hours after its zero a transport stream begins anew: the clock of 33 bits is full.
    path = transport_stream(tmp_path / "wrap.ts", range(100), begin=(1 << 33) / 90_000 - 2)
    frames = FrameSequence(str(path), GRAY)
    assert [number(each) for each in frames] == list(range(100))
    assert (frames.timeline.first, frames.duration) == (pytest.approx(0.0, abs=1e-3), pytest.approx(4.0, abs=1e-3))


def test_a_change_of_size_in_the_middle_squeezes_what_comes_after(tmp_path: Path) -> None:
    first = transport_stream(tmp_path / "1.ts", range(30))
    path = joined(tmp_path, first, transport_stream(tmp_path / "2.ts", range(30, 60), size=(256, 128)))
    frames = FrameSequence(path, GRAY)
    shown = list(frames)
    assert {each.shape for each in shown} == {(48, 96)}
    assert [number(each) for each in shown] == list(range(60))
    told = "changes the size of its pictures 1 time, at 1.20 s to 256x128; all are squeezed into that of the first"
    assert str(frames.mended()).endswith(f"; it {told}")
    assert info(path).facts["oddities"][0].startswith("pictures of another size: 256x128 from about 1.20 s on, 128x64")
    assert not [each for each in info(first).facts["oddities"] if "size" in each]


def test_the_first_frame_of_a_transport_stream_is_at_zero_to_the_last_digit(tmp_path: Path) -> None:
    for begin in (0.0, 0.1, 1 / 3, 1e3 / 7):
        path = transport_stream(tmp_path / "v.ts", range(30), begin)
        assert FrameSequence(str(path), GRAY).timeline.first == 0.0


def test_a_lost_part_of_a_transport_stream_is_told_by_check_and_where_frames_are_read(tmp_path: Path) -> None:
    path = transport_stream(tmp_path / "v.ts", range(60))
    content = path.read_bytes()
    # A transport stream is packets of 188 bytes; one of the pictures, which have the number 256.
    packets = [content[at : at + 188] for at in range(0, len(content), 188)]
    of_pictures = [n for n, each in enumerate(packets) if int.from_bytes(each[1:3]) & 0x1FFF == 256]
    del packets[of_pictures[len(of_pictures) // 2]]
    path.write_bytes(b"".join(packets))
    assert any("broken packets" in each for each in info(path).facts["damage"])
    frames = FrameSequence(str(path), GRAY)
    list(frames)
    assert "a broken packet at " in str(frames.losses.summary())


def test_one_wrong_stamp_does_not_fill_weeks_with_pictures(tmp_path: Path) -> None:
    path = write(tmp_path / "v.mkv", [*(n / 25 for n in range(39)), 1e6], options={"bf": "0"})
    frames = FrameSequence(str(path), GRAY)
    assert [number(each) for each in frames] == list(range(40))
    assert frames.duration == pytest.approx(40 / 25)


def test_a_pause_of_minutes_stays_a_pause(tmp_path: Path) -> None:
    moments = [*(n / 5 for n in range(10)), *(120 + n / 5 for n in range(10))]
    frames = FrameSequence(str(write(tmp_path / "v.mp4", moments)), GRAY, 5.0)
    assert len(list(frames)) == pytest.approx(610, abs=1)
    assert frames.mended() is None


def test_the_case_of_two_recordings(shared: Path, tmp_path: Path) -> None:
    case = shared / "cases" / "01-ts-clock-restarts" / "two-recordings.ts"
    frames = FrameSequence(str(case), GRAY)
    list(frames)
    assert (frames.count, frames.timeline.fps, frames.duration) == (200, pytest.approx(25), pytest.approx(8.0))
