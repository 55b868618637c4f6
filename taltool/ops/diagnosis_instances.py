"""Which instances a detector misses, and to what it is sensitive: DETAD's groups of instances by their characteristics.

A characteristic is a number per instance (its length, say); bins turn it into a few named groups.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taltool.data.records import Booleans, Floats, Integers
from taltool.ops.diagnosis import average_map_n, instances_per_class, normalised_precision
from taltool.ops.matching import Matches
from taltool.ops.segments import lengths, ratio

# Detections after the point where precision_N falls to this do not find anything (DETAD's false-negative analysis).
_USELESS_PRECISION = 0.05
_SIZES = {1: ("M",), 2: ("S", "L"), 3: ("S", "M", "L"), 4: ("XS", "S", "M", "L"), 5: ("XS", "S", "M", "L", "XL")}


@dataclass(frozen=True)
class Bins:
    """Groups of a number: group i holds values in (edges[i], edges[i + 1]]; the outer groups take what lies beyond."""

    edges: tuple[float, ...]
    names: tuple[str, ...]

    def numbers(self, values: Floats) -> Integers:
        """The group (M,) of each value (M,); -1 where the value is nan."""
        return np.where(np.isnan(values), -1, np.searchsorted(self.edges[1:-1], values, side="left"))


_OPEN = float("inf")
# What annotators judge has steps of its own (DETAD, section 5).
ANNOTATOR_BINS = {
    "context-size": Bins(tuple(range(-1, 7)), tuple("0123456")),
    "context-distance": Bins(tuple(range(-1, 4)), ("Inf", "N", "M", "F")),
    "agreement": Bins((0, 0.2, 0.4, 0.6, 0.8, 1), ("XW", "W", "M", "H", "XH")),
}


def bins_at(cuts: Sequence[float]) -> Bins:
    """The groups between ascending `cuts`, named XS to XL where they are five or fewer, else by number."""
    count = len(cuts) + 1
    names = _SIZES.get(count) or tuple(str(number) for number in range(1, count + 1))
    return Bins((0.0, *cuts, _OPEN), names)


def fit_bins(values: Floats) -> Bins:
    """Groups of about a fifth of the values (M,) each; fewer where many values are equal."""
    if not len(values):
        return bins_at(())
    cuts = np.unique(np.quantile(values, (0.2, 0.4, 0.6, 0.8), method="inverted_cdf"))
    return bins_at(cuts[cuts < values.max()].tolist())


def characteristics(segments: Floats, videos: Integers, durations: Floats) -> dict[str, Floats]:
    """What every ground truth tells of its instances (M,): coverage of the video, length (s), instances in the video.

    durations (V,) are the videos' in seconds.
    """
    return {
        "coverage": ratio(lengths(segments), durations[videos]),
        "length": lengths(segments),
        "num-instances": np.bincount(videos, minlength=len(durations))[videos].astype(float),
    }


@dataclass(frozen=True)
class Group:
    """One group of instances: how many, the share of them that no detection finds, and average-mAP_N on them alone.

    low and high bound the group's values; average_map_n is nan for an empty group.
    """

    name: str
    low: float
    high: float
    instances: int
    missed: float
    average_map_n: float


def group_analysis(matches: Matches, values: Floats, bins: Bins) -> list[Group]:
    """False negatives and sensitivity of each group of instances; values (M,) is the characteristic of each."""
    numbers = bins.numbers(values)
    missed = missed_instances(matches).mean(axis=0)
    groups = []
    for position, name in enumerate(bins.names):
        inside = numbers == position
        count = int(inside.sum())
        share = float(missed[inside].mean()) if count else np.nan
        low, high = bins.edges[position], bins.edges[position + 1]
        groups.append(Group(name, low, high, count, share, _map_n_on(matches, inside) if count else np.nan))
    return groups


def missed_instances(matches: Matches) -> Booleans:
    """Which instances (L, M) no detection finds while precision_N is above 0.05."""
    per_class = instances_per_class(matches)
    normaliser = per_class.sum() / max(np.count_nonzero(per_class), 1)
    precision = np.zeros(matches.hits.shape)
    for label in np.flatnonzero(per_class):
        ranked = slice(matches.edges[label], matches.edges[label + 1])
        hits = matches.hits[:, ranked]
        precision[:, ranked], _ = normalised_precision(hits, ~hits, per_class[label], normaliser)
    useful = np.pad(precision > _USELESS_PRECISION, ((0, 0), (0, 1)))  # the last one stands for "no detection"
    return ~np.take_along_axis(useful, matches.partners, axis=1)


def _map_n_on(matches: Matches, inside: Booleans) -> float:
    """average-mAP_N where only the instances `inside` (M,) exist.

    Detections that match another instance count neither way, at that threshold. (DETAD's own code drops them at all
    later thresholds of its list too, so its numbers over several thresholds differ.) Classes without such an instance
    stay out of the mean.
    """
    labels = matches.positives.labels
    per_class = np.bincount(labels[inside], minlength=matches.positives.num_classes)
    elsewhere = np.zeros((len(matches.hits), matches.hits.shape[1] + 1), bool)
    np.put_along_axis(elsewhere, matches.partners[:, ~inside], True, axis=1)
    counted = ~elsewhere[:, :-1]
    return average_map_n(matches, matches.hits & counted, counted, per_class)


def overall_map_n(matches: Matches) -> float:
    """average-mAP_N of all detections on all instances."""
    return average_map_n(matches, matches.hits, np.ones_like(matches.hits))


def range_in_words(groups: Sequence[Group], position: int) -> str:
    """The range of the group at `position`: `<= 3`, `3-6`, `> 18`."""
    group = groups[position]
    if len(groups) == 1:
        return "all"
    if position == 0:
        return f"<= {group.high:.3g}"
    if position == len(groups) - 1:
        return f"> {group.low:.3g}"
    return f"{group.low:.3g}-{group.high:.3g}"
