"""All numbers about one file of detections, under any weighting of the videos, by name."""

from dataclasses import dataclass

import numpy as np

from taltool.data.arrays import Detections, Scope
from taltool.data.records import Floats
from taltool.data.thresholds import Thresholds
from taltool.ops.metrics import average_precisions, class_means, match
from taltool.ops.protocols import Protocol
from taltool.ops.recall import area_under_curve, average_recall, first_hits, fixed_recall, multiple_recall

# Curve points that are printed; the largest average number is printed as well.
_PRINTED_NUMBERS = (1, 5, 10, 50, 100)
# Numbers that a block of weightings may build: few enough to stay near the processor, many enough to pay for the calls.
_BLOCK_ELEMENTS = 250_000


@dataclass(frozen=True)
class MetricSelection:
    """What is asked about every file.

    tious serve mAP and R@kx, recall_tious AR@AN, AUC and recall at fixed k; max_average is the largest AN; multiples
    are the k of R@kx.
    """

    protocol: Protocol
    tious: Thresholds
    recall_tious: Thresholds
    precision: bool = True
    recall: bool = False
    max_average: int = 100
    multiples: tuple[int, ...] = ()

    @property
    def numbers(self) -> list[int]:
        """The numbers of proposals at which recall is printed."""
        return sorted({n for n in _PRINTED_NUMBERS if n < self.max_average} | {self.max_average})

    def values(self, thresholds: Thresholds) -> list[float]:
        """The thresholds to compute with: the literals, or numpy's where the protocol says so."""
        if self.protocol.linspace and ":" in thresholds.text and "," not in thresholds.text:
            return np.linspace(thresholds.values[0], thresholds.values[-1], len(thresholds)).tolist()
        return list(thresholds.values)


class Scorecard:
    """Matches one file's detections once; `metrics` then answers for any weights."""

    def __init__(self, scope: Scope, detections: Detections, selection: MetricSelection) -> None:
        self.scope, self.selection = scope, selection
        self.num_strangers = max(0, detections.num_videos - len(scope.video_ids))
        kit_ties = selection.protocol.ties == "kit"
        tious, recall_tious = selection.values(selection.tious), selection.values(selection.recall_tious)
        if selection.precision:
            self._matches = match(scope.truth, detections, tious, selection.protocol, scope.excused)
        if selection.recall:
            self._hits = first_hits(scope.truth, detections, recall_tious, kit_ties=kit_ties)
        if selection.multiples:
            self._class_hits = first_hits(scope.truth, detections, tious, by_class=True, kit_ties=kit_ties)

    @property
    def rows_at_once(self) -> int:
        """How many weightings to measure together so that the memory stays small."""
        truth = self.scope.truth
        elements = len(truth) if self.selection.recall or self.selection.multiples else 1
        if self.selection.precision:
            # The largest class: its detections, and its instances at all thresholds.
            instances = int(np.bincount(truth.labels).max(initial=0)) * len(self.selection.tious)
            elements = max(elements, int(np.diff(self._matches.edges).max(initial=0)) + instances)
        return max(1, _BLOCK_ELEMENTS // elements)

    def metrics(self, weights: Floats | None = None) -> dict[str, Floats]:
        """Each metric (B,) under weights (B, V) of the scope's videos; without weights every video counts once.

        Videos that the ground truth does not know always count once.
        """
        weights = self._with_strangers(weights)
        found: dict[str, Floats] = {}
        if self.selection.precision:
            found |= self._precision(weights)
        if self.selection.multiples:
            found |= self._multiples(weights)
        if self.selection.recall:
            found |= self._recall(weights)
        return found

    def class_precisions(self) -> Floats:
        """AP (K, L) of each class at each threshold."""
        return average_precisions(self._matches, self.selection.protocol, self._with_strangers(None))[0]

    def _with_strangers(self, weights: Floats | None) -> Floats:
        if weights is None:
            weights = np.ones((1, len(self.scope.video_ids)))
        return np.concatenate([weights, np.ones((len(weights), self.num_strangers))], axis=1)

    def _precision(self, weights: Floats) -> dict[str, Floats]:
        means = class_means(average_precisions(self._matches, self.selection.protocol, weights))
        named = {f"mAP@{name}": means[:, level] for level, name in enumerate(self.selection.tious.names)}
        return named | {"average_mAP": means.mean(axis=1)}

    def _multiples(self, weights: Floats) -> dict[str, Floats]:
        found = {}
        for multiple in self.selection.multiples:
            recalls = multiple_recall(self._class_hits, weights, multiple)
            for level, name in enumerate(self.selection.tious.names):
                found[f"R@{multiple}x@{name}"] = recalls[:, level]
            found[f"average_R@{multiple}x"] = recalls.mean(axis=1)
        return found

    def _recall(self, weights: Floats) -> dict[str, Floats]:
        curves = average_recall(self._hits, weights, self.selection.max_average)
        found = {f"AR@{number}": curves[:, number - 1] for number in self.selection.numbers}
        found["AUC"] = area_under_curve(curves)
        return found | {
            f"recall@top{number}": fixed_recall(self._hits, weights, number) for number in self.selection.numbers
        }
