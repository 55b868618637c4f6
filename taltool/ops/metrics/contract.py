"""What a metric is: named numbers computed from one file's detections, and how they are printed.

A metric registers itself in its file of this folder, or in any file whose path `--metric` is given:

    @METRICS.register("f1")
    class F1(Metric):
        name = "F1"

        def values(self, data, weights):
            ...
            return {f"F1@{tiou}": ... for tiou in data.tious.names}

Tables, JSON, CSV, intervals, comparisons and `--fail-under` know its numbers from there; nothing else is edited.

`data.detections`, N in the order of the file, and `data.truth`, M instances, have columns: videos and labels (numbers),
segments (.., 2) in seconds, and detections scores. `data.matches` has ANOTHER ORDER, the ranked one, and only the P
detections whose class the ground truth has (the label of the others is -1):

    order (P,)        the row in `detections` of each: `detections.segments[matches.order]` fits what follows
    videos, scores    (P,), of the ranked ones; scores descend within each class
    edges (K + 1,)    class k is edges[k]:edges[k + 1] of the ranked ones
    hits (L, P)       which are true positives at each of the L thresholds of `--tiou`
    partners (L, M)   the ranked position of the detection that found each instance, P where none did
    forgiven (P,)     false positives that the protocol does not count as such
    positives         the instances, `data.truth`

`data.first_hits` and `data.class_hits` are of instances, in the order of `truth`: ranks (L, M), how many proposals of
its video (and class) stand before the first that overlaps it, from 0, `nowhere` or more where none does; proposals (V,)
of each video.

A number that is not defined (the mean error of no hits, a class without instances) is NaN: null in JSON, and
`--fail-under` fails; one draw of `--bootstrap` in which it is not defined leaves it without an interval. No number is
infinite, and none depends on the order of the detections in the file (except among equal scores, by the rules of
activitynet-kit).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np

from taltool.data.arrays import Detections, Instances, Scope
from taltool.data.records import Floats
from taltool.ops.matching import FirstHits, Matches, first_hits, match
from taltool.ops.protocols import Protocol, Thresholds

# What a value is: a fraction, which tables print in percent; a percentage; or a number of another kind.
Unit = Literal["fraction", "percent", "number"]


@dataclass(frozen=True, eq=False, kw_only=True)
class MetricInput:
    """One file's detections against the ground truth, and what was asked; what metrics share is computed once.

    tious are the thresholds of `--tiou`, recall_tious those of `--ar-tiou`: compute with `protocol.values(tious)`,
    name by `tious.names` ("0.50"). max_average is the largest average number of proposals per video, multiples the
    k of R@kx.
    """

    scope: Scope
    detections: Detections
    protocol: Protocol
    tious: Thresholds
    recall_tious: Thresholds
    max_average: int = 100
    multiples: tuple[int, ...] = ()

    @property
    def truth(self) -> Instances:
        """The M annotated instances that count."""
        return self.scope.truth

    @property
    def num_videos(self) -> int:
        """V: the videos of the scope, then those with detections that the ground truth does not know."""
        return max(len(self.scope.video_ids), self.detections.num_videos)

    @cached_property
    def matches(self) -> Matches:
        """The one-to-one matching at `tious`, by the rules of the protocol."""
        tious = self.protocol.values(self.tious)
        return match(self.truth, self.detections, tious, self.protocol, self.scope.excused)

    @cached_property
    def first_hits(self) -> FirstHits:
        """For each instance the best-ranked proposal of its video that overlaps it, at `recall_tious`."""
        tious = self.protocol.values(self.recall_tious)
        return first_hits(self.truth, self.detections, tious, kit_ties=self.protocol.ties == "kit")

    @cached_property
    def class_hits(self) -> FirstHits:
        """The same among the detections of its video and class, at `tious`."""
        tious = self.protocol.values(self.tious)
        return first_hits(self.truth, self.detections, tious, by_class=True, kit_ties=self.protocol.ties == "kit")

    def weights(self, drawn: Floats | None = None) -> Floats:
        """Weights (B, V) from how often each video of the scope was drawn (B, scope); None: each counts once.

        Videos that the ground truth does not know always count once.
        """
        if drawn is None:
            return np.ones((1, self.num_videos))
        strangers = self.num_videos - drawn.shape[1]
        return np.concatenate([drawn, np.ones((len(drawn), strangers))], axis=1)


@dataclass(frozen=True)
class Printing:
    """Where tables show a value: title of the table, heading of the column, and how it is written there."""

    table: str
    column: str
    unit: Unit = "fraction"
    digits: int = 2

    def text(self, value: float) -> str:
        """The value as tables print it: a fraction in percent."""
        return f"{100 * value if self.unit == 'fraction' else value:.{self.digits}f}"


class Metric(ABC):
    """One metric, or a family of numbers that are asked for together.

    name is what sentences and titles call it. better says which values `--fail-under` and comparisons prefer. unit and
    digits say how values are printed. headlines are the values that stand for all, as a table of differences and
    `print(evaluation)` show them: names that are there whatever the thresholds ("average_mAP", not "mAP@0.5"); None:
    the metric's first number. thresholds says which thresholds it reads, and a report therefore names: "mAP" are those
    of `--tiou`, "recall" those of `--ar-tiou`. needs_labels: without labels, and without `--agnostic`, it is refused.
    """

    name: ClassVar[str]
    better: ClassVar[Literal["higher", "lower"]] = "higher"
    unit: ClassVar[Unit] = "fraction"
    digits: ClassVar[int] = 2
    headlines: ClassVar[tuple[str, ...] | None] = None
    thresholds: ClassVar[Literal["mAP", "recall"]] = "mAP"
    needs_labels: ClassVar[bool] = True

    @abstractmethod
    def values(self, data: MetricInput, weights: Floats) -> dict[str, Floats]:
        """Each number (B,) by name, under B weightings (B, V) of the videos; the same names for every file.

        weights >= 0 says how often each video counts, in whole numbers: all ones for the plain number, the draws of the
        bootstrap for its interval. A video of weight 0 is not there.
        """

    def class_values(self, data: MetricInput) -> dict[str, Floats]:
        """For `--per-class`: what each of K classes has (K,), by the names of `values`; empty where nothing has.

        Class k has the label k in truth and detections, and the name `data.scope.class_names[k]`; with `--agnostic` all
        are class 0.
        """
        return {}

    def class_name(self, name: str) -> str:
        """What the value `name` is called where it is that of one class, in JSON."""
        return name

    def class_title(self) -> str:
        """The title of the table of classes."""
        return f"{self.name} of each class{self._unit_in_words} at tIoU"

    def printing(self, name: str) -> Printing:
        """How the value `name` is printed. By default all of a metric share a table, headed by what follows the @."""
        column = "average" if name.startswith("average") else name.rpartition("@")[2]
        return Printing(f"{self.name}{self._unit_in_words} at tIoU", column, self.unit, self.digits)

    @property
    def _unit_in_words(self) -> str:
        return "" if self.unit == "number" else " in percent"

    def size(self, data: MetricInput) -> int:
        """How many numbers `values` holds per weighting; the bootstrap bounds its memory by that."""
        return len(data.detections) + len(data.truth)
