"""Frames in files: what was written is read, in slices; what is broken is told; no file outlives its use."""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from project import PROJECT

from taltool.data.stored_frames import StorageError, path_of, pieces, scratch_folder, store_frames
from taltool.errors import DataError

FRAMES = np.random.default_rng(0).integers(0, 256, (11, 6, 8, 5), np.uint8)


def test_what_was_written_is_read_in_slices(tmp_path: Path) -> None:
    stored = store_frames(tmp_path / "f", iter(FRAMES))
    assert (tmp_path / "f").stat().st_size == FRAMES.nbytes
    assert stored.shape == FRAMES.shape
    for which in (slice(None), slice(2, 5), slice(9, 40), slice(4, 4), slice(-2, None)):
        np.testing.assert_array_equal(stored[which], FRAMES[which])
    stored.check()
    with pytest.raises(ValueError, match="not in steps of 2"):
        stored[::2]


def test_another_process_is_given_the_name_of_the_file_and_no_frames(tmp_path: Path) -> None:
    stored = store_frames(tmp_path / "f", iter(FRAMES))
    told = pickle.dumps(stored)
    assert len(told) < 500 < FRAMES.nbytes
    np.testing.assert_array_equal(pickle.loads(told)[3:5], FRAMES[3:5])


def test_pieces_are_all_frames_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taltool.data.stored_frames._PIECE", 4 * FRAMES[0].nbytes)
    found = list(pieces(FRAMES))
    assert [len(piece) for piece in found] == [4, 4, 3]
    np.testing.assert_array_equal(np.concatenate(found), FRAMES)


@pytest.mark.parametrize("damage", ["changed", "cut", "longer"])
def test_a_file_that_is_not_what_was_written_is_told(tmp_path: Path, damage: str) -> None:
    stored = store_frames(tmp_path / "f", iter(FRAMES))
    content = bytearray(stored.path.read_bytes())
    content[100] ^= damage == "changed"
    stored.path.write_bytes({"cut": content[:-1], "longer": content + b"x"}.get(damage, content))
    with pytest.raises(DataError, match="was changed since" if damage != "cut" else "ends before frame 11 of 11"):
        stored.check()


def stopping() -> Iterator[NDArray[np.uint8]]:
    yield from FRAMES[:2]
    raise KeyError("broken")


@pytest.mark.parametrize(
    ("pictures", "error", "said"),
    [
        (stopping(), KeyError, "broken"),
        (iter([FRAMES[0], FRAMES[0, 1:]]), DataError, r"change their size from \(6, 8, 5\) to \(5, 8, 5\)"),
        (iter([]), DataError, "it has no frames"),
    ],
)
def test_nothing_is_left_of_frames_that_end_by_an_error(
    tmp_path: Path, pictures: Iterator[NDArray[np.uint8]], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        store_frames(tmp_path / "f", pictures)
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_written_is_told_with_the_folder(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=rf"{tmp_path}/gone: cannot write there: No such file.*: make room"):
        store_frames(tmp_path / "gone" / "f", iter(FRAMES))


def test_videos_of_any_name_have_a_file_of_their_own(tmp_path: Path) -> None:
    paths = {path_of(tmp_path, name, ".frames") for name in ("a", "A", "a/b", "..", "ä\udcff", "x" * 1000)}
    assert len(paths) == 6
    assert {path.parent for path in paths} == {tmp_path}


# What is started in the background of a script ignores SIGINT, and so would its children.
HOLDS = """
import signal, sys, time
from taltool.data.stored_frames import scratch_folder
signal.signal(signal.SIGINT, signal.default_int_handler)
with scratch_folder() as folder:
    (folder / "f").write_bytes(b"x")
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_files_vanish_with_the_process_that_holds_them(tmp_path: Path, number: signal.Signals) -> None:
    settings = os.environ | {"PYTHONPATH": str(PROJECT), "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS], env=settings, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    assert (folder.parent, [each.name for each in folder.iterdir()]) == (tmp_path, ["f"])
    process.send_signal(number)
    assert process.wait() == -number
    process.stdout.close()
    assert list(tmp_path.iterdir()) == []


def test_a_signal_that_somebody_cares_for_is_left_to_them() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with scratch_folder() as folder:
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        assert not folder.exists()
    finally:
        signal.signal(signal.SIGTERM, before)
    with scratch_folder():
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
