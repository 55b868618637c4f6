"""Frame stores are feature files of pictures: read in slices, joined, referred to, shown and checked like these."""

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from taltool.data.clock import FeatureClock
from taltool.data.convert import convert
from taltool.data.hdf5_features import ClockOptions, FeatureFile, FeatureWriter, VideoFeatures
from taltool.data.memory_features import MemoryFeatures
from taltool.data.stored_frames import store_frames
from taltool.errors import DataError, UsageError
from taltool.inspection.check import check
from taltool.inspection.info import info

CLOCK = FeatureClock(fps=10.0, stride=1.0, window=1.0, offset=0.0, duration=4.0)
STREAMS = {"rgb": (0, 3), "flow": (3, 5)}
FRAMES = np.random.default_rng(0).integers(0, 256, (40, 12, 16, 5), np.uint8)


def store(path: Path, *ids: str, settings: str = "{}") -> Path:
    with FeatureWriter(str(path), {"backbone": "frames", "settings": settings}, STREAMS) as writer:
        for number, video_id in enumerate(ids):
            writer.write(VideoFeatures(video_id, FRAMES[number:], CLOCK, {"num_frames": 40 - number}))
    return path


def test_a_slice_of_some_channels_is_read_as_it_was_written(tmp_path: Path) -> None:
    with FeatureFile(str(store(tmp_path / "f.h5", "v", "a/b"))) as file:
        assert file.ids == ["a/b", "v"]
        assert (file.shape("v"), file.frame_size("v"), file.dtype("v")) == ((40, 5), (12, 16), np.uint8)
        assert file.clock("v") == CLOCK
        for channels in (None, np.array([0, 1, 2]), np.array([3, 4])):
            read = file.read("v", 3, 9, channels)
            assert read.dtype == np.uint8
            np.testing.assert_array_equal(read, FRAMES[3:9] if channels is None else FRAMES[3:9][..., channels])
        np.testing.assert_array_equal(file.read("a/b", 30), FRAMES[31:])


def test_features_have_no_size_of_frames(tmp_path: Path) -> None:
    path = str(tmp_path / "f.h5")
    with FeatureWriter(path) as writer:
        writer.write(VideoFeatures("v", np.ones((3, 2), np.uint8), CLOCK, {}))
    with FeatureFile(path) as file:
        assert file.frame_size("v") is None
        assert file.read("v").dtype == np.float32


def test_frames_that_lie_in_a_file_are_written_in_pieces_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = store(tmp_path / "a.h5", "v").read_bytes()
    stored = store_frames(tmp_path / "frames", iter(FRAMES))
    monkeypatch.setattr("taltool.data.stored_frames._PIECE", 7 * FRAMES[0].nbytes)
    most = 0
    read = type(stored).__getitem__

    def reading(self: Any, which: slice) -> Any:
        nonlocal most
        piece = read(self, which)
        most = max(most, len(piece))
        return piece

    monkeypatch.setattr(type(stored), "__getitem__", reading)
    with FeatureWriter(str(tmp_path / "b.h5"), {"backbone": "frames", "settings": "{}"}, STREAMS) as writer:
        writer.write(VideoFeatures("v", stored, CLOCK, {"num_frames": 40}))
    assert most == 7
    assert (tmp_path / "b.h5").read_bytes() == expected


def test_a_store_of_another_layout_is_read_with_the_clock_that_is_given(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "theirs.h5", "w") as file:
        file.create_dataset("v", data=FRAMES[..., :3], chunks=(4, 12, 16, 3), compression="lzf")
    with FeatureFile(str(tmp_path / "theirs.h5"), ClockOptions(fps=10, stride=1, window=1)) as features:
        assert features.frame_size("v") == (12, 16)
        assert features.clock("v").duration == pytest.approx(4)
        np.testing.assert_array_equal(features.read("v", 2, 7), FRAMES[2:7, ..., :3])


@pytest.mark.parametrize(("values", "found"), [(FRAMES[0], "uint8"), (FRAMES.astype(np.float32), "float32")])
def test_what_is_neither_features_nor_frames_is_refused(tmp_path: Path, values: Any, found: str) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["v"] = values
    said = rf"or uint8 of shape \(T, H, W, C\) for frames, found {found}"
    with FeatureFile(str(tmp_path / "f.h5")) as features, pytest.raises(DataError, match=said):
        features.shape("v")


def test_frames_of_a_video_in_use_are_read_as_those_of_a_file_and_go_with_it(tmp_path: Path) -> None:
    features = MemoryFeatures(["v", "w"], STREAMS, "videos", of_frames=True)
    with features, FeatureFile(str(store(tmp_path / "f.h5", "v"))) as file:
        folder = features.folder
        assert folder is not None
        for name in ("v", "w"):
            features.add(VideoFeatures(name, store_frames(folder / name, iter(FRAMES)), CLOCK, {}))
        assert (features.shape("v"), features.frame_size("v")) == (file.shape("v"), file.frame_size("v"))
        assert features.clock("v") == file.clock("v")
        for channels in (None, np.array([3, 4])):
            np.testing.assert_array_equal(features.read("v", 5, 9, channels), file.read("v", 5, 9, channels))
        assert features.read("v", 5, 9).dtype == np.uint8
        features.remove("v")
        assert [each.name for each in folder.iterdir()] == ["w"]
    assert not folder.exists()


def test_features_in_memory_need_no_folder() -> None:
    with MemoryFeatures(["v"], {"x": (0, 2)}, "videos") as features:
        features.add(VideoFeatures("v", np.arange(6, dtype=np.float16).reshape(3, 2), CLOCK, {}))
        assert (features.folder, features.frame_size("v")) == (None, None)
        assert features.read("v", channels=np.array([1])).tolist() == [[1], [3], [5]]
        assert features.read("v").dtype == np.float32
        features.remove("v")


def test_stores_are_joined_and_referred_to(tmp_path: Path) -> None:
    parts = [store(tmp_path / "1.h5", "a"), store(tmp_path / "2.h5", "c/d")]
    convert(*parts, output=tmp_path / "copy.h5", provenance=False)
    convert(*parts, output=tmp_path / "link.h5", link=True, provenance=False)
    for name in ("copy.h5", "link.h5"):
        with FeatureFile(str(tmp_path / name)) as file:
            assert (file.ids, file.streams) == (["a", "c/d"], STREAMS)
            for video_id in file.ids:
                np.testing.assert_array_equal(file.read(video_id, 7, 12), FRAMES[7:12])
                assert (file.clock(video_id), file.dtype(video_id)) == (CLOCK, np.uint8)
    assert (tmp_path / "link.h5").stat().st_size < FRAMES.nbytes < (tmp_path / "copy.h5").stat().st_size


def test_frames_and_features_are_not_joined(tmp_path: Path) -> None:
    frames, features = store(tmp_path / "1.h5", "a"), tmp_path / "2.h5"
    with FeatureWriter(str(features), {"backbone": "frames", "settings": "{}"}, STREAMS) as writer:
        writer.write(VideoFeatures("b", np.ones((3, 5), np.float32), CLOCK, {}))
    with pytest.raises(DataError, match=r"2\.h5: content is features, in .*1\.h5 it is frames; only files of one"):
        convert(frames, features, output=tmp_path / "all.h5")
    with pytest.raises(DataError, match=r"3\.h5: x is 1, in .*1\.h5 it is None"):
        convert(frames, store(tmp_path / "3.h5", "b", settings='{"x": 1}'), output=tmp_path / "all.h5")


def test_a_format_of_features_refuses_frames_and_says_what_to_do(tmp_path: Path) -> None:
    path = store(tmp_path / "f.h5", "a")
    with pytest.raises(UsageError, match=r"--to npy: it holds features, the input holds frames, .*taltool extract"):
        convert(path, output=tmp_path / "arrays", target="npy")
    assert [each.name for each in tmp_path.iterdir()] == ["f.h5"]


def test_a_store_is_shown_by_the_words_for_frames(tmp_path: Path) -> None:
    found = info(store(tmp_path / "f.h5", "a", "b"))
    assert found.kind == "frame store"
    facts = found.facts
    assert (facts["videos"], facts["frames"], facts["channels"]) == (2, 79, [5])
    assert facts["size"] == {"12x16": "2 videos"}
    assert facts["streams"] == STREAMS
    assert facts["megabytes"] == pytest.approx(79 * 12 * 16 * 5 / 1e6)
    assert facts["clock"] == {str(CLOCK): "2 videos"}
    assert not [name for name in facts if "snippet" in name]


def test_a_store_is_checked_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = store(tmp_path / "f.h5", "a", "b")
    monkeypatch.setattr("taltool.data.hdf5_features._BLOCK", 9 * FRAMES[0].size)
    slices, read = [], h5py.Dataset.__getitem__

    def reading(self: Any, which: Any, **others: Any) -> Any:
        slices.append(which)
        return read(self, which, **others)

    monkeypatch.setattr(h5py.Dataset, "__getitem__", reading)
    finding = check(path)
    assert (finding.is_whole, finding.summary, finding.oddities) == (True, "frame store, 2 videos", ())
    assert slices == [slice(first, first + 9) for first in (0, 9, 18, 27, 36)] * 2
    path.write_bytes(path.read_bytes()[:-1000])
    assert not check(path).is_whole


@pytest.mark.parametrize(
    ("name", "said", "found"),
    [
        ("streams", "garbage", "its attribute 'streams' is not JSON"),
        ("streams", '{"rgb": 3}', "its streams are {'rgb': 3}; expected"),
        ("streams", "[1]", r"its streams are \[1\]; expected"),
        ("streams", '{"rgb": [3, 0]}', "expected"),
        ("streams", '{"rgb": [0, 3], "flow": [3, 9]}', "video 'v' has 5 channels, and its streams name 9"),
        ("provenance", "garbage", "its attribute 'provenance' is not JSON"),
        ("provenance", '{"a": 1}', "its provenance is no list of steps"),
    ],
)
def test_attributes_that_say_nonsense_are_found(tmp_path: Path, name: str, said: str, found: str) -> None:
    path = store(tmp_path / "f.h5", "v")
    with h5py.File(path, "r+") as file:
        file.attrs[name] = said
    finding = check(path)
    assert (finding.is_whole, re.search(found, finding.summary) is not None) == (False, True), finding.summary


@pytest.mark.parametrize("others", [FRAMES[..., :4], FRAMES[:, :8], np.ones((40, 5), np.float32)])
def test_a_video_that_is_unlike_the_others_is_found(tmp_path: Path, others: Any) -> None:
    path = store(tmp_path / "f.h5", "v")
    with h5py.File(path, "r+") as file:
        file.attrs["streams"] = '{"rgb": [0, 3]}'
        file.create_dataset("w", data=others).attrs.update(dict(file["v"].attrs))
    finding = check(path)
    assert (finding.is_whole, "video 'w' is of another kind, size or number" in finding.summary) == (False, True)


def test_a_video_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "f.h5"
    with h5py.File(path, "w") as file:
        made = file.create_dataset("v", data=FRAMES, chunks=FRAMES.shape, compression="gzip")
        made.attrs.update({"fps": 10.0, "stride": 1.0, "window": 1.0, "offset": 0.0, "duration": 4.0})
        place = made.id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[place + 100 : place + 200] = bytes(100)
    path.write_bytes(content)
    finding = check(path)
    assert (finding.is_whole, "video 'v' cannot be read" in finding.summary) == (False, True), finding.summary


def test_channels_that_are_named_and_not_there_are_not_read(tmp_path: Path) -> None:
    with (
        FeatureFile(str(store(tmp_path / "f.h5", "v"))) as file,
        pytest.raises(DataError, match="video 'v' has 5 channels, fewer than its file's streams name"),
    ):
        file.read("v", 0, 1, np.array([3, 5]))
