"""`taltool check`: what is not whole is refused with its reason, what is only odd is warned of."""

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from project import Run
from safetensors.numpy import save_file

from taltool.data.checkpoint_header import CheckpointHeader
from taltool.data.clock import FeatureClock
from taltool.data.hdf5_features import FeatureWriter, VideoFeatures
from taltool.inspection.check import check
from taltool.reporting import Reporter

HEADER = '{"taltool":{"kind":"proposals","version":1}}\n'
VIDEO = '{"video_id":"v","duration":9,"proposals":[{"segment":[1,2],"score":1}]}\n'
END = '{"end":{"videos":1}}\n'


def text(content: str, name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_text(content)
        return folder / name

    return make


def features(folder: Path) -> Path:
    with FeatureWriter(str(folder / "f.h5")) as writer:
        writer.write(VideoFeatures("v", np.zeros((4, 2), np.float32), FeatureClock(10, 5, 5, duration=2.0), {}))
    return folder / "f.h5"


def changed(change: Callable[[h5py.File], None]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = features(folder)
        with h5py.File(path, "a") as file:
            change(file)
        return path

    return make


def uncompleted(file: h5py.File) -> None:
    del file["v"].attrs["complete"]


def not_finite(file: h5py.File) -> None:
    file["v"][2, 1] = np.nan


def shortened(file: h5py.File) -> None:
    file["v"].attrs["duration"] = 0.5


def timeless(file: h5py.File) -> None:
    file["v"].attrs["offset"] = np.nan


def emptied(file: h5py.File) -> None:
    del file["v"]


def checkpoint(value: float, **training: object) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        header = CheckpointHeader("afsd", {}, ["a"], 2, 4, {}, {}, training)
        save_file({"a": np.array([1, value], np.float32)}, folder / "m.safetensors", metadata=header.metadata())
        return folder / "m.safetensors"

    return make


def cut(make: Callable[[Path], Path], size: int) -> Callable[[Path], Path]:
    def made(folder: Path) -> Path:
        path = make(folder)
        path.write_bytes(path.read_bytes()[:size])
        return path

    return made


def ground_truth(annotations: str, more: str = "") -> Callable[[Path], Path]:
    return text(f'{{"database":{{"v":{{"duration":9,"annotations":[{annotations}]}}{more}}}}}', "gt.json")


INSTANCE = '{"segment":[1,2],"label":"a"}'
WHOLE = [
    (text(HEADER + VIDEO + END, "p.jsonl"), "proposals, 1 videos, 1 proposals"),
    (text(VIDEO, "p.jsonl"), "proposals, 1 videos, 1 proposals; plain lines, no end line tells whether they are all"),
    (ground_truth(INSTANCE), "annotations, 1 videos, 1 instances, 1 classes"),
    (features, "features, 1 videos"),
    (checkpoint(2.0), "checkpoint, model afsd, 1 tensors"),
    (text('{"epoch":1,"losses":{}}\n', "m.jsonl"), "metrics, 1 epochs"),
]
BROKEN = [
    (text(HEADER + VIDEO, "p.jsonl"), "no end line after 1 videos"),
    (text(HEADER + VIDEO + END.replace("1", "2"), "p.jsonl"), ":3: the end line says 2 videos, 1 came before"),
    (text(HEADER + VIDEO + VIDEO + END, "p.jsonl"), ":3: video 'v' comes a second time"),
    (ground_truth(INSTANCE, ',"v":{"duration":1}'), "'v' is there twice in one object"),
    (cut(ground_truth(INSTANCE), 60), ":1: not JSON"),
    (changed(uncompleted), "video 'v' is not complete"),
    (changed(not_finite), "video 'v': snippet 2, channel 1 is nan"),
    (changed(emptied), "no video in it"),
    (changed(timeless), "video 'v': offset is nan"),
    (cut(features, 1000), "not a readable HDF5 file"),
    (cut(checkpoint(2.0), -4), "bytes, but its header promises"),
    (checkpoint(float("inf")), "tensor 'a' holds values that are not finite"),
    (text('{"epoch":1}\n{"epoch":2,"lo', "m.jsonl"), ":2: not JSON"),
    (text("", "x"), "empty"),
    (text("hello\n", "x"), "looks like no known format: text that begins with 'hello'"),
]
ODD = [
    (ground_truth(f"{INSTANCE},{INSTANCE}"), "1 repeated instances (first: video 'v' [1, 2] 'a')"),
    (ground_truth('{"segment":[8,12],"label":"a"}'), "1 instances that end after their video"),
    (ground_truth('{"segment":[8,8],"label":"a"}'), "1 instances of zero length"),
    (text(HEADER + VIDEO.replace("[1,2]", "[-1,20]") + END, "p.jsonl"), "1 proposals that start before 0"),
    (
        text(HEADER + VIDEO.replace("[1,2]", "[-1,20]") + END, "p.jsonl"),
        "1 proposals that end after their video (first: video 'v' [-1, 20])",
    ),
    (changed(shortened), "in 1 of 1 videos the last snippet ends far after the end of the video"),
    (checkpoint(2.0, finished=False), "the training is not finished"),
]


class Told(Reporter):
    """Keeps what it was warned of."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


@pytest.mark.parametrize(("make", "words"), WHOLE, ids=[words for _, words in WHOLE])
def test_whole_file_is_told_in_a_few_words(make: Callable[[Path], Path], words: str, tmp_path: Path) -> None:
    found = check(str(make(tmp_path)))
    assert (found.is_whole, found.summary, found.oddities) == (True, words, ())


@pytest.mark.parametrize(("make", "reason"), BROKEN, ids=[reason for _, reason in BROKEN])
def test_file_that_is_not_whole_is_refused_with_the_reason(
    make: Callable[[Path], Path], reason: str, tmp_path: Path
) -> None:
    found = check(str(make(tmp_path)))
    assert (found.is_whole, found.oddities) == (False, ())
    assert reason in found.summary


@pytest.mark.parametrize(("make", "warning"), ODD, ids=[f"{n} {w}" for n, (_, w) in enumerate(ODD)])
def test_what_is_odd_but_usable_is_a_warning(make: Callable[[Path], Path], warning: str, tmp_path: Path) -> None:
    told = Told()
    file = str(make(tmp_path))
    found = check(file, reporter=told)
    assert found.is_whole
    assert any(warning in each for each in found.oddities)
    assert told.warnings == [f"{file}: {each}" for each in found.oddities]


def test_one_line_per_file_and_3_if_one_is_not_whole(taltool: Run, tmp_path: Path) -> None:
    good = features(tmp_path)
    bad = shutil.copy(good, tmp_path / "bad.h5")
    Path(bad).write_bytes(good.read_bytes()[:500])
    done = taltool("check", good, bad, good)
    assert done.returncode == 3
    first, second, third = done.stdout.decode().splitlines()
    assert first == third == f"{good}: ok: features, 1 videos"
    assert second.startswith(f"{bad}: not whole: not a readable HDF5 file")
    assert done.stderr.decode() == f"taltool check: error: 1 of 3 not whole: {bad}\n"
    assert taltool("check", good).returncode == 0


def test_quirks_of_the_public_ground_truth_are_counted(shared: Path) -> None:
    found = check(str(shared / "data/activitynet13_gt.json"))
    # The counts that the data set's page states.
    assert any("47 repeated instances" in each for each in found.oddities)
    assert any("12 instances of zero length" in each for each in found.oddities)
    assert repr(found).startswith(f"Finding({shared}/data/activitynet13_gt.json: ok: annotations, ")
