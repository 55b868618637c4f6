"""A video, where another file is expected, is called one, and what reads it is said; likewise addresses and devices."""

import os
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from project import Run
from video.numbered_videos import write

from taltool.data.annotations import read_ground_truth, read_id_list, read_split
from taltool.data.checkpoint_header import read_checkpoint_header
from taltool.data.class_lists import read_classes
from taltool.data.class_scores import read_class_scores
from taltool.data.convert import convert
from taltool.data.formats.sniffing import open_content
from taltool.data.hdf5_features import FeatureFile
from taltool.data.proposals import ProposalReader
from taltool.data.sidecars import read_durations, read_relabelling
from taltool.data.training_log import read_epochs, read_training_log
from taltool.errors import DataError, UsageError
from taltool.evaluation.plot import plot
from taltool.experiment.checkpoint import find_checkpoint, load_pretrained, read_tensors, read_weights
from taltool.experiment.configuration import read_config
from taltool.training.cross_validation import read_folds
from taltool.video.sources import find


def opened(kind: Any, path: str) -> None:
    with kind(path):
        pass


READERS: dict[str, Callable[[str], Any]] = {
    "ground truth": read_ground_truth,
    "split": lambda path: read_split(f"{path}:a"),
    "ids": read_id_list,
    "proposals": partial(opened, ProposalReader),
    "features": partial(opened, FeatureFile),
    "class scores": read_class_scores,
    "durations": read_durations,
    "classes": read_classes,
    "relabelling": read_relabelling,
    "log": read_training_log,
    "epochs": read_epochs,
    "any format": partial(opened, open_content),
    "checkpoint": lambda path: read_checkpoint_header(find_checkpoint(path)),
    "weights": read_weights,
    "foreign weights": read_tensors,
    "first weights": lambda path: load_pretrained(None, path),  # type: ignore[arg-type] (it is not come to)
    "settings": read_config,
    "folds": lambda path: read_folds(path, "gt.json"),
    "figure": plot,
} | {f"format {name}": partial(convert, source=name) for name in ("csv", "hdf5", "jsonl", "npy", "actionformer")}
# Those that take a folder, too, look for their files in it.
OF_FILES = [name for name in READERS if name not in ("format npy", "format csv", "format hdf5", "format jsonl")]


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for name in ("m.mp4", "n.mkv"):
        write(folder / name, [Fraction(n, 25) for n in range(5)])
    return folder


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(("video", "container"), [("m.mp4", "MP4"), ("n.mkv", "Matroska")])
def test_a_video_is_called_one(videos: Path, name: str, video: str, container: str) -> None:
    with pytest.raises(
        DataError, match=rf"/{video}: a video \({container}\); `taltool predict --model MODEL /\S*/{video}`"
    ):
        READERS[name](str(videos / video))


@pytest.mark.parametrize("name", OF_FILES)
def test_a_folder_of_videos_is_counted(videos: Path, name: str) -> None:
    with pytest.raises(DataError, match=r": a folder with 2 videos; `taltool predict --model MODEL /\S*videos"):
        READERS[name](str(videos))


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("address", ["https://a.org/m.mp4", "rtsp://cam:554/1", "/dev/video0"])
def test_addresses_and_devices_are_refused_by_name(name: str, address: str) -> None:
    with pytest.raises(UsageError, match=rf"^{address}: .*not read yet: "):
        READERS[name](address)


def test_a_file_in_a_folder_like_an_address_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("http:/a").mkdir(parents=True)
    Path("http:/a/list.txt").write_text("v1\n")
    assert read_id_list("http://a/list.txt")[0] == ["v1"]


@pytest.mark.parametrize("words", [("nms",), ("evaluate", "gt.json"), ("convert", "-o", "x.csv"), ("info",)])
def test_bytes_of_a_video_on_standard_input_are_recognised_and_not_printed(
    videos: Path, taltool: Run, words: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "gt.json").write_text(
        '{"database": {"v": {"duration": 5, "annotations": [{"segment": [1, 2], "label": "a"}]}}}'
    )
    done = taltool(*words, stdin=(videos / "m.mp4").read_bytes(), cwd=tmp_path)
    said = done.stderr.decode("ascii")
    assert (done.returncode, done.stdout) == (3, b"")
    assert "error: standard input: a video (MP4), which cannot come through a pipe" in said
    assert said.replace("\n", "").isprintable()


def test_a_video_instead_of_a_list_of_videos_is_recognised(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "list.txt").write_bytes((videos / "m.mp4").read_bytes())
    with pytest.raises(DataError, match=r"list\.txt: a video \(MP4\); "):
        find([str(tmp_path / "list.txt")])


def test_control_characters_of_names_do_not_reach_the_terminal(taltool: Run, tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\x1b[31mred.jsonl"
    Path(os.fsdecode(name)).write_bytes(b"{}")
    said = taltool("nms", os.fsdecode(name)).stderr
    assert b"\x1b" not in said
    assert rb"\x1b[31mred.jsonl" in said
