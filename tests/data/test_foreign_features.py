"""Features as others leave them: what lies beside them is told, and a refusal says what makes them readable."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import orjson
import pytest
from project import Run

from taltool.data.clock import FeatureClock
from taltool.data.convert import convert
from taltool.data.formats.contract import FormatOptions
from taltool.data.formats.sniffing import open_content, sniff
from taltool.data.hdf5_features import FeatureFile, FeatureWriter, VideoFeatures
from taltool.errors import DataError, UsageError
from taltool.inspection.check import check
from taltool.inspection.info import info

CLOCK = {"fps": 25.0, "stride": 8.0, "window": 16.0}
VALUES = np.arange(12, dtype=np.float32).reshape(4, 3)


def ids_and_notes(path: Path, **options: Any) -> tuple[list[str], list[str]]:
    with open_content(str(path), None, FormatOptions(clock=CLOCK, **options)) as content:
        for video_id in content.ids:  # type: ignore[union-attr]
            content.values(video_id)  # type: ignore[union-attr]
        return content.ids, content.notes  # type: ignore[union-attr]


def test_files_beside_arrays_are_told_and_hidden_ones_are_no_videos(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", VALUES)
    assert ids_and_notes(tmp_path) == (["v"], [])
    np.save(tmp_path / "._v.npy", VALUES)  # What macOS puts beside a file; as a rule it is no array.
    np.savez(tmp_path / "v.npz", VALUES)
    (tmp_path / ".DS_Store").touch()
    (tmp_path / ".checkpoints").mkdir()
    np.save(tmp_path / ".checkpoints" / "v.npy", VALUES)
    note = f"4 files that are hidden or no *.npy (the first: {tmp_path / '.DS_Store'})"
    assert ids_and_notes(tmp_path) == (["v"], [note])
    assert f"{note} left out" in check(tmp_path).oddities
    assert f"{note} left out" in info(tmp_path).facts["oddities"]


def test_what_is_left_out_of_every_folder_is_told(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
        np.save(folder / f"{folder.name}.npy", VALUES)
        (folder / "README").touch()
    done = convert(*folders, output=tmp_path / "o.h5", **CLOCK)  # type: ignore[arg-type]
    assert [each.rpartition(" ")[2] for each in done.left_out] == [f"{folder / 'README'})" for folder in folders]


def test_a_stream_that_was_shortened_is_told_by_convert(tmp_path: Path) -> None:
    for video, length in (("v", 3), ("w", 4)):
        np.save(tmp_path / f"{video}_rgb.npy", VALUES)
        np.save(tmp_path / f"{video}_flow.npy", VALUES[:length])
    done = convert(tmp_path, output=tmp_path / "o.h5", dataset="rgb,flow", **CLOCK)  # type: ignore[arg-type]
    assert done.left_out == ("the last snippet, which one of their streams lacks, of 1 videos",)


@pytest.mark.parametrize(("name", "suffix"), [("npy", ".npy"), ("npz", ".npz"), ("pt", ".pt")])
def test_folders_of_arrays_open_where_they_belong(name: str, suffix: str, tmp_path: Path) -> None:
    half = VALUES.astype(np.float16)
    with FeatureWriter(str(tmp_path / "f.h5"), streams={"rgb": (0, 2), "flow": (2, 3)}) as writer:
        for video_id, values in (("v", VALUES), ("deep/w", half)):
            clock = FeatureClock(25.0, 8.0, 16.0, duration=1.6)
            writer.write(VideoFeatures(video_id, values, clock, {}))
    done = convert(tmp_path / "f.h5", output=tmp_path / "out", target=name)
    assert [each.partition(" (")[0] for each in done.lost] == ["the clocks", "the streams", "the provenance"]
    found = {}
    for video_id in ("v", "deep/w"):
        file = tmp_path / "out" / f"{video_id}{suffix}"
        if name == "pt":
            torch = pytest.importorskip("torch")
            found[video_id] = torch.load(file, weights_only=True).numpy()
            assert torch.equal(torch.load(file, weights_only=True, mmap=True), torch.from_numpy(found[video_id]))
        else:
            found[video_id] = np.load(file) if name == "npy" else np.load(file)["features"]
    for video_id, values in (("v", VALUES), ("deep/w", half)):
        np.testing.assert_array_equal(found[video_id], values)
        assert found[video_id].dtype == values.dtype
    assert sniff(str(tmp_path / "out")) == name


@pytest.mark.parametrize("video_id", ["._v", ".git/v", ".v"])
def test_an_id_of_a_hidden_file_is_not_written(video_id: str, tmp_path: Path) -> None:
    with FeatureWriter(str(tmp_path / "f.h5")) as writer:
        writer.write(VideoFeatures(video_id, VALUES, FeatureClock(25.0, 8.0, 16.0, duration=1.6), {}))
    with pytest.raises(DataError, match=f"video '{video_id}' would be a hidden file"):
        convert(tmp_path / "f.h5", output=tmp_path / "out", target="npy")
    assert not (tmp_path / "out").exists()


def test_what_stands_beside_tensors_is_left_out_by_name(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"feats": torch.from_numpy(VALUES), "fps": 25.0, "of": {"a": [1]}}, tmp_path / "v.pt")
    with pytest.raises(DataError, match=r"holds 3 arrays \(feats, fps, of\); --dataset NAME takes one"):
        ids_and_notes(tmp_path)
    notes = ["2 arrays that --dataset does not name (the first: v/fps)"]
    assert ids_and_notes(tmp_path, dataset=("feats",)) == (["v"], notes)
    with pytest.raises(DataError, match=r"v\.pt: expected numbers of shape \(T, C\)"):
        ids_and_notes(tmp_path, dataset=("fps",))
    torch.save({"fps": 25.0}, tmp_path / "v.pt")
    with pytest.raises(DataError, match="holds float, expected a tensor"):
        ids_and_notes(tmp_path)


def test_what_stands_beside_variables_of_matlab_is_left_out_by_name(tmp_path: Path) -> None:
    pytest.importorskip("scipy.io").savemat(tmp_path / "v.mat", {"feats": VALUES, "fps": 25.0, "of": "a"})
    with pytest.raises(DataError, match=r"holds 3 arrays \(feats, fps, of\); --dataset NAME takes one"):
        ids_and_notes(tmp_path)
    notes = ["2 arrays that --dataset does not name (the first: v/fps)"]
    assert ids_and_notes(tmp_path, dataset=("feats",)) == (["v"], notes)


def nested(path: Path) -> Path:
    """A group for each of five videos, with features, their frame rate and a label in it."""
    with h5py.File(path, "w") as file:
        for number in range(5):
            group = file.create_group(f"v{number}")
            group["feats"], group["fps"], group["label"] = VALUES, 25.0, "run"
    return path


def test_groups_with_numbers_beside_the_features_are_taken_by_name(tmp_path: Path) -> None:
    path = nested(tmp_path / "f.h5")
    told = rf"v0/fps': expected .* `taltool convert {path} --dataset feats -o NEW.h5` takes that off"
    with pytest.raises(DataError, match=told):
        ids_and_notes(path)
    notes = ["10 arrays that --dataset does not name (the first: v0/fps)"]
    assert ids_and_notes(path, dataset=("feats",)) == ([f"v{number}" for number in range(5)], notes)


@pytest.fixture
def ground_truth(tmp_path: Path) -> Path:
    entry = {"duration": 1.6, "annotations": [{"segment": [0.2, 1], "label": "a"}]}
    path = tmp_path / "gt.json"
    path.write_bytes(orjson.dumps({"database": {f"v{number}": entry for number in range(5)}}))
    return path


def test_train_names_what_makes_a_nested_file_readable(taltool: Run, ground_truth: Path, tmp_path: Path) -> None:
    path = nested(tmp_path / "f.h5")
    done = taltool("train", "--model", "mgnet", path, ground_truth)
    assert done.returncode == 3
    assert f"`taltool convert {path} --dataset feats -o NEW.h5` takes that off".encode() in done.stderr


FOLDERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "npy": (lambda folder: np.save(folder / "v0.npy", VALUES), ""),
    "csv": (lambda folder: np.savetxt(folder / "v0.csv", VALUES), "--from csv-features "),
}


@pytest.mark.parametrize(("save", "said"), FOLDERS.values(), ids=FOLDERS)
def test_a_folder_of_arrays_is_converted_first(
    save: Callable[[Path], None], said: str, taltool: Run, ground_truth: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    save(folder)
    command = f"`taltool convert {folder} {said}--fps FPS --stride FRAMES --window FRAMES -o FEATURES.h5`".encode()
    done = taltool("train", "--model", "mgnet", folder, ground_truth)
    assert (done.returncode, command in done.stderr) == (3, True)
    done = taltool("extract", folder, "-o", tmp_path / "o.h5")
    assert (done.returncode, command in done.stderr) == (2, True)


def test_features_are_no_video(taltool: Run, tmp_path: Path) -> None:
    done = taltool("extract", nested(tmp_path / "f.h5"), "-o", tmp_path / "o.h5")
    assert done.returncode == 1
    assert b"failed: is HDF5, as features are, and no video" in done.stderr


def test_a_pipe_is_refused_where_a_file_is_read_twice(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="cannot come through a pipe"), FeatureFile(str(tmp_path / "pipe")):
        pass
    for read in (check, info):
        with pytest.raises(UsageError, match=r"pipe: a pipe, where a file is expected"):
            read(tmp_path / "pipe")
    with pytest.raises(UsageError, match=r"pipe: a pipe, where a file is expected"):
        convert(tmp_path / "pipe", output=tmp_path / "o.h5")


def test_numbers_that_are_broken_name_their_video(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((200, 64))
    path = tmp_path / "f.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("v", data=values, compression="gzip")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 500] = b"\xee" * 500
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"f\.h5: video 'v' cannot be read \(.*filter.*\); copy or extract it again"):
        convert(path, output=tmp_path / "o.h5", **CLOCK)  # type: ignore[arg-type]
    assert not (tmp_path / "o.h5").exists()
    with pytest.raises(DataError, match=r"f\.h5: video 'v' cannot be read"):
        convert(path, output=tmp_path / "o.h5", channels_first=True, **CLOCK)  # type: ignore[arg-type]
