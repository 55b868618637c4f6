"""Frames of videos that `predict` is given lie in files for as long as they are used, and never in memory or a pipe."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from extraction.short_videos import write_video
from numpy.typing import NDArray
from project import PROJECT

from taltool.data.hdf5_features import FeatureFile, VideoFeatures
from taltool.data.memory_features import MemoryFeatures
from taltool.data.records import VideoProposals
from taltool.data.stored_frames import StoredFrames
from taltool.extraction.extract import extract
from taltool.prediction.compatibility import check_extraction
from taltool.prediction.detector import VideoFailure
from taltool.prediction.video_input import VideoInput
from taltool.reporting import SILENT

LENGTHS = {"a": 40, "b/c": 20, "b/d": 60, "e": 30}
SMALL = ("backbone.height=32", "backbone.width=48")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos, and their frames in both streams."""
    folder = tmp_path_factory.mktemp("videos")
    for seed, (video_id, length) in enumerate(LENGTHS.items()):
        write_video(folder / "videos" / f"{video_id}.mp4", length, seed)
    extract(folder / "videos", output=folder / "f.h5", backbone="frames", set_=SMALL, stream="both", flow="dis", jobs=1)
    return folder


def checkpoint(frames: Path, *streams: str) -> Any:
    """What is asked of the checkpoint of a model that learnt from some streams of these frames."""
    with FeatureFile(str(frames)) as file:
        header = SimpleNamespace(extraction=file.extraction, clock={})
    sampling = SimpleNamespace(streams=streams, is_resampled=False)
    return SimpleNamespace(path="m.safetensors", header=header, experiment=SimpleNamespace(sampling=sampling))


def given(videos: Path, checkpoint: Any, jobs: int = 1) -> VideoInput:
    words = {"backbone": None, "weights": (), "images_fps": None, "reporter": SILENT}
    return VideoInput([str(videos)], [checkpoint], "cpu", jobs=jobs, patience=60, **words)  # type: ignore[arg-type]


class Reads:
    """A detector that reads a window in the middle of each video, and looks around."""

    def __init__(self, features: MemoryFeatures) -> None:
        self.features = features
        self.read: dict[str, NDArray[np.uint8]] = {}
        self.there: list[int] = []

    def predict(self, video_ids: Iterable[str], batch_size: int) -> Iterator[VideoProposals]:
        for video_id in video_ids:
            assert self.features.folder is not None
            assert self.features.frame_size(video_id) == (32, 48)
            self.read[video_id] = self.features.read(video_id, 5, 15)
            self.there.append(len([*self.features.folder.iterdir()]))
            yield VideoProposals(video_id, np.empty((0, 2)), np.empty(0), None)


@pytest.mark.parametrize(("jobs", "streams"), [(1, ()), (1, ("rgb",)), (1, ("flow",)), (2, ("rgb", "flow"))])
def test_frames_are_those_of_a_store_and_go_when_their_video_is_done(
    folder: Path, jobs: int, streams: tuple[str, ...]
) -> None:
    videos = given(folder / "videos", checkpoint(folder / "f.h5", *streams), jobs)
    chosen = {("rgb",): slice(0, 3), ("flow",): slice(3, 5)}.get(streams, slice(0, 5))
    with videos.features as features, FeatureFile(str(folder / "f.h5")) as store:
        detector: Any = Reads(features)
        found = list(videos.predictions(detector, list(LENGTHS), 1, SILENT))
        assert [each.video_id for each in found] == list(LENGTHS)
        for video_id in LENGTHS:
            np.testing.assert_array_equal(detector.read[video_id], store.read(video_id, 5, 15)[..., chosen])
        assert jobs > 1 or detector.there == [1] * len(LENGTHS)
        assert features.folder is not None
        assert list(features.folder.iterdir()) == []
    assert not features.folder.exists()


def test_a_stream_that_is_not_used_is_not_computed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taltool.extraction.encoder.Flow", None)
    videos = given(folder / "videos", checkpoint(folder / "f.h5", "rgb"))
    assert videos.settings.backbones[0].streams == ("rgb",)
    assert videos.features.streams == {"rgb": (0, 3)}


def test_a_store_of_the_one_stream_that_is_used_fits_a_model_of_both(folder: Path, tmp_path: Path) -> None:
    words: dict[str, Any] = {"backbone": "frames", "jobs": 1, "set_": SMALL}
    extract(folder / "videos" / "a.mp4", output=tmp_path / "rgb.h5", **words)
    check = partial(check_extraction, source="rgb.h5", force=False, reporter=SILENT)
    with FeatureFile(str(tmp_path / "rgb.h5")) as file:
        check([checkpoint(folder / "f.h5", "rgb")], file.extraction)
        with pytest.raises(Exception, match="streams none instead of"):
            check([checkpoint(folder / "f.h5", "rgb", "flow")], file.extraction)


def test_no_frame_goes_through_a_pipe(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    added: list[VideoFeatures] = []
    monkeypatch.setattr(MemoryFeatures, "add", lambda self, video: added.append(video))
    videos = given(folder / "videos", checkpoint(folder / "f.h5"), jobs=2)
    detector: Any = SimpleNamespace(predict=lambda video_ids, batch_size: iter([*video_ids][:0]))
    with videos.features:
        list(videos.predictions(detector, list(LENGTHS), 1, SILENT))
        assert {type(each.values) for each in added} == {StoredFrames}
        assert len(added) == len(LENGTHS)


def test_a_video_that_breaks_is_a_failure_and_leaves_no_file(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes((folder / "videos" / "a.mp4").read_bytes()[:3000])
    videos = given(tmp_path, checkpoint(folder / "f.h5"))
    with videos.features as features:
        detector: Any = Reads(features)
        [failure] = videos.predictions(detector, ["broken"], 1, SILENT)
        assert isinstance(failure, VideoFailure)
        assert failure.reason.startswith(f"video 'broken' ({tmp_path}/broken.mp4): ")
        assert features.folder is not None
        assert list(features.folder.iterdir()) == []


def wait_in_the_midst(videos: str, frames: str) -> None:
    """Begin to predict with two processes, say where the frames are, and wait to be ended."""
    asked = given(Path(videos), checkpoint(Path(frames)), jobs=2)

    def slow(video_ids: Iterable[str], batch_size: int) -> Iterator[VideoProposals]:
        next(iter(video_ids))
        print(asked.features.folder, flush=True)
        time.sleep(60)
        yield VideoProposals("", np.empty((0, 2)), np.empty(0), None)

    detector: Any = SimpleNamespace(predict=slow)
    with asked.features:
        list(asked.predictions(detector, list(LENGTHS), 1, SILENT))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_files_vanish_when_the_command_is_ended(folder: Path, tmp_path: Path, number: signal.Signals) -> None:
    paths = os.pathsep.join(map(str, (PROJECT, PROJECT / "tests", PROJECT / "tests" / "prediction")))
    words = f"{str(folder / 'videos')!r}, {str(folder / 'f.h5')!r}"
    process = subprocess.Popen(
        [sys.executable, "-c", f"import test_frames_of_videos as t; t.wait_in_the_midst({words})"],
        env=os.environ | {"PYTHONPATH": paths, "TMPDIR": str(tmp_path)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    there = Path(process.stdout.readline().strip())
    assert there.parent == tmp_path
    assert list(there.iterdir()) != []
    process.send_signal(number)
    assert process.wait(30) == -number
    process.stdout.close()
    assert [each for each in tmp_path.iterdir() if each.name.startswith("taltool-")] == []


def test_the_record_of_a_store_says_how_to_make_frames(folder: Path) -> None:
    with FeatureFile(str(folder / "f.h5")) as file:
        record = file.extraction
    videos = given(folder / "videos", checkpoint(folder / "f.h5"))
    assert json.loads(videos.settings.record()) == record
