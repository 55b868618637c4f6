"""How good a network is on the held-out videos: its losses, and its mAP after suppression.

Several processes share the work out, each window and each video being measured by one of them.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from taltool.data.arrays import Detections, Instances
from taltool.data.records import VideoProposals
from taltool.errors import DataError
from taltool.experiment.batches import labelled_samples, read_batch
from taltool.experiment.dataset import LabelledVideo
from taltool.experiment.frames import FrameSource
from taltool.experiment.sampling import FeatureSource
from taltool.experiment.settings import Experiment
from taltool.models.contract import Batch, Model, Targets
from taltool.ops.metrics.map import mean_average_precision
from taltool.ops.nms import suppress
from taltool.prediction.detector import Detector, Member, VideoFailure
from taltool.training.distributed import ProcessGroup

# Windows of which detection takes at least so many at once.
_WINDOWS = 8


def batch_to_device(batch: Batch, device: str) -> Batch:
    """The same batch on another device."""
    if device == "cpu":
        return batch
    targets = Targets(
        [each.to(device, non_blocking=True) for each in batch.targets.segments],
        [each.to(device, non_blocking=True) for each in batch.targets.labels],
    )
    features, mask = batch.features.to(device, non_blocking=True), batch.mask.to(device, non_blocking=True)
    return replace(batch, features=features, mask=mask, targets=targets)


class Validation:
    """The held-out videos, and what can be measured on them."""

    def __init__(
        self,
        source: FeatureSource,
        videos: Sequence[LabelledVideo],
        classes: Sequence[str],
        experiment: Experiment,
        length_multiple: int,
        device: str,
        processes: ProcessGroup | None = None,
    ) -> None:
        self.processes = processes or ProcessGroup()
        self.source, self.videos, self.classes = source, videos, classes
        self.experiment, self.length_multiple, self.device = experiment, length_multiple, device
        self.samples = labelled_samples(source, videos, source.settings.test_stride)

    @property
    def at_a_time(self) -> int:
        """Windows that pass through the network at once; as few as in training where that goes in parts."""
        training = self.experiment.training
        return -(-training.batch_size // training.accumulation)

    @property
    def at_a_time_for_map(self) -> int:
        """The same for detection: more, where memory allows, as it does not for frames."""
        few = self.experiment.training.accumulation > 1 or isinstance(self.source, FrameSource)
        return self.at_a_time if few else max(_WINDOWS, self.at_a_time)

    def losses(self, model: Model) -> dict[str, float]:
        """The mean of every loss term over the held-out windows that hold instances; empty if there are none."""
        instances = {video.video_id: (video.segments, video.labels) for video in self.videos}
        own: dict[str, float] = {}  # The sums over this process's windows.
        size, processes = self.at_a_time, self.processes
        with torch.inference_mode():
            for first in range(processes.rank * size, len(self.samples), processes.world_size * size):
                samples = self.samples[first : first + size]
                known = [instances[sample.video_id] for sample in samples]
                batch = batch_to_device(read_batch(self.source, samples, known, self.length_multiple), self.device)
                for name, value in model.loss(model(batch.features, batch.mask), batch.targets).items():
                    own[name] = own.get(name, 0.0) + float(value) * len(samples)
        sums: dict[str, float] = {}
        for each in processes.all_gather(own):
            for name, total in each.items():
                sums[name] = sums.get(name, 0.0) + total
        return {name: total / len(self.samples) for name, total in sums.items()}

    def mean_average_precision(self, model: Model) -> float:
        """mAP over the thresholds of `select_tious`, after suppression by the `nms` settings (activitynet protocol)."""
        detector = Detector([Member(model, self.source)], self.classes, self.experiment.prediction, self.device)
        own = [video.video_id for video in self.videos][self.processes.rank :: self.processes.world_size]
        kept: list[VideoProposals] = []
        for found in detector.predict(own, self.at_a_time_for_map):
            if isinstance(found, VideoFailure):
                raise DataError(found.reason)
            which, scores = suppress(found.segments, found.scores, found.labels, self.experiment.nms, found.duration)
            kept.append(found.take(which, scores))
        number = {video.video_id: index for index, video in enumerate(self.videos)}
        kept = [video for part in self.processes.all_gather(kept) for video in part]
        kept.sort(key=lambda video: number[video.video_id])
        labels = np.concatenate([video.labels for video in self.videos])
        truth = Instances(
            videos=np.repeat(np.arange(len(self.videos)), [len(video.labels) for video in self.videos]),
            labels=np.zeros_like(labels) if model.is_class_agnostic else labels,
            segments=np.concatenate([video.segments for video in self.videos]),
            num_videos=len(self.videos),
            num_classes=1 if model.is_class_agnostic else len(self.classes),
        )
        detections = Detections(
            videos=np.repeat([number[video.video_id] for video in kept], [len(video) for video in kept]),
            labels=np.concatenate([np.zeros(len(v), np.int64) if v.labels is None else v.labels for v in kept]),
            segments=np.concatenate([video.segments for video in kept]),
            scores=np.concatenate([video.scores for video in kept]),
        )
        return float(mean_average_precision(truth, detections, self.experiment.training.select_tious).average)
