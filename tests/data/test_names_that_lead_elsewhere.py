"""No id, class or fold that comes out of a file makes a file elsewhere than in the folder that was named."""

import contextlib
import json
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import h5py
import numpy as np
import pytest

from taltool.cli.main import main
from taltool.data.clock import FeatureClock
from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Annotations, Features, FormatOptions, Proposals
from taltool.data.formats.output import write_proposals
from taltool.data.formats.sniffing import format_named, usable_formats
from taltool.data.records import LabelVocabulary, VideoProposals
from taltool.errors import TaltoolError

CLOCK = FeatureClock(25.0, 8.0, 16.0, duration=9.5)
# ELSEWHERE is replaced by the path of a folder that exists.
NAMES = [
    *("../x", "../../x", "../../../../x", "a/../../x", "..", ".", "", "/", "ELSEWHERE/x", "//ELSEWHERE/x"),
    *("a\0b", "../x\0.srt", "a\nb", "../a\nb", "C:\\x", "C:/x", "..\\x", "~/x", "$HOME/x", "-rf", "x" * 300, "é" * 130),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder deep in another one; whatever a test makes must lie in its folder `out`."""
    (tmp_path / "a" / "b" / "here").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "a" / "b" / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "elsewhere"))
    before = everything(tmp_path)
    yield tmp_path / "a" / "b" / "here"
    inside = f"{tmp_path}/a/b/here/out"
    assert {path for path in everything(tmp_path) if path != inside and not path.startswith(f"{inside}/")} == before


def everything(below: Path) -> set[str]:
    return {str(path) for path in below.rglob("*")}


def proposals(name: str) -> Proposals:
    labels = LabelVocabulary([name])
    found = VideoProposals(name, np.array([[0.5, 1.5]]), np.array([0.9]), np.array([0]), labels, 9.5)
    return Proposals([found], labels, 1)


def annotations(name: str) -> Annotations:
    entry = {"duration": 9.5, "subset": name, "annotations": [{"segment": [0.5, 1.5], "label": name}]}
    return Annotations([(name, entry)])


def features(name: str) -> Features:
    values = np.ones((3, 4), np.float32)
    return Features([name], lambda _: (3, 4), lambda _: CLOCK, lambda _: values, lambda _: {}, {})


MAKERS: dict[str, Callable[[str], Proposals | Annotations | Features]] = {
    "proposals": proposals,
    "annotations": annotations,
    "features": features,
}
USABLE = {n: each for n, each in usable_formats()[0].items() if not each.requires or find_spec(each.requires)}
WRITTEN = [(name, kind) for name, each in USABLE.items() if each.is_written for kind in each.kinds]


@pytest.mark.parametrize(("layout", "kind"), WRITTEN)
def test_every_format_writes_into_its_folder_alone(layout: str, kind: str, folder: Path) -> None:
    Path("out").mkdir()
    written = 0
    for number, name in enumerate(NAMES):
        name = name.replace("ELSEWHERE", str(folder.parents[2] / "elsewhere"))
        content, options = MAKERS[kind](name), FormatOptions(clock={"fps": 25.0}, classes={name: 0})
        # What the system says of a name (too long) becomes a line like any other.
        with contextlib.suppress(TaltoolError, OSError):
            if isinstance(content, Features) or FORMATS.load(layout).is_folder:
                format_named(layout).write(content, f"out/{number}", options)
            else:
                write_proposals(content, "out/", layout, options)
            written += 1
    assert written


@pytest.mark.parametrize("command", ["nms found.jsonl", "convert found.jsonl", "fuse found.jsonl found.jsonl"])
def test_commands_write_one_file_a_video_into_the_folder(command: str, folder: Path) -> None:
    for name in ("../../x", "ELSEWHERE/x", "../x\0.srt", "x" * 300):
        id_ = name.replace("ELSEWHERE", str(folder.parents[2] / "elsewhere"))
        line = {"video_id": id_, "duration": 9.5, "segments": [[0.5, 1.5]], "scores": [0.5]}
        (folder / "found.jsonl").write_text(json.dumps(line))
        assert main([*command.split(), "-o", "out/", "--to", "srt"]) in (0, 3), name
        (folder / "found.jsonl").unlink()


def test_ids_of_hdf5_become_files_in_the_folder(folder: Path) -> None:
    for name in ("../../x", "..", "a/../../x", "C:\\x", "a\nb", "x" * 300):
        with h5py.File("f.h5", "w") as file:
            file[name] = np.ones((3, 4), np.float32)
        words = ["convert", "f.h5", "-o", "out", "--to", "npy", "--fps", "25", "--stride", "8", "--window", "16"]
        assert main(words) in (0, 3), name
        Path("f.h5").unlink()
