"""The rules by which a detection becomes a hit and hits become an average precision: one row per official kit."""

from dataclasses import dataclass
from typing import Literal


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


ACTIVITYNET = Protocol(
    "activitynet", "detections", False, "interpolated", source="ActivityNet kit, Evaluation/eval_detection.py"
)
# For reproducing a number that the kit itself printed: the same rules, with its accidents.
ACTIVITYNET_KIT = Protocol(
    "activitynet-kit",
    "detections",
    False,
    "interpolated",
    ties="kit",
    linspace=True,
    source="ActivityNet kit, Evaluation/eval_detection.py, with its order of ties and its thresholds",
)
# The kit that the papers of 2016-2018 used; it reproduces the published numbers of S-CNN.
THUMOS14 = Protocol(
    "thumos14", "instances", True, "sum", excused="Ambiguous", source="TH14evalkit, TH14evalDet_Updated.m"
)
THUMOS14_2014 = Protocol(
    "thumos14-2014",
    "instances",
    True,
    "eleven-point",
    ties="hits",
    excused="Ambiguous",
    source="TH14evalkit of the 2014 challenge, TH14eventdetpr.m",
)
PROTOCOLS = {protocol.name: protocol for protocol in (ACTIVITYNET, ACTIVITYNET_KIT, THUMOS14, THUMOS14_2014)}
