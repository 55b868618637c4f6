"""Feature files that lead elsewhere, promise what they do not hold, or say nonsense are refused."""

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from taltool.data.hdf5_features import FeatureFile, FeatureWriter
from taltool.errors import DataError, UsageError

CLOCK = {"fps": 25.0, "stride": 8.0, "window": 16.0, "offset": 0.0, "duration": 3.5}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """secret.bin and other.h5, outside of the folder `in`, where the hostile files lie."""
    (tmp_path / "secret.bin").write_bytes(b"root:x:0:0:secret" * 100)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["v"] = np.ones((10, 8), np.float32)
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def external(file: h5py.File, outside: Path) -> None:
    stored = [(str(outside / "secret.bin"), 0, 320)]
    file.create_dataset("v", (10, 8), np.float32, external=stored).attrs.update(CLOCK)


def virtual(file: h5py.File, outside: Path, name: str = "other.h5") -> None:
    layout = h5py.VirtualLayout((10, 8), np.float32)
    layout[:] = h5py.VirtualSource(str(outside / name), "v", (10, 8))
    file.create_virtual_dataset("v", layout).attrs.update(CLOCK)


def virtual_of_nothing(file: h5py.File, outside: Path) -> None:
    virtual(file, outside, "nowhere.h5")


def absolute_link(file: h5py.File, outside: Path) -> None:
    file["v"] = h5py.ExternalLink(str(outside / "other.h5"), "v")


def link_above(file: h5py.File, outside: Path) -> None:
    file["v"] = h5py.ExternalLink("../other.h5", "v")


def link_through_another_file(file: h5py.File, outside: Path) -> None:
    with h5py.File(outside / "in" / "between.h5", "w") as between:
        between["v"] = h5py.ExternalLink("../other.h5", "v")
    file["v"] = h5py.ExternalLink("between.h5", "v")


def link_through_a_symbolic_link(file: h5py.File, outside: Path) -> None:
    (outside / "in" / "near.h5").symlink_to(outside / "other.h5")
    file["v"] = h5py.ExternalLink("near.h5", "v")


def soft_link_through_an_external_one(file: h5py.File, outside: Path) -> None:
    file["a"] = h5py.SoftLink("/far/v")
    file["far"] = h5py.ExternalLink("../other.h5", "/")


def link_to_a_pipe(file: h5py.File, outside: Path) -> None:
    os.mkfifo(outside / "in" / "pipe")
    file["v"] = h5py.ExternalLink("pipe", "v")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (external, r"video 'v' lies in other files \(external or virtual\)"),
        (virtual, r"video 'v' lies in other files"),
        (virtual_of_nothing, r"video 'v' lies in other files"),
        (absolute_link, r"1 of its links lead to /.*/other\.h5, out of its folder"),
        (link_above, r"1 of its links lead to \.\./other\.h5, out of its folder"),
        (link_through_another_file, r"between\.h5: 1 of its links lead to \.\./other\.h5"),
        (link_through_a_symbolic_link, r"1 of its links lead to near\.h5, out of its folder"),
        (soft_link_through_an_external_one, r"1 of its links lead to \.\./other\.h5"),
        (link_to_a_pipe, r"lie in pipe, which is not a readable HDF5 file"),
    ],
)
def test_no_other_file_is_read(make: Callable[[h5py.File, Path], None], said: str, folder: Path) -> None:
    with h5py.File(folder / "f.h5", "w") as file:
        make(file, folder.parent)
    with pytest.raises(DataError, match=said), FeatureFile(str(folder / "f.h5")) as features:
        features.read("v")


def test_links_below_the_folder_are_followed_also_by_soft_links(folder: Path) -> None:
    (folder / "deeper").mkdir()
    with h5py.File(folder / "deeper" / "own.h5", "w") as file:
        file["v"] = np.full((3, 2), 7.0, np.float32)
    with h5py.File(folder / "f.h5", "w") as file:
        file["a"] = h5py.ExternalLink("deeper/own.h5", "v")
        file["b"] = h5py.SoftLink("/a")
    with FeatureFile(str(folder / "f.h5")) as features:
        assert features.ids == ["a", "b"]
        assert features.read("b").tolist() == [[7.0, 7.0]] * 3


def test_no_link_is_written_that_nobody_follows(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"other\.h5 is not in .* or below"), FeatureWriter(str(folder / "f.h5")) as it:
        it.link("v", str(folder.parent / "other.h5"))
    assert list(folder.iterdir()) == []


def test_what_was_never_written_is_not_read_as_zeros(folder: Path) -> None:
    with h5py.File(folder / "f.h5", "w") as file:
        file.create_dataset("chunked", (1000, 64), np.float32, chunks=(10, 64), compression="gzip")[:10] = 1
        file.create_dataset("huge", (10**9, 4096), np.float32, chunks=(64, 64))[0, 0] = 1
        file.create_dataset("plain", (1000, 64), np.float32)
        file.create_dataset("whole", (1000, 64), np.float32, chunks=(10, 64), compression="gzip")[:] = 0
    with FeatureFile(str(folder / "f.h5")) as features:
        written = {"chunked": "100 chunks 1", "huge": "1000000000 chunks 1", "plain": "256000 bytes 0"}
        for name, counts in written.items():
            with pytest.raises(DataError, match=f"of its {counts} were written"):
                features.read(name)
        assert features.read("whole").shape == (1000, 64)


def test_groups_in_groups_have_a_bottom(folder: Path) -> None:
    with h5py.File(folder / "f.h5", "w") as file:
        group: h5py.Group = file
        for _ in range(3000):
            group = group.create_group("g")
    with pytest.raises(DataError, match="nested more than 100 deep"), FeatureFile(str(folder / "f.h5")):
        pass


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("version", 99, "features of version 99; this taltool knows version 1"),
        ("version", np.arange(3), "features of version"),
        ("streams", np.arange(3), "attribute 'streams' is not JSON"),
        ("provenance", b"\xff", "attribute 'provenance' is not JSON"),
        ("provenance", "{}", "its provenance is no list"),
    ],
)
def test_attributes_of_a_file_that_are_no_such_thing(name: str, value: object, said: str, folder: Path) -> None:
    path = str(folder / "f.h5")
    with FeatureWriter(path):
        pass
    with h5py.File(path, "r+") as file:
        file.attrs[name] = value
    with pytest.raises(DataError, match=said), FeatureFile(path) as features:
        assert (features.streams, features.provenance) is None


@pytest.mark.parametrize("value", ["no", 0, np.arange(2)])
def test_a_video_is_complete_only_where_it_says_so(value: object, folder: Path) -> None:
    path = str(folder / "f.h5")
    with FeatureWriter(path):
        pass
    with h5py.File(path, "r+") as file:
        file["v"] = np.ones((10, 8), np.float32)
        file["v"].attrs.update(CLOCK | {"complete": value})
    with FeatureFile(path) as features, pytest.raises(DataError, match="not complete"):
        features.read("v")


def test_a_foreign_file_may_use_our_names_for_other_things(folder: Path) -> None:
    path = str(folder / "f.h5")
    with h5py.File(path, "w") as file:
        file.attrs["format"] = np.arange(4)
        file["v"] = np.ones((10, 8), np.float32)
        file["v"].attrs["stride"] = np.arange(5)
    with FeatureFile(path) as features:
        assert features.is_foreign
        with pytest.raises(DataError, match="stride is array"):
            features.clock("v")
