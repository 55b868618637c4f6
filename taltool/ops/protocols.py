"""The rules of a number: how a detection becomes a hit, how hits become an average precision, and at which thresholds.

A protocol is one row per official kit, a data set one row of how papers use it; this is the only place that knows
them. Thresholds are as the user wrote them: 0.4 is the literal 0.4, never a rounding result of a range, unless the
protocol is the kit's own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Literal

import numpy as np

from taltool.errors import UsageError
from taltool.registry import did_you_mean


@dataclass(frozen=True)
class Thresholds:
    """names as printed ("0.30", "0.125"), values the float64 nearest to each; text what the user wrote."""

    text: str
    names: tuple[str, ...]
    values: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Protocol:
    """One set of rules.

    chooser: who picks its partner. "detections": by descending score, each takes the free instance that it overlaps
    most. "instances": in file order, each takes the free detection that it overlaps most, whatever its score.
    strict: the tIoU must exceed the threshold; else reaching it is enough.
    average_precision: "interpolated" is the area under the precision-recall curve made non-increasing; "sum" the
    precisions at true positives over the positives; "eleven-point" the mean of the best precision at recall 0 to 1.
    ties: who comes first among equal scores. "total": the total order (video, start, end), whatever the order of the
    file. "hits": true positives before false ones. "kit": as numpy's unstable sort leaves them, which depends on the
    order of the file, on numpy's version and on the processor.
    linspace: a range of thresholds is numpy.linspace's (its 0.4 is 0.39999999999999997), not the literal decimals.
    excused: the label whose segments forgive false positives that overlap them at all; None = no such label.
    source: where the rules are written.
    """

    name: str
    chooser: Literal["detections", "instances"]
    strict: bool
    average_precision: Literal["interpolated", "sum", "eleven-point"]
    ties: Literal["total", "hits", "kit"] = "total"
    linspace: bool = False
    excused: str | None = None
    source: str = ""

    def values(self, thresholds: Thresholds) -> list[float]:
        """The thresholds to compute with: the literals, or numpy's where the protocol says so."""
        if self.linspace and ":" in thresholds.text and "," not in thresholds.text:
            return np.linspace(thresholds.values[0], thresholds.values[-1], len(thresholds)).tolist()
        return list(thresholds.values)


ACTIVITYNET = Protocol(
    name="activitynet",
    chooser="detections",
    strict=False,
    average_precision="interpolated",
    source="ActivityNet kit, Evaluation/eval_detection.py",
)
# For reproducing a number that the kit itself printed: the same rules, with its accidents.
ACTIVITYNET_KIT = Protocol(
    name="activitynet-kit",
    chooser="detections",
    strict=False,
    average_precision="interpolated",
    ties="kit",
    linspace=True,
    source="ActivityNet kit, Evaluation/eval_detection.py, with its order of ties and its thresholds",
)
# The kit that the papers of 2016-2018 used; it reproduces the published numbers of S-CNN.
THUMOS14 = Protocol(
    name="thumos14",
    chooser="instances",
    strict=True,
    average_precision="sum",
    excused="Ambiguous",
    source="TH14evalkit, TH14evalDet_Updated.m",
)
THUMOS14_2014 = Protocol(
    name="thumos14-2014",
    chooser="instances",
    strict=True,
    average_precision="eleven-point",
    ties="hits",
    excused="Ambiguous",
    source="TH14evalkit of the 2014 challenge, TH14eventdetpr.m",
)
PROTOCOLS = {protocol.name: protocol for protocol in (ACTIVITYNET, ACTIVITYNET_KIT, THUMOS14, THUMOS14_2014)}


def protocol_named(name: str) -> Protocol:
    """The rules of that name.

    Raises UsageError, listing all, for an unknown one.
    """
    if name not in PROTOCOLS:
        known = list(PROTOCOLS)
        raise UsageError(f"no protocol is named '{name}'{did_you_mean(name, known)} (there are: {', '.join(known)})")
    return PROTOCOLS[name]


def parse_thresholds(given: str | float | Sequence[float], option: str = "--tiou") -> Thresholds:
    """Read "0.5,0.75" or "0.3:0.7:0.1" (start:stop:step, both ends included), a mixture with commas, or numbers.

    Raises UsageError, naming `option`, for anything else, for values outside (0, 1], and for a value given twice.
    """
    numbers = [given] if isinstance(given, int | float) else given
    text = numbers if isinstance(numbers, str) else ",".join(str(float(number)) for number in numbers)
    values = [value for part in text.split(",") for value in _part(part.strip(), f"{option} {text}")]
    for value in values:
        if not 0 < value <= 1:
            raise UsageError(f"{option} {text}: a tIoU lies above 0 and at most at 1, not at {value}")
    if len(set(values)) < len(values):
        raise UsageError(f"{option} {text}: a threshold is given twice")
    return Thresholds(text, tuple(map(_name, values)), tuple(map(float, values)))


def _part(part: str, where: str) -> list[Decimal]:
    try:
        numbers = [Decimal(word) for word in part.split(":")]
    except InvalidOperation:
        raise UsageError(f"{where}: '{part}' is neither a number nor start:stop:step") from None
    if not all(number.is_finite() for number in numbers):
        raise UsageError(f"{where}: '{part}' is not finite")
    if len(numbers) == 1:
        return numbers
    if len(numbers) != 3:
        raise UsageError(f"{where}: '{part}' is not start:stop:step, such as 0.3:0.7:0.1")
    start, stop, step = numbers
    if step <= 0 or stop < start:
        hint = f" (did you mean {start}:{step}:{stop}?)" if start < step and stop > 0 else ""
        raise UsageError(f"{where}: a range is start:stop:step with start <= stop and a positive step{hint}")
    count = int((stop - start) / step) + 1
    if count > 1000:
        raise UsageError(f"{where}: {count} thresholds are too many")
    return [start + number * step for number in range(count)]


def _name(value: Decimal) -> str:
    exact = format(value.normalize(), "f")
    return exact if len(exact.partition(".")[2]) >= 2 else format(value, ".2f")


@dataclass(frozen=True)
class DatasetSpec:
    """How a data set is used.

    training and evaluation are names of its subsets; tious are the thresholds of its average mAP, recall_tious those
    of AR@AN; protocol the rules that papers on it follow today. diagnosis_tious and groups are those of DETAD's
    figures: for a characteristic of instances, the values (seconds, shares, counts) that part its groups.
    """

    name: str
    training: str
    evaluation: str
    tious: str
    recall_tious: str = "0.5:0.95:0.05"
    protocol: str = "activitynet"
    diagnosis_tious: str = "0.5"
    groups: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


_ROWS = (
    # The untrimmed `validation` videos train, as the data set's own training clips are trimmed. Papers since about
    # 2019 follow the ActivityNet rules; the challenge's own kit is --protocol thumos14.
    DatasetSpec(
        "thumos14",
        training="validation",
        evaluation="testing",
        tious="0.3:0.7:0.1",
        groups={"coverage": (0.02, 0.04, 0.06, 0.08), "length": (3, 6, 12, 18), "num-instances": (1, 40, 80)},
    ),
    # The labels of their testing subsets are withheld. The older release has the same rules for half of the classes.
    *(
        DatasetSpec(
            name,
            training="training",
            evaluation="validation",
            tious="0.5:0.95:0.05",
            diagnosis_tious="0.5:0.95:0.05",
            groups={"coverage": (0.2, 0.4, 0.6, 0.8), "length": (30, 60, 120, 180), "num-instances": (1, 4, 8)},
        )
        for name in ("activitynet13", "activitynet12")
    ),
)
DATASETS = {row.name: row for row in _ROWS}

# For data that no row describes.
ANY_DATASET = DatasetSpec("", training="training", evaluation="validation", tious="0.3:0.7:0.1")


def dataset_of_preset(preset: str) -> DatasetSpec:
    """The data set that the name of a model's preset holds ("code-thumos14"), or `ANY_DATASET`."""
    return next((row for row in _ROWS if row.name in preset), ANY_DATASET)


def dataset_spec(name: str | None) -> DatasetSpec:
    """The row of the data set `name`; None or "auto" gives ANY_DATASET.

    Raises UsageError, listing the rows, for an unknown name.
    """
    if name is None or name == "auto":
        return ANY_DATASET
    if name not in DATASETS:
        known = list(DATASETS)
        raise UsageError(f"no data set is named '{name}'{did_you_mean(name, known)} (there are: {', '.join(known)})")
    return DATASETS[name]
