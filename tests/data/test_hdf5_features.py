"""Feature files: clocks of own and foreign files, and what is refused."""

import errno
from pathlib import Path

import h5py
import numpy as np
import pytest

from taltool.data.clock import FeatureClock
from taltool.data.files import lock
from taltool.data.hdf5_features import ClockOptions, FeatureFile, FeatureWriter, VideoFeatures
from taltool.data.memory_features import MemoryFeatures
from taltool.errors import DataError, UsageError

CLOCK = FeatureClock(fps=25.0, stride=4.0, window=16.0, offset=2.0, duration=9.5)
VALUES = np.arange(12, dtype=np.float32).reshape(4, 3)


def own_file(folder: Path, *ids: str) -> str:
    path = str(folder / "own.h5")
    with FeatureWriter(path, {"backbone": "test"}, {"rgb": (0, 3)}, [{"tool": "t"}]) as writer:
        for video_id in ids:
            writer.write(VideoFeatures(video_id, VALUES, CLOCK, {"source": "x.mp4"}))
    return path


def foreign_file(folder: Path, values: object = VALUES) -> str:
    with h5py.File(folder / "foreign.h5", "w") as file:
        file["v"] = values
    return str(folder / "foreign.h5")


@pytest.mark.parametrize("video_id", ["v", "folder/v", "naïve-видео", "v_-1 (2)"])
def test_what_was_written_is_read(video_id: str, tmp_path: Path) -> None:
    with FeatureFile(own_file(tmp_path, video_id)) as file:
        assert file.ids == [video_id]
        assert (file.clock(video_id), file.streams, file.provenance) == (CLOCK, {"rgb": (0, 3)}, [{"tool": "t"}])
        assert file.read(video_id, 1, 3).tolist() == VALUES[1:3].tolist()
        assert file.read(video_id, channels=np.array([2])).tolist() == VALUES[:, [2]].tolist()


def test_frames_are_read_as_they_are(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (7, 4, 6, 5), np.uint8)
    with FeatureWriter(str(tmp_path / "frames.h5"), streams={"rgb": (0, 3), "flow": (3, 5)}) as writer:
        writer.write(VideoFeatures("v", frames, CLOCK, {}))
        writer.write(VideoFeatures("w", VALUES, CLOCK, {}))
    memory = MemoryFeatures(["v", "w"], {}, "videos")
    with FeatureFile(str(tmp_path / "frames.h5")) as file, memory:
        memory.add(VideoFeatures("v", frames, CLOCK, {}))
        memory.add(VideoFeatures("w", VALUES, CLOCK, {}))
        for source in (file, memory):
            assert source.shape("v") == (7, 5)
            assert (source.frame_size("v"), source.frame_size("w")) == ((4, 6), None)
            read = source.read("v", 2, 5, np.array([3, 4]))
            assert read.dtype == np.uint8
            assert read.tolist() == frames[2:5, :, :, 3:].tolist()


@pytest.mark.parametrize("values", [np.zeros((2, 3, 4, 5), np.float32), np.zeros((2, 3, 4), np.uint8)])
def test_what_is_neither_features_nor_frames_is_refused(tmp_path: Path, values: object) -> None:
    with (
        FeatureFile(foreign_file(tmp_path, values)) as file,
        pytest.raises(DataError, match=r"or uint8 of shape \(T, H, W, C\) for frames, found"),
    ):
        file.shape("v")


def test_foreign_file_without_clock_asks_for_it(tmp_path: Path) -> None:
    with FeatureFile(foreign_file(tmp_path)) as file, pytest.raises(DataError, match="give --fps, --stride, --window"):
        file.clock("v")


def test_given_facts_make_the_clock_of_a_foreign_file(tmp_path: Path) -> None:
    with FeatureFile(foreign_file(tmp_path), ClockOptions(fps=10, stride=4, window=16)) as file:
        # Four snippets of 16 frames every 4: 28 frames, at 10 frames/s 2.8 seconds.
        assert file.clock("v") == FeatureClock(10, 4, 16, duration=2.8)


def test_half_a_clock_names_the_missing_half(tmp_path: Path) -> None:
    with (
        FeatureFile(foreign_file(tmp_path), ClockOptions(fps=10)) as file,
        pytest.raises(DataError, match="give --stride, --window"),
    ):
        file.clock("v")


def test_durations_alone_divide_the_video_evenly(tmp_path: Path) -> None:
    with FeatureFile(foreign_file(tmp_path), durations={"v": 8.0}) as file:
        assert file.clock("v").seconds(np.arange(4) + 0.5).tolist() == [1, 3, 5, 7]


def test_given_facts_win_over_the_attributes(tmp_path: Path) -> None:
    with FeatureFile(own_file(tmp_path, "v"), ClockOptions(fps=50)) as file:
        assert file.clock("v").fps == 50


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("offset", np.nan, "offset is nan; expected a finite number"),
        ("offset", -np.inf, "offset is -inf; expected a finite number"),
        ("fps", np.inf, "fps is inf; expected a positive, finite number"),
        ("fps", 0, "fps is 0.0; expected a positive, finite number"),
        ("stride", np.nan, "stride is nan; expected a positive, finite number"),
        ("window", -1, "window is -1.0; expected a positive, finite number"),
        ("duration", np.inf, "duration is inf; expected a positive, finite number"),
        ("duration", 0, "duration is 0.0; expected a positive, finite number"),
        ("fps", "fast", "fps is 'fast'; expected a number"),
        ("fps", [25, 30], r"fps is array\(\[25, 30\]\); expected a number"),
    ],
)
def test_an_attribute_that_no_clock_can_have_is_refused(tmp_path: Path, name: str, value: object, said: str) -> None:
    path = own_file(tmp_path, "v")
    with h5py.File(path, "a") as file:
        file["v"].attrs[name] = value
    with FeatureFile(path) as features, pytest.raises(DataError, match=f"own.h5: video 'v': {said}"):
        features.clock("v")


@pytest.mark.parametrize("options", [ClockOptions(fps=0, stride=4, window=16), ClockOptions(offset=np.nan)])
def test_a_given_fact_that_no_clock_can_have_is_refused(tmp_path: Path, options: ClockOptions) -> None:
    with FeatureFile(foreign_file(tmp_path), options) as file, pytest.raises(DataError, match=r"'v': (fps|offset) is"):
        file.clock("v")


@pytest.mark.parametrize("duration", [0.0, np.nan, np.inf])
def test_a_duration_by_which_nothing_can_be_divided_is_refused(tmp_path: Path, duration: float) -> None:
    with (
        FeatureFile(foreign_file(tmp_path), durations={"v": duration}) as file,
        pytest.raises(DataError, match=f"video 'v': duration is {duration}"),
    ):
        file.clock("v")


def test_video_that_is_not_complete_is_refused(tmp_path: Path) -> None:
    path = own_file(tmp_path, "v")
    with h5py.File(path, "a") as file:
        del file["v"].attrs["complete"]
    with FeatureFile(path) as features, pytest.raises(DataError, match="video 'v' is not complete"):
        features.read("v")


def test_value_that_is_not_finite_is_named(tmp_path: Path) -> None:
    values = VALUES.copy()
    values[2, 1] = np.nan
    with (
        FeatureFile(foreign_file(tmp_path, values)) as file,
        pytest.raises(DataError, match="snippet 2, channel 1 is nan"),
    ):
        file.read("v", 1)


@pytest.mark.parametrize(("values", "complaint"), [(np.zeros(5), r"shape \(T, C\)"), (np.zeros((0, 3)), "no snippets")])
def test_dataset_of_another_shape_is_refused(values: object, complaint: str, tmp_path: Path) -> None:
    with FeatureFile(foreign_file(tmp_path, values)) as file, pytest.raises(DataError, match=complaint):
        file.read("v")


def test_missing_video_is_named(tmp_path: Path) -> None:
    with FeatureFile(own_file(tmp_path, "v")) as file, pytest.raises(DataError, match="has no video 'w'"):
        file.clock("w")


def test_features_do_not_go_through_pipes() -> None:
    with pytest.raises(UsageError, match="cannot come through a pipe"), FeatureFile("-"):
        pass
    with pytest.raises(UsageError, match="cannot go through a pipe"), FeatureWriter("-"):
        pass


@pytest.mark.parametrize("video_id", ["", "a//b", "..", "a/."])
def test_id_that_hdf5_cannot_hold_is_refused(video_id: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot name an HDF5 dataset"):
        own_file(tmp_path, video_id)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_read_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    whole = h5py.File

    def without_locks(path: str, mode: str, locking: bool | None = None) -> h5py.File:
        if locking is not False:
            raise OSError(number, "Unable to synchronously open file (unable to lock file)")
        return whole(path, mode, locking=locking)

    path = own_file(tmp_path, "v")
    monkeypatch.setattr(h5py, "File", without_locks)
    with FeatureFile(path) as file:
        assert file.read("v").tolist() == VALUES.tolist()


def test_a_file_that_another_program_writes_is_refused(tmp_path: Path) -> None:
    path = own_file(tmp_path, "v")
    with Path(path).open("rb") as handle:
        lock(handle.fileno(), wait=False)
        with pytest.raises(DataError, match="unable to lock file"), FeatureFile(path):
            pass


def test_blocks_are_a_video_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taltool.data.hdf5_features._BLOCK", 7)
    values = np.arange(33, dtype=np.float32).reshape(11, 3)
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["v"] = values
        file["broken"] = np.where(values == 25, np.nan, values)
    with FeatureFile(str(tmp_path / "f.h5")) as features:
        pieces = list(features.blocks("v"))
        assert [len(piece) for piece in pieces] == [2, 2, 2, 2, 2, 1]
        assert np.array_equal(np.concatenate(pieces), values)
        with pytest.raises(DataError, match="snippet 8, channel 1 is nan"):
            list(features.blocks("broken"))
