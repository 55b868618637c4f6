"""Arrays of others become features: by their names, the order of their axes, and nothing that was guessed."""

import pickle
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from project import Run

from taltool.data.convert import convert
from taltool.data.feature_checks import told_by_names
from taltool.data.formats.contract import Features, FormatOptions
from taltool.data.formats.sniffing import open_content, sniff
from taltool.data.hdf5_features import FeatureFile
from taltool.errors import DataError, UsageError

CLOCK = {"fps": 25.0, "stride": 8.0, "window": 16.0}
VALUES = np.arange(12, dtype=np.float32).reshape(4, 3)
OTHER = VALUES + 100


def read(path: Path, name: str | None = None, **options: Any) -> dict[str, Any]:
    """The values of every video; streams, notes and hints under `streams`, `notes`, `hints`."""
    with open_content(str(path), name, FormatOptions(clock=CLOCK, **options)) as content:
        assert isinstance(content, Features)
        found: dict[str, Any] = {video_id: content.values(video_id) for video_id in content.ids}
        for video_id in content.ids:
            assert content.shape(video_id) == found[video_id].shape
            assert str(content.clock(video_id)) == "fps 25, stride 8, window 16, offset 0"
        return found | {"streams": content.streams, "notes": content.notes, "hints": content.hints}


def saved(folder: Path, **arrays: np.ndarray[Any, Any]) -> Path:
    for name, array in arrays.items():
        file = folder / f"{name}.npy"
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, array)
    return folder


# Containers of one array each, by what writes them: v.SUFFIX holds `arrays`.
def write_npz(file: Path, arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    np.savez(file, **arrays)


def write_hdf5(file: Path, arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    with h5py.File(file, "w") as opened:
        for name, array in arrays.items():
            opened[name] = array


def write_mat(file: Path, arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    pytest.importorskip("scipy.io").savemat(file, arrays)


def write_torch(file: Path, arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    torch = pytest.importorskip("torch")
    torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, file)


Writer = Callable[[Path, dict[str, np.ndarray[Any, Any]]], None]
CONTAINERS: list[tuple[str, str, Writer]] = [
    ("npz", ".npz", write_npz),
    ("hdf5-folder", ".h5", write_hdf5),
    ("mat", ".mat", write_mat),
    ("pt", ".pt", write_torch),
    ("pt", ".pth", write_torch),
]


@pytest.mark.parametrize(("name", "suffix", "write"), CONTAINERS)
def test_a_container_with_one_array_is_a_video(name: str, suffix: str, write: Writer, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    write(tmp_path / f"v_1{suffix}", {"feature": VALUES})
    write(tmp_path / "deep" / f"w{suffix}", {"other": OTHER.astype(np.float64)})
    assert sniff(str(tmp_path)) == name
    found = read(tmp_path)
    np.testing.assert_array_equal(found["v_1"], VALUES)
    np.testing.assert_array_equal(found["deep/w"], OTHER)
    assert found["deep/w"].dtype == np.float32


@pytest.mark.parametrize(("name", "suffix", "write"), CONTAINERS)
def test_of_several_arrays_one_is_named_or_some_are_streams(
    name: str, suffix: str, write: Writer, tmp_path: Path
) -> None:
    write(tmp_path / f"v{suffix}", {"rgb": VALUES, "flow": OTHER, "labels": np.ones((2, 2))})
    with pytest.raises(DataError, match=r"holds 3 arrays \(.*\); --dataset NAME takes one of them"):
        read(tmp_path)
    found = read(tmp_path, dataset=("flow",))
    np.testing.assert_array_equal(found["v"], OTHER)
    assert [each.partition(" (")[0] for each in found["notes"]] == ["2 arrays that --dataset does not name"]
    found = read(tmp_path, dataset=("flow", "rgb"))
    np.testing.assert_array_equal(found["v"], np.hstack([OTHER, VALUES]))
    assert found["streams"] == {"flow": (0, 3), "rgb": (3, 6)}


@pytest.mark.parametrize(("name", "suffix", "write"), CONTAINERS)
def test_a_container_that_is_broken_is_refused_by_name(name: str, suffix: str, write: Writer, tmp_path: Path) -> None:
    write(tmp_path / f"v{suffix}", {"a": np.ones((500, 3))})
    whole = (tmp_path / f"v{suffix}").read_bytes()
    for broken in (b"", b"hello", whole[: len(whole) // 2]):
        (tmp_path / f"v{suffix}").write_bytes(broken)
        with pytest.raises(DataError, match=rf"v\{suffix}"):
            read(tmp_path)


NAMES = {
    "words": ("v_1_rgb", "v_1_flow"),
    "hyphens": ("v_1-rgb", "v_1-flow"),
    "folders": ("rgb/v_1", "flow/v_1"),
    "folders below": ("v_1/rgb", "v_1/flow"),
}


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_streams_in_files_of_their_own_are_joined(names: tuple[str, str], tmp_path: Path) -> None:
    saved(tmp_path, **dict(zip(names, (VALUES, OTHER), strict=True)))
    hints = read(tmp_path)["hints"]
    assert len(hints) == 1
    assert f"`taltool convert {tmp_path} --dataset flow,rgb -o NEW.h5` makes streams of one video" in hints[0]
    found = read(tmp_path, dataset=("rgb", "flow"))
    np.testing.assert_array_equal(found["v_1"], np.hstack([VALUES, OTHER]))
    assert (found["streams"], found["notes"], found["hints"]) == ({"rgb": (0, 3), "flow": (3, 6)}, [], [])


def test_a_missing_stream_is_told(tmp_path: Path) -> None:
    saved(tmp_path, v_rgb=VALUES, v_flow=VALUES, w_rgb=VALUES)
    with pytest.raises(DataError, match="video 'w' has rgb, but no flow"):
        read(tmp_path, dataset=("rgb", "flow"))


def test_a_name_that_no_array_has_is_told_with_those_that_are_there(tmp_path: Path) -> None:
    saved(tmp_path, v_rgb=VALUES)
    with pytest.raises(DataError, match="no array is named c3d; there are: v_rgb"):
        read(tmp_path, dataset=("c3d",))


def test_flow_that_ends_a_snippet_earlier_is_told_and_two_are_refused(tmp_path: Path) -> None:
    saved(tmp_path, v_rgb=VALUES, v_flow=OTHER[:3])
    found = read(tmp_path, dataset=("rgb", "flow"))
    np.testing.assert_array_equal(found["v"], np.hstack([VALUES[:3], OTHER[:3]]))
    assert found["notes"] == ["the last snippet, which one of their streams lacks, of 1 videos"]
    saved(tmp_path, v_flow=OTHER[:2])
    with pytest.raises(DataError, match=r"'v' differ in their snippets: 4 in .*v_rgb.npy, 2 in .*v_flow.npy"):
        read(tmp_path, dataset=("rgb", "flow"))


def test_nested_hdf5_takes_the_id_from_the_group(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["v_1/c3d_features"] = VALUES
        file["v_2/c3d_features"] = OTHER
        file["v_2/c3d_features"].attrs["duration"] = 9.0
    found = read(tmp_path / "f.h5")
    assert [*found][:2] == ["v_1/c3d_features", "v_2/c3d_features"]
    command = f"taltool convert {tmp_path / 'f.h5'} --dataset c3d_features -o NEW.h5"
    assert found["hints"] == [f"the ids of all videos (2) end in 'c3d_features': `{command}` takes that off"]
    found = read(tmp_path / "f.h5", dataset=("c3d_features",))
    np.testing.assert_array_equal(found["v_1"], VALUES)
    with open_content(str(tmp_path / "f.h5"), None, FormatOptions(clock=CLOCK, dataset=("c3d_features",))) as content:
        assert content.clock("v_2").duration == 9.0  # type: ignore[union-attr]


def test_ids_that_only_look_nested_get_no_hint() -> None:
    assert told_by_names(["day1/cam_1", "day1/cam_2", "day2/cam_1", "day2/cam_2"], "f.h5") == []
    assert told_by_names(["v_1", "v_2", "v_3"], "f.h5") == []
    assert told_by_names(["video_test_0000001"], "f.h5") == []


SHAPES = {
    "(1, T, C)": VALUES[None],
    "(T, C, 1, 1)": VALUES[..., None, None],
    "(1, T, 1, C, 1)": VALUES[None, :, None, :, None],
}


@pytest.mark.parametrize("array", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("layout", ["npy", "hdf5"])
def test_axes_of_length_1_are_left_out(array: np.ndarray[Any, Any], layout: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "a", v=array) if layout == "npy" else tmp_path / "f.h5"
    if layout == "hdf5":
        write_hdf5(path, {"v": array})
    np.testing.assert_array_equal(read(path)["v"], VALUES)


@pytest.mark.parametrize("shape", [(1, 7), (1, 1, 7), (1, 7, 1, 1)])
def test_a_single_snippet_stays_one(shape: tuple[int, ...], tmp_path: Path) -> None:
    saved(tmp_path, v=np.arange(7.0).reshape(shape))
    np.testing.assert_array_equal(read(tmp_path)["v"], [np.arange(7.0)])


# Of a single snippet, its channels stand before the axes of length 1; in (1, C, 1, 1) before the last alone.
@pytest.mark.parametrize("shape", [(7, 1), (1, 7, 1), (7, 1, 1), (1, 7, 1, 1)])
def test_a_single_snippet_of_channels_first_stays_one(shape: tuple[int, ...], tmp_path: Path) -> None:
    saved(tmp_path, v=np.arange(7.0).reshape(shape))
    np.testing.assert_array_equal(read(tmp_path, channels_first=True)["v"], [np.arange(7.0)])


@pytest.mark.parametrize(("shape", "channels_first"), [((7, 1, 1), False), ((1, 1, 7), True), ((7, 1, 1, 1), False)])
def test_one_channel_or_one_snippet_is_not_guessed(
    shape: tuple[int, ...], channels_first: bool, tmp_path: Path
) -> None:
    saved(tmp_path, v=np.arange(7.0).reshape(shape))
    other = "without" if channels_first else "with"
    with pytest.raises(DataError, match=rf"is 7 snippets of one channel; {other} --channels-first it is one snippet"):
        read(tmp_path, channels_first=channels_first)


def test_channels_first_by_option(tmp_path: Path) -> None:
    saved(tmp_path, v=VALUES.T, w=VALUES.T[None])
    found = read(tmp_path, channels_first=True)
    np.testing.assert_array_equal(found["v"], VALUES)
    np.testing.assert_array_equal(found["w"], VALUES)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("crops", [5, 10])
def test_crops_are_averaged_by_option_alone(axis: int, crops: int, tmp_path: Path) -> None:
    each = np.stack([VALUES + n for n in range(crops)], axis)
    saved(tmp_path, v=each)
    with pytest.raises(DataError, match=rf"found float32 .*; are these {crops} crops\? --crops mean averages them"):
        read(tmp_path)
    # The mean of 0 ... n - 1 is (n - 1) / 2.
    np.testing.assert_allclose(read(tmp_path, crops="mean")["v"], VALUES + (crops - 1) / 2)


def test_which_axis_holds_the_crops_is_not_guessed(tmp_path: Path) -> None:
    saved(tmp_path, v=np.ones((10, 10, 3)), w=np.ones((7, 4, 3)))
    with pytest.raises(DataError, match=r"cannot tell which axis of \(10, 10, 3\) holds the crops"):
        read(tmp_path, crops="mean")
    (tmp_path / "v.npy").unlink()
    with pytest.raises(DataError, match=r"expected numbers of shape \(T, C\), found float64 \(7, 4, 3\)$"):
        read(tmp_path, crops="mean")


TABLES = {
    "no header": "0,1,2\n3,4,5\n6,7,8\n9,10,11\n",
    "names": "f0,f1,f2\n0,1,2\n3,4,5\n6,7,8\n9,10,11\n",
    "numbers of columns": "0,1,2\n0,1,2\n3,4,5\n6,7,8\n9,10,11\n",
    "pandas with its index": ",0,1,2\n0,0,1,2\n1,3,4,5\n2,6,7,8\n3,9,10,11\n",
    "semicolons, CR LF, byte order mark": "\ufefff0;f1;f2\r\n0;1;2\r\n3;4;5\r\n\r\n6;7;8\r\n9;10;11",
    "tabs": "0.0\t1\t2\n3\t4\t5\n6\t7\t8\n9\t10\t11\n",
    "blanks": "0.0 1e0 2\n3 4 5\n6 7 8\n9 10 11\n",
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_table_is_rows_of_numbers(table: str, tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text(table, newline="")
    expected = VALUES[1:] if table == TABLES["no header"] else VALUES
    # 0,1,2 in the first row are the numbers of the columns, as pandas writes them, which no snippet's features are.
    np.testing.assert_array_equal(read(tmp_path, "csv-features")["v"], expected)


# Three channels, of which none says where a row belongs; the column that does is left out, and told.
PLACES = {
    "frame": ("frame,f0,f1,f2\n0,0,1,2\n16,3,4,5\n32,6,7,8\n48,9,10,11\n", "frame"),
    "time stamp": ("f0;f1;Time_Stamp;f2\n0;1;.5;2\n3;4;1.1;5\n6;7;1.7;8\n9;10;2.3;11\n", "Time_Stamp"),
    "pandas, start and end": (
        ",start,end,0,1,2\n0,0,1,0,1,2\n1,1,2,3,4,5\n2,2,3,6,7,8\n3,3,4,9,10,11\n", "start, end"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("table", "names"), PLACES.values(), ids=PLACES)
def test_a_column_of_frames_or_times_is_no_channel(table: str, names: str, tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text(table)
    (tmp_path / "w.csv").write_text(table)
    found = read(tmp_path, "csv-features")
    np.testing.assert_array_equal(found["v"], VALUES)
    assert found["notes"] == [f"the columns {names}, which are no channels"]


@pytest.mark.parametrize(("header", "name"), [("n,a,b\n", "n"), ("", "1")])
def test_a_first_column_that_counts_is_refused_and_left_out_by_option(header: str, name: str, tmp_path: Path) -> None:
    # Seconds of snippets of 8 frames at 15 frames a second, in two digits: steps of 0.53 and 0.54.
    rows = [(f"{8 * n / 15:.2f}", n * n % 7, n % 3) for n in range(6)]
    (tmp_path / "v.csv").write_text(header + "".join(f"{','.join(map(str, row))}\n" for row in rows))
    with pytest.raises(DataError, match=rf"column '{name}' goes up evenly \(0, 0\.53, 1\.07, .*--columns frame={name}"):
        read(tmp_path, "csv-features")
    np.testing.assert_array_equal(
        read(tmp_path, "csv-features", columns={"time": name})["v"], [row[1:] for row in rows]
    )
    with pytest.raises(DataError, match="no column 'x'"):
        read(tmp_path, "csv-features", columns={"frame": "x"})
    with pytest.raises(UsageError, match=r"--columns video=.*frame=NAME or time=NAME"):
        read(tmp_path, "csv-features", columns={"video": name})


def test_a_channel_that_only_grows_is_one(tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text("0,5\n1,2\n2,3\n3,9\n4.1,5\n5,2\n")
    assert read(tmp_path, "csv-features")["v"].shape == (6, 2)


def test_the_first_row_is_one_of_numbers_by_option(tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text("0,1,2\n3,1,2\n")
    assert read(tmp_path, "csv-features")["v"].shape == (1, 3)
    assert read(tmp_path, "csv-features", header=False)["v"].shape == (2, 3)


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ("frame\n0\n", "no column of a channel"),
        ("1,2\n3,x\n", "v.csv:2: not a row of numbers .*x"),
        ("1,2\n\n3\n", "v.csv:3: 1 numbers, in the line above 2"),
        ("a,b\n", "a header, and no row"),
        ("", "empty"),
        ("1,nan\n2,3\n", "snippet 0, channel 1 is nan"),
    ],
)
def test_a_table_of_other_things_is_refused(table: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text(table)
    with pytest.raises(DataError, match=complaint):
        read(tmp_path, "csv-features")


def test_an_archive_that_is_called_an_array_is_called_by_its_name(tmp_path: Path) -> None:
    write_npz(tmp_path / "v.npz", {"rgb": VALUES})
    (tmp_path / "v.npz").rename(tmp_path / "v.npy")
    with pytest.raises(DataError, match=r"v\.npy: not an array but an archive of arrays; call it v\.npz"):
        read(tmp_path, "npy")


class Attack:
    """Pickled, it asks its reader to call a function."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.target,))


def test_a_pickle_that_holds_more_than_tensors_runs_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    with zipfile.ZipFile(folder / "v.pt", "w") as archive:
        archive.writestr("v/data.pkl", pickle.dumps(Attack(tmp_path / "touched")))
    with pytest.raises(DataError, match="which is no tensor"):
        read(folder)
    assert not (tmp_path / "touched").exists()


def test_tensors_of_every_number_type_and_order_of_axes_are_read(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    for kind in (torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.uint8):
        torch.save(torch.from_numpy(VALUES).to(kind), tmp_path / "v.pt")
        np.testing.assert_array_equal(read(tmp_path)["v"], VALUES)
    torch.save(torch.from_numpy(VALUES.T.copy()).T, tmp_path / "v.pt")  # Strides other than the usual.
    np.testing.assert_array_equal(read(tmp_path)["v"], VALUES)
    torch.save(torch.from_numpy(np.vstack([OTHER, VALUES]))[4:], tmp_path / "v.pt")  # A part of a larger storage.
    np.testing.assert_array_equal(read(tmp_path)["v"], VALUES)
    torch.save([torch.zeros(2, 2)], tmp_path / "v.pt")
    with pytest.raises(DataError, match="holds list, expected a tensor"):
        read(tmp_path)


def test_a_tensor_that_claims_more_than_its_numbers_is_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save(torch.zeros(4, 3), tmp_path / "whole.pt")
    with zipfile.ZipFile(tmp_path / "whole.pt") as whole, zipfile.ZipFile(tmp_path / "v.pt", "w") as archive:
        for name in whole.namelist():
            archive.writestr(name, whole.read(name)[: 8 if "/data/" in name else None])
    (tmp_path / "whole.pt").unlink()
    with pytest.raises(DataError, match="larger than its numbers"):
        read(tmp_path)


def test_own_files_need_no_names_and_folders_of_them_are_no_videos(tmp_path: Path) -> None:
    own = tmp_path / "f" / "own.h5"
    convert(saved(tmp_path / "a", v=VALUES), output=tmp_path / "own.h5", **CLOCK)
    own.parent.mkdir()
    (tmp_path / "own.h5").rename(own)
    with pytest.raises(UsageError, match="taltool wrote it"):
        read(own, dataset=("v",))
    with pytest.raises(DataError, match="give the files, not their folder"):
        read(own.parent)


def test_the_command_joins_streams_and_says_what_it_left_out(taltool: Run, tmp_path: Path) -> None:
    saved(tmp_path / "in", v_rgb=VALUES, v_flow=OTHER, v_audio=VALUES)
    done = taltool(
        "convert",
        tmp_path / "in",
        "--dataset",
        "rgb,flow",
        "--fps",
        25,
        "--stride",
        8,
        "--window",
        16,
        "-o",
        tmp_path / "o.h5",
    )
    assert done.returncode == 0
    assert b"left out 1 arrays that --dataset does not name (the first: v_audio)" in done.stderr
    with FeatureFile(str(tmp_path / "o.h5")) as file:
        assert file.ids == ["v"]
        assert file.streams == {"rgb": (0, 3), "flow": (3, 6)}
        np.testing.assert_array_equal(file.read("v"), np.hstack([VALUES, OTHER]))
        assert file.video_attributes("v")["source"] == "v_rgb.npy"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("is_packed", [False, True])
def test_matlab_lays_down_columns_first_in_either_order_of_bytes(order: str, is_packed: bool, tmp_path: Path) -> None:
    def element(code: int, content: bytes) -> bytes:
        return np.array([code, len(content)], f"{order}u4").tobytes() + content + b"\0" * (-len(content) % 8)

    numbers = np.array([1, 2, 3, 4, 5, 6], f"{order}i2").tobytes()  # Doubles that 16 bits hold.
    said = element(6, np.array([6, 0], f"{order}u4").tobytes()) + element(5, np.array([2, 3], f"{order}i4").tobytes())
    matrix = element(14, said + element(1, b"feature") + element(3, numbers))
    if is_packed:
        packed = zlib.compress(matrix)
        matrix = np.array([15, len(packed)], f"{order}u4").tobytes() + packed
    head = b"MATLAB 5.0 MAT-file".ljust(124) + np.array([0x0100, 0x4D49], f"{order}u2").tobytes()
    (tmp_path / "v.mat").write_bytes(head + matrix)
    with open_content(str(tmp_path)) as content:
        assert content.values("v").tolist() == [[1, 3, 5], [2, 4, 6]]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "empty"),
        (b"x" * 200, "not a file of MATLAB 5 to 7"),
        (b" " * 124 + b"\0\1IM" + b"\x0e\0\0\0\xff\0\0\0", "cut short"),
        (b" " * 124 + b"\0\1IM" + b"\x0f\0\0\0\x04\0\0\0abcd", "broken"),
        (b" " * 124 + b"\0\2IM", "--from hdf5-folder"),
    ],
)
def test_what_is_no_file_of_matlab_is_told_by_its_name(content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "v.mat").write_bytes(content)
    with pytest.raises(DataError, match=rf"v\.mat: {told}|v\.mat: .*{told}"), open_content(str(tmp_path)):
        pass


def test_a_header_that_python_2_wrote_is_read_without_a_warning(tmp_path: Path) -> None:
    saved(tmp_path, v=VALUES)
    content = (tmp_path / "v.npy").read_bytes()
    (tmp_path / "v.npy").write_bytes(content.replace(b"(4, 3), }  ", b"(4L, 3L), }"))
    with warnings.catch_warnings(action="error"):
        assert read(tmp_path)["v"].tolist() == VALUES.tolist()


HEADERS = [
    b"{'descr': '<f4'",
    b"{'descr': '|O', 'fortran_order': False, 'shape': (4, 3), }",
    b"(" * 3000,
    b"{1: 2}",
    b"\xff",
]


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_an_array_with_a_broken_header_is_told_by_its_file(header: bytes, suffix: str, tmp_path: Path) -> None:
    array = b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header + b"\0" * 48
    if suffix == ".npy":
        (tmp_path / "v.npy").write_bytes(array)
    else:
        with zipfile.ZipFile(tmp_path / "v.npz", "w") as archive:
            archive.writestr("feature.npy", array)
    with pytest.raises(DataError, match=rf"v\{suffix}: (not an array|its array 'feature')"):
        read(tmp_path)


def test_an_archive_that_is_packed_in_an_unknown_way_is_told_by_its_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", feature=VALUES)
    content = bytearray((tmp_path / "v.npz").read_bytes())
    content[8] = content[content.index(b"PK\1\2") + 10] = 99  # Where the two headers say how it is packed.
    (tmp_path / "v.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"v\.npz: its array 'feature' cannot be read"):
        read(tmp_path)
