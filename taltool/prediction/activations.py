"""What networks make of videos on the way to detections, drawn over time: `plot --kind activations`."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from taltool.data.annotations import read_ground_truth
from taltool.data.files import STANDARD
from taltool.data.formats.sniffing import beginning
from taltool.data.hdf5_features import ClockOptions
from taltool.data.json_documents import telling_key
from taltool.data.records import Booleans, Floats, GroundTruth, VideoProposals
from taltool.errors import DataError, UsageError
from taltool.evaluation.plot import short_names, write_figure
from taltool.experiment.batches import Example, collate
from taltool.experiment.checkpoint import Checkpoint
from taltool.experiment.dataset import chosen_videos
from taltool.experiment.device import checked_device
from taltool.experiment.sampling import GIBIBYTE
from taltool.models.contract import Model
from taltool.ops.plots_curves import ActivationPanels, Line, activation_figure
from taltool.prediction.detector import Detector, Member, VideoFailure, make_detector
from taltool.prediction.feature_input import FeatureInput, feature_file
from taltool.prediction.predict import load_checkpoints
from taltool.reporting import SILENT, Reporter

if TYPE_CHECKING:
    from taltool.prediction.video_input import VideoInput

# Videos of a figure where the user names none, and bytes of features that stay in memory.
_FIGURE_VIDEOS = 4
_CACHE = GIBIBYTE // 4
_PATIENCE = 300.0


class Curve(NamedTuple):
    """A quantity over a video: values (N,) at seconds (N,)."""

    seconds: Floats
    values: Floats


class Contrast(NamedTuple):
    """A quantity of a network: its means inside and outside of instances, and by how many deviations they differ."""

    network: str
    quantity: str
    inside: float
    outside: float
    deviations: float

    def __str__(self) -> str:
        name = f"{self.network}, {self.quantity}"
        return f"{name:34} {self.inside:9.4f} inside {self.outside:9.4f} outside {self.deviations:7.2f} deviations"


@dataclass(frozen=True)
class ActivationPlot:
    """What was drawn to `output`: these videos; contrasts over all that were looked at, where the truth is known."""

    output: str
    videos: tuple[str, ...]
    contrasts: tuple[Contrast, ...]


class Observer(Detector):
    """Looks at what the networks of a detector make of the videos that pass by, instead of at what they find.

    curves: by video id, for each network its quantities by name. Where windows overlap it is their mean, weighted by
    how far from its ends each is.
    """

    def __init__(self, detector: Detector) -> None:
        as_it_is = replace(detector.settings, time_stretches=())
        super().__init__(detector.members, detector.names.names, as_it_is, detector.device)
        self.curves: dict[str, list[dict[str, Curve]]] = {}

    def predict(self, video_ids: Iterable[str], batch_size: int) -> Iterator[VideoProposals | VideoFailure]:
        """No proposals for each video, whose activations are in `curves` then; a failure where it cannot be read."""
        for video_id in video_ids:
            failure = self._observe(video_id)
            yield failure or VideoProposals(video_id, np.empty((0, 2)), np.empty(0))

    def _observe(self, video_id: str) -> VideoFailure | None:
        source = self.first.source
        clock, length = source.clock(video_id), source.length(video_id)
        sums: list[dict[str, Floats]] = [defaultdict(lambda: np.zeros((2, 0))) for _ in self.members]
        for video, window in self._windows(video_id):
            sample = window.sample
            for *_, examples in self._read([(video, window)]):
                for member, example, own in zip(self.members, examples, sums, strict=True):
                    for name, (values, rate) in self._activations(member, example).items():
                        count = sample.count * rate
                        if not own[name].size:
                            own[name] = np.zeros((2, length * rate))  # Weighted sums, and the weights'.
                        # At its ends a window knows less, and one that began with full weight would show as a jump.
                        weights = np.minimum(np.arange(1, count + 1), np.arange(count, 0, -1))
                        place = slice(sample.first * rate, sample.first * rate + count)
                        own[name][:, place] += np.stack([values[:count] * weights, weights])
            if video.failure is not None:
                return video.failure
        self.curves[video_id] = []
        for own in sums:
            curves = {}
            for name, (total, count) in own.items():
                places = (np.arange(len(total)) + 0.5) * length / len(total)
                curves[name] = Curve(clock.seconds(places), total / np.maximum(count, 1))
            self.curves[video_id].append(curves)
        return None

    def _activations(self, member: Member, example: Example) -> dict[str, tuple[Floats, int]]:
        """What the network makes of one window: values (n T,) by name, and n, how many there are to a snippet."""
        batch = collate([example], member.source.settings, member.model.length_multiple)
        mask = batch.mask.to(self.device)
        with torch.inference_mode():
            found = member.model.activations(batch.features.to(self.device), mask)
        values = {name: each[0].double().cpu().numpy() for name, each in found.items()}
        return {name: (each, len(each) // mask.shape[1]) for name, each in values.items()}


def plot_activations(
    *files: str | Path,
    model: str | Path | Sequence[str | Path],
    output: str | Path = STANDARD,
    video: Sequence[str] = (),
    name: Sequence[str] = (),
    subset: str | None = None,
    split: str | None = None,
    device: str = "cpu",
    dpi: int = 150,
    reporter: Reporter = SILENT,
) -> ActivationPlot:
    """Draw what the networks of checkpoints make of videos over time, means over channels; which is up to the model.

    files: a feature file (or frame store), or videos, whose features are then made as `predict` makes them; and a
    ground truth, whose instances are shaded. model: checkpoints, by path or name, each a line in every panel, called
    `name`. video: ids of the videos to draw; none given: the first four of `subset`, or of all. How much each quantity
    differs inside and outside of instances is told and returned: over the videos of `subset` (in the ground truth, or
    in split, "FILE:NAME"), where it is given, or those of `video`, or all.

    Raises UsageError where the model has nothing to show, and DataError for a video that cannot be read.
    """
    paths = [str(path) for path in files]
    truths = [path for path in paths if _is_truth(path)]
    words = [path for path in paths if path not in truths]
    if not words or len(truths) > 1:
        raise UsageError("--kind activations draws videos or a feature file, and at most one ground truth beside it")
    truth = read_ground_truth(truths[0], split) if truths else None
    device = checked_device(device)
    checkpoints = load_checkpoints([model] if isinstance(model, str | Path) else model, device, reporter)
    for checkpoint in checkpoints:
        if type(checkpoint.model).activations is Model.activations:
            raise UsageError(
                f"{checkpoint.path}: {checkpoint.header.model} has no activations to show; afsd and amnet have"
            )
    names = list(name) or short_names([each.path for each in checkpoints])
    if len(names) != len(checkpoints):
        raise UsageError(f"--name was given {len(names)} times for {len(checkpoints)} checkpoints")
    curves, counted = _observed(words, checkpoints, truth, (video, subset, split), device, reporter)
    drawn = list(video) or counted[:_FIGURE_VIDEOS]
    if len(drawn) < len(counted) and not video:
        reporter.note(f"{len(drawn)} of {len(counted)} videos drawn; --video ID chooses")
    contrasts = tuple(_contrasts(names, {each: curves[each] for each in counted}, truth)) if truth else ()
    for each in contrasts:
        reporter.note(str(each))
    panels = [_panels(video_id, names, curves[video_id], truth) for video_id in drawn]
    write_figure(str(output), lambda: activation_figure(panels), dpi)
    return ActivationPlot(str(output), tuple(drawn), contrasts)


def _is_truth(path: str) -> bool:
    return Path(path).is_file() and telling_key(beginning(path).head)[0] == "database"


def _observed(
    words: Sequence[str],
    checkpoints: Sequence[Checkpoint],
    truth: GroundTruth | None,
    chosen: tuple[Sequence[str], str | None, str | None],
    device: str,
    reporter: Reporter,
) -> tuple[dict[str, list[dict[str, Curve]]], list[str]]:
    """The curves of the chosen videos, by their ids or by a subset and a split, and which of them are counted."""
    wanted, subset, split = chosen
    given: FeatureInput | VideoInput
    if (path := feature_file(words)) is not None:
        given = FeatureInput(path, checkpoints, ClockOptions(), truth, _CACHE)
    else:
        # With it come the decoders and all that extraction has.
        from taltool.prediction import video_input

        given = video_input.VideoInput(
            words,
            checkpoints,
            device,
            jobs=0,
            patience=_PATIENCE,
            backbone=None,
            weights=(),
            images_fps=None,
            reporter=reporter,
        )
    with given.features as file:
        missing = [video_id for video_id in wanted if video_id not in file.ids]
        if missing:
            raise DataError(f"{file.path}: no video '{missing[0]}'; --video names one of {', '.join(file.ids[:5])}")
        counted = list(wanted)
        if subset or split or not wanted:
            counted = chosen_videos(file, subset, split, truth, True, reporter)
        video_ids = list(dict.fromkeys([*wanted, *counted]))
        settings = checkpoints[0].experiment.prediction
        observer = Observer(make_detector(checkpoints, file, settings, device, given.cache_bytes))
        given.check(observer, video_ids, False, reporter)
        with reporter.track("plot", len(video_ids)) as task:
            for found in given.predictions(observer, video_ids, 1, reporter):
                if isinstance(found, VideoFailure):
                    raise DataError(found.reason)
                task.advance()
    return observer.curves, counted


def _is_inside(seconds: Floats, instances: Floats) -> Booleans:
    """Which of seconds (N,) lie in an instance, of segments (M, 2)."""
    starts, ends = instances.T[..., None]
    return np.asarray(((seconds >= starts) & (seconds <= ends)).any(0))


def _instances(video_id: str, truth: GroundTruth | None) -> Floats:
    return truth.videos[video_id].segments if truth and video_id in truth.videos else np.empty((0, 2))


def _contrasts(
    names: Sequence[str], curves: Mapping[str, list[dict[str, Curve]]], truth: GroundTruth
) -> Iterator[Contrast]:
    """Of each quantity of each network, over all videos, how it differs inside and outside of instances."""
    for number, network in enumerate(names):
        for quantity in next(iter(curves.values()))[number]:
            own = {video_id: each[number][quantity] for video_id, each in curves.items()}
            values = np.concatenate([each.values for each in own.values()])
            inside = np.concatenate([_is_inside(each.seconds, _instances(v, truth)) for v, each in own.items()])
            if inside.any() and not inside.all():
                means = float(values[inside].mean()), float(values[~inside].mean())
                gap = (means[0] - means[1]) / max(float(values.std()), np.finfo(np.float64).tiny)
                yield Contrast(network, quantity, *means, gap)


def _panels(
    video_id: str, names: Sequence[str], curves: Sequence[dict[str, Curve]], truth: GroundTruth | None
) -> ActivationPanels:
    quantities = dict.fromkeys(quantity for own in curves for quantity in own)
    lines = {
        quantity: [Line(name, *own[quantity]) for name, own in zip(names, curves, strict=True) if quantity in own]
        for quantity in quantities
    }
    return ActivationPanels(f"{video_id}: mean over channels", _instances(video_id, truth), lines)
