"""From windows to proposals of whole videos: seconds, floors, order, batches, averages and failures."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from plugin.tiny_data import TinyData
from torch import Tensor
from training_runs import Listener, MakeTrainer

from taltool.data.clock import FeatureClock
from taltool.data.hdf5_features import FeatureFile, FeatureWriter, VideoFeatures
from taltool.data.records import VideoProposals
from taltool.errors import DataError, UsageError
from taltool.experiment.checkpoint import load_checkpoint
from taltool.experiment.sampling import FeatureSource
from taltool.experiment.settings import PredictionSettings, SamplingSettings
from taltool.models.contract import Candidates, Model, Outputs, Targets, Timeline
from taltool.prediction.compatibility import check_features
from taltool.prediction.detector import Detector, Member, VideoFailure, make_detector


class Marker(Model):
    """Reports each valid snippet above zero as the cell that it is, its value being the score."""

    length_multiple = 4

    def forward(self, features: Tensor, mask: Tensor) -> Outputs:
        return {"values": features[:, 0] * mask}

    def loss(self, outputs: Outputs, targets: Targets) -> dict[str, Tensor]:
        raise NotImplementedError

    def decode(self, outputs: Outputs, mask: Tensor) -> list[Candidates]:
        found = []
        for values in outputs["values"]:
            (where,) = (values > 0).nonzero(as_tuple=True)
            segments = torch.stack([where, where + 1], 1).float()
            found.append(Candidates(segments, values[where], torch.zeros_like(where)))
        return found


class Means(Timeline):
    """The mean of what windows say of each snippet."""

    def __init__(self, length: int) -> None:
        self.sums, self.counts = torch.zeros(length), torch.zeros(length)

    def add(self, outputs: Outputs, row: int, first: int, count: int) -> None:
        self.sums[first : first + count] += outputs["values"][row, :count]
        self.counts[first : first + count] += 1

    def candidates(self, others: Sequence["Means"] = ()) -> Candidates:
        starts, means = torch.arange(len(self.sums)), self.sums / self.counts
        for other in others:
            means = means + 10 * len(other.sums) + (other.sums / other.counts).max()
        segments = torch.stack([starts, starts + 1], 1).float()
        return Candidates(segments, means, torch.zeros_like(starts))


class Averager(Marker):
    """A Marker that adds the place of each snippet in its window, and can average windows."""

    averages_windows = True

    def forward(self, features: Tensor, mask: Tensor) -> Outputs:
        return {"values": features[:, 0] + torch.arange(features.shape[2])}

    def timeline(self, length: int, device: torch.device) -> Means:
        return Means(length)


def detect(
    path: Path,
    values: dict[str, list[float]],
    sampling: SamplingSettings,
    batch_size: int = 3,
    kind: type[Model] = Marker,
    **settings: Any,
) -> dict[str, VideoProposals]:
    """The proposals of Marker over videos whose snippets lie 2 s apart and are 4 s long."""
    with FeatureWriter(str(path)) as writer:
        for video_id, column in values.items():
            clock = FeatureClock(fps=1, stride=2, window=4, duration=2.0 * len(column) + 2)
            writer.write(VideoFeatures(video_id, np.array(column, np.float32)[:, None], clock, {}))
    with FeatureFile(str(path)) as file:
        member = Member(kind(None, 1, 1, sampling.length), FeatureSource(file, sampling))
        detector = Detector([member], ["it"], PredictionSettings(**{"min_score": 0.0} | settings))
        found = list(detector.predict(list(values), batch_size))
    assert [each.video_id for each in found] == list(values)
    assert all(isinstance(each, VideoProposals) for each in found)
    return {each.video_id: each for each in found}  # type: ignore[misc]


VALUES = {"a": [0, 0.5, 0, 0, 0, 0, 0.25, 0, 0.75], "b": [0.5], "c": [0, 0, 0, 0]}


@pytest.mark.parametrize("resize", ["window", "pad"])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_segments_are_the_seconds_of_their_snippets_whatever_window_saw_them(
    tmp_path: Path, resize: str, batch_size: int
) -> None:
    sampling = SamplingSettings(resize=resize, length=4, test_stride=4)  # type: ignore[arg-type]
    found = detect(tmp_path / "f.h5", VALUES, sampling, batch_size)
    # Snippet i has its centre at 2 i + 2 s, and its cell reaches 1 s to either side. Windows begin at 0, 4 and 5.
    once = [(0.5, [3, 5]), (0.25, [13, 15]), (0.75, [17, 19])]
    expected = {s: tuple(seg) for s, seg in once}
    pairs = list(zip(found["a"].scores.tolist(), map(tuple, found["a"].segments.tolist()), strict=True))
    assert set(pairs) == set(expected.items())
    assert len(pairs) == (4 if resize == "window" else 3)  # snippet 6 lies in two windows
    assert found["b"].segments.tolist() == [[1, 3]]
    assert len(found["c"]) == 0
    assert found["a"].duration == 20


def test_segments_are_clipped_to_the_video(tmp_path: Path) -> None:
    path = tmp_path / "f.h5"
    with FeatureWriter(str(path)) as writer:
        clock = FeatureClock(fps=1, stride=4, window=2, duration=5)
        writer.write(VideoFeatures("v", np.ones((2, 1), np.float32), clock, {}))
    with FeatureFile(str(path)) as file:
        member = Member(Marker(None, 1, 1, 4), FeatureSource(file, SamplingSettings(length=4)))
        (found,) = Detector([member], ["it"], PredictionSettings()).predict(["v"], 1)
    assert isinstance(found, VideoProposals)
    assert found.segments.tolist() == [[0, 3], [3, 5]]  # cells of 4 s around 1 s and 5 s


def test_floor_and_top_k_leave_the_best(tmp_path: Path) -> None:
    sampling = SamplingSettings(resize="pad")
    column = {"v": [0.5, 0.125, 0.25, 0.75]}
    assert detect(tmp_path / "a.h5", column, sampling, min_score=0.25)["v"].scores.tolist() == [0.5, 0.75]
    assert detect(tmp_path / "b.h5", column, sampling, top_k=3)["v"].scores.tolist() == [0.75, 0.5, 0.25]
    assert len(detect(tmp_path / "c.h5", column, sampling, top_k=0)["v"]) == 4


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_what_a_window_cuts_is_marked_down_unless_the_video_ends_there(tmp_path: Path, batch_size: int) -> None:
    """Windows of 4 snippets at 0, 3 and 5 of 9: snippets 3, 5 and 6 lie at an edge of one window, inside of another, or
    at the edge of both."""
    sampling = SamplingSettings(length=4, test_stride=3)
    found = detect(tmp_path / "f.h5", {"v": [0.5] * 9}, sampling, batch_size, cut_factor=0.25)["v"]
    cells = ((found.segments[:, 0] - 1) / 2).astype(int).tolist()  # Snippet i begins at 2 i + 1 s.
    scores: dict[int, list[float]] = {cell: [] for cell in range(9)}
    for cell, score in zip(cells, found.scores.tolist(), strict=True):
        scores[cell].append(score)
    cut, whole = 0.125, 0.5
    assert {cell: sorted(each) for cell, each in scores.items()} == {
        0: [whole],
        1: [whole],
        2: [whole],
        3: [cut, cut],  # The last of window 0, the first of window 3.
        4: [whole],
        5: [cut, whole],
        6: [cut, whole],
        7: [whole],
        8: [whole],
    }


def test_marks_come_before_the_floor_and_change_nothing_of_a_whole_video(tmp_path: Path) -> None:
    windows, pad = SamplingSettings(length=4, test_stride=4), SamplingSettings(resize="pad")
    column = {"v": [0.5] * 8}
    found = detect(tmp_path / "a.h5", column, windows, cut_factor=0.25, min_score=0.2)["v"]
    assert found.segments[:, 0].tolist() == [1, 3, 5, 11, 13, 15]  # Without snippets 3 and 4, the edges of both.
    assert len(detect(tmp_path / "b.h5", column, windows, cut_factor=0.0)["v"]) == 6
    assert detect(tmp_path / "c.h5", column, pad, cut_factor=0.25)["v"].scores.tolist() == [0.5] * 8
    assert detect(tmp_path / "d.h5", {"v": [0.5] * 4}, windows, cut_factor=0.25)["v"].scores.tolist() == [0.5] * 4


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_windows_of_a_video_are_averaged_where_they_overlap(tmp_path: Path, batch_size: int) -> None:
    """Windows of 4 at 0, 3 and 5 of 9 snippets: snippet 3 is the last of one and the first of the next."""
    sampling, videos = SamplingSettings(length=4, test_stride=3), {"v": [0.0] * 9, "w": [7.0], "x": [0.0] * 5}
    found = detect(
        tmp_path / "f.h5", videos, sampling, batch_size, Averager, average_windows=True, cut_factor=0.5, min_score=-1
    )
    assert found["v"].scores.tolist() == [0, 1, 2, 1.5, 1, 1, 2, 2, 3]
    assert found["v"].segments[:, 0].tolist() == [1, 3, 5, 7, 9, 11, 13, 15, 17]
    assert found["w"].scores.tolist() == [7]
    assert found["x"].scores.tolist() == [0, 0.5, 1.5, 2.5, 3]


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_a_video_is_seen_longer_and_shorter_too(tmp_path: Path, batch_size: int) -> None:
    """Half as long it has 4 snippets (one window, places to 3), twice as long 16; the toy adds 10 times the length."""
    sampling, videos = SamplingSettings(length=4, test_stride=4), {"v": [0.0] * 8, "w": [0.0] * 4}
    found = detect(
        tmp_path / "f.h5",
        videos,
        sampling,
        batch_size,
        Averager,
        average_windows=True,
        time_stretches=(0.5, 2.0),
        min_score=-1,
    )
    assert found["v"].scores.tolist() == [place + 40 + 3 + 160 + 3 for place in (0, 1, 2, 3, 0, 1, 2, 3)]
    assert found["v"].segments[:, 0].tolist() == [1, 3, 5, 7, 9, 11, 13, 15]
    assert found["w"].scores.tolist() == [place + 20 + 1 + 80 + 3 for place in range(4)]


def test_a_window_that_overflows_is_the_failure_of_its_averaged_video(tmp_path: Path) -> None:
    path = tmp_path / "f.h5"
    columns = {"good": [1.0] * 6, "bad": [1.0, 1.0, 1.0, 1.0, 1.0, 1e30]}
    with FeatureWriter(str(path)) as writer:
        for video_id, column in columns.items():
            clock = FeatureClock(fps=1, stride=1, window=1, duration=6)
            writer.write(VideoFeatures(video_id, np.array(column, np.float32)[:, None], clock, {}))

    class Overflowing(Averager):
        def forward(self, features: Tensor, mask: Tensor) -> Outputs:
            return {"values": features[:, 0] * 1e30}

    with FeatureFile(str(path)) as file:
        source = FeatureSource(file, SamplingSettings(length=4, test_stride=2))
        settings = PredictionSettings(average_windows=True)
        good, bad = Detector([Member(Overflowing(None, 1, 1, 4), source)], ["it"], settings).predict(["good", "bad"], 1)
    assert isinstance(good, VideoProposals)
    assert isinstance(bad, VideoFailure)
    assert "values are not finite" in bad.reason


def test_a_rescaled_video_comes_back_in_its_own_seconds(tmp_path: Path) -> None:
    found = detect(tmp_path / "f.h5", {"v": [0, 0, 1, 1]}, SamplingSettings(resize="rescale", length=2))["v"]
    # Cell 1 of two is snippets 2 and 3: from the beginning of cell 2 (5 s) to the end of cell 3 (9 s).
    assert found.segments.tolist() == [[5, 9]]


def test_a_broken_video_fails_alone_and_is_named(tmp_path: Path, trainer: MakeTrainer, tiny: TinyData) -> None:
    trainer("epochs=1").run()
    broken = shutil.copy(tiny.features, tmp_path / "broken.h5")
    with h5py.File(broken, "r+") as file:
        file["v01"][19, 2] = np.inf  # in its second window, after the first was seen
    checkpoint = load_checkpoint(str(tmp_path / "tiny.safetensors"))
    with FeatureFile(str(broken)) as file:
        detector = make_detector([checkpoint], file, PredictionSettings(), "cpu", 0)
        for batch_size in (1, 2, 64):
            found = list(detector.predict(file.ids, batch_size))
            assert [each.video_id for each in found] == file.ids
            failed = [each for each in found if isinstance(each, VideoFailure)]
            assert [each.video_id for each in failed] == ["v01"]
            assert "snippet 19, channel 2 is inf" in failed[0].reason


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_a_video_on_which_the_network_overflows_fails_alone_and_is_named(
    tmp_path: Path, trainer: MakeTrainer, tiny: TinyData, batch_size: int
) -> None:
    trainer("epochs=1").run()
    loud = shutil.copy(tiny.features, tmp_path / "loud.h5")
    with h5py.File(loud, "r+") as file:
        file["v01"][...] = file["v01"][...] * 3e37  # finite, but not its sums
    checkpoint = load_checkpoint(str(tmp_path / "tiny.safetensors"))
    with torch.no_grad():
        checkpoint.model.body.weight.mul_(100)  # type: ignore[operator, union-attr]
    with FeatureFile(str(loud)) as file:
        detector = make_detector([checkpoint], file, PredictionSettings(), "cpu", 0)
        found = list(detector.predict(file.ids, batch_size))
    assert [each.video_id for each in found] == file.ids
    (failed,) = [each for each in found if isinstance(each, VideoFailure)]
    assert failed.video_id == "v01"
    assert failed.reason.startswith(f"{loud}: video 'v01': the network's ")
    assert failed.reason.endswith(" are not finite")


def test_an_error_that_nobody_foresaw_is_the_failure_of_its_video(
    tmp_path: Path, trainer: MakeTrainer, tiny: TinyData, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer("epochs=1").run()
    checkpoint = load_checkpoint(str(tmp_path / "tiny.safetensors"))
    read = FeatureFile.read

    def broken_read(self: FeatureFile, video_id: str, *place: int) -> object:
        if video_id == "v01":
            raise RuntimeError("inflate() failed")
        return read(self, video_id, *place)

    monkeypatch.setattr(FeatureFile, "read", broken_read)
    with FeatureFile(str(tiny.features)) as file:
        found = list(make_detector([checkpoint], file, PredictionSettings(), "cpu", 0).predict(file.ids, 3))
    assert [each.video_id for each in found] == file.ids
    (failed,) = [each for each in found if isinstance(each, VideoFailure)]
    assert failed.reason == f"{tiny.features}: video 'v01': RuntimeError: inflate() failed"
    assert "broken_read" in failed.traceback


def test_batches_change_scores_by_rounding_only(tmp_path: Path, trainer: MakeTrainer, tiny: TinyData) -> None:
    trainer("epochs=1").run()
    checkpoint = load_checkpoint(str(tmp_path / "tiny.safetensors"))
    with FeatureFile(str(tiny.features)) as file:
        detector = make_detector([checkpoint], file, PredictionSettings(min_score=0.0), "cpu", 1 << 20)
        one, many = (list(detector.predict(file.ids, size)) for size in (1, 16))
    for first, second in zip(one, many, strict=True):
        assert isinstance(first, VideoProposals)
        assert isinstance(second, VideoProposals)
        assert first.scores == pytest.approx(second.scores, abs=1e-6)
        assert first.segments == pytest.approx(second.segments, abs=1e-5)


def test_two_networks_are_averaged_before_decoding(tmp_path: Path, trainer: MakeTrainer, tiny: TinyData) -> None:
    checkpoints = []
    for seed in (1, 2):
        path = str(tmp_path / f"{seed}.safetensors")
        trainer("epochs=1", seed=seed, output=path).run()
        checkpoints.append(load_checkpoint(path))
    with FeatureFile(str(tiny.features)) as file:
        detector = make_detector(checkpoints, file, PredictionSettings(min_score=0.0), "cpu", 0)
        (found,) = detector.predict(["v00"], 64)
        features = torch.from_numpy(file.read("v00", 0, 16)).T[None]
    mask = torch.ones(1, 16, dtype=torch.bool)
    outputs = [checkpoint.model(features, mask) for checkpoint in checkpoints]
    logits = (outputs[0]["logits"] + outputs[1]["logits"]) / 2
    assert isinstance(found, VideoProposals)
    assert found.scores[:32] == pytest.approx(logits.sigmoid().flatten().double().detach().numpy(), abs=1e-6)


@pytest.mark.parametrize("change", ["test_stride=4", "length=12"])
def test_networks_on_different_grids_are_not_averaged(
    tmp_path: Path, trainer: MakeTrainer, tiny: TinyData, change: str
) -> None:
    checkpoints = []
    for name, overrides in (("a", ()), ("b", (change,))):
        path = str(tmp_path / f"{name}.safetensors")
        trainer("epochs=1", *overrides, output=path).run()
        checkpoints.append(load_checkpoint(path))
    with FeatureFile(str(tiny.features)) as file, pytest.raises(UsageError, match="cannot be averaged"):
        make_detector(checkpoints, file, PredictionSettings(), "cpu", 0)


def test_features_of_another_pace_are_warned_of(tmp_path: Path, trainer: MakeTrainer, tiny: TinyData) -> None:
    trainer("epochs=1").run()
    checkpoint = load_checkpoint(str(tmp_path / "tiny.safetensors"))
    slower = replace(checkpoint, header=replace(checkpoint.header, clock={"seconds_per_snippet": 2.0}))
    with FeatureFile(str(tiny.features)) as file:
        detector = make_detector([checkpoint], file, PredictionSettings(), "cpu", 0)
        # Where every video is so many frames, each has a pace of its own.
        dynamic = replace(slower, header=replace(slower.header, extraction={"backbone": "frames", "frames": 768}))
        apart = ["in 12 of 12 videos snippets are 0.5 s apart"]
        for subject, expected in ((checkpoint, []), (slower, apart), (dynamic, [])):
            listener = Listener()
            check_features([subject], detector, file.ids, listener)
            assert [part in heard for part, heard in zip(expected, listener.heard, strict=True)] == [True] * len(
                expected
            )
        narrow = replace(checkpoint, header=replace(checkpoint.header, channels=3))
        with pytest.raises(DataError, match=r"video 'v00' has 6 channels, .*tiny\.safetensors was trained on 3"):
            check_features([narrow], detector, file.ids, Listener())
