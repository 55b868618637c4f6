"""Which detections find which instances, at all tIoU thresholds at once: the part that every metric shares.

`match` is the one-to-one matching that decides what a true positive is; `first_hits` looks for the best-ranked
proposal that overlaps each instance, whoever else it finds, which is what recall asks for.

Both families of official rules are a serial dictatorship: one side chooses in a fixed order, and each chooser takes
the free partner that it overlaps most. Such a matching is the only stable one when all partners agree on who comes
first, so it is found by deferred acceptance: every chooser asks for its favourite, each partner keeps the earliest who
asked, the others ask for their next. That needs few rounds of array work instead of a loop over detections (Gale and
Shapley, College Admissions and the Stability of Marriage, 1962).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from taltool.data.arrays import Detections, Instances, Numbers
from taltool.data.records import Booleans, Floats, Integers
from taltool.ops.protocols import ACTIVITYNET, Protocol
from taltool.ops.segments import Rows, blocks, by_group, kit_order, paired_tiou, shared_blocks, total_order

# Pairs whose tIoU is computed together: bounds the memory at about 15 MB.
_PAIRS_AT_ONCE = 1 << 18


@dataclass(frozen=True, eq=False)
class Matches:
    """Detections in the total order, each a true positive or not at each of L thresholds.

    order (N,) are positions in `detections`: those of known classes, ranked. edges (K + 1,): class k is the slice
    edges[k]:edges[k + 1]. forgiven (N,) that a false positive does not count. partners (L, M): which detection (ranked
    position) matched each instance, N for none. positives: the instances. Of each detection 5 bytes are added.
    """

    detections: Detections
    order: Rows
    edges: Integers
    forgiven: Booleans
    partners: Integers
    positives: Instances

    @property
    def videos(self) -> Numbers:
        """The videos (N,) in the total order."""
        return self.detections.videos[self.order]

    @property
    def scores(self) -> Floats:
        """The scores (N,) in the total order."""
        return self.detections.scores[self.order]

    @cached_property
    def hits(self) -> Booleans:
        """Which detections (L, N), in the total order, are true positives."""
        hits = np.zeros((len(self.partners), len(self.order) + 1), bool)
        np.put_along_axis(hits, self.partners, True, axis=1)
        return hits[:, :-1]


def match(
    truth: Instances,
    detections: Detections,
    tious: Sequence[float],
    protocol: Protocol = ACTIVITYNET,
    excused: Instances | None = None,
) -> Matches:
    """Match detections to instances of the same video and class at each of L tIoU thresholds, one to one.

    Segments of zero length never match; detections of labels that no instance has are left out. excused are segments
    that forgive false positives overlapping them, where the protocol has that rule.
    """
    order, edges = by_group(detections.labels, truth.num_classes)
    for first, last in blocks(edges):
        own = order[edges[first] : edges[last]]  # a view: the order is changed in place
        block = detections.take(own)
        kit = protocol.ties == "kit"
        own[:] = own[kit_order(block.labels, block.scores) if kit else total_order(block.labels, block)]
    partners = np.full((len(tious), len(truth)), len(order))
    forgiven = np.zeros(len(order), bool)
    num_videos = max(truth.num_videos, detections.num_videos)
    for ranked, instances in shared_blocks(detections.videos[order], truth.videos, num_videos):
        block, part = detections.take(order[ranked]), truth.take(instances)
        groups = block.labels.astype(np.int64) * num_videos + block.videos
        part_groups = part.labels * num_videos + part.videos
        if protocol.chooser == "detections":
            pairs = overlapping_pairs(block.segments, groups, part.segments, part_groups, min(tious))
            found = serial_match(pairs, len(block), len(part), tious, protocol.strict)
        else:
            pairs = overlapping_pairs(part.segments, part_groups, block.segments, groups, min(tious))
            takers = serial_match(pairs, len(part), len(block), tious, protocol.strict)
            # From which instance took a detection (L, N) to which detection an instance took (L, M), N for none.
            found = np.full((len(tious), len(part)), len(block))
            level, taken = np.nonzero(takers < len(part))
            found[level, takers[level, taken]] = taken
        partners[:, instances] = np.append(ranked, len(order))[found]
        if protocol.excused is not None and excused is not None:
            reached = overlapping_pairs(block.segments, block.videos, excused.segments, excused.videos, 0.0).first
            forgiven[ranked[reached]] = True
    return Matches(
        detections=detections, order=order, edges=edges, forgiven=forgiven, partners=partners, positives=truth
    )


@dataclass(frozen=True, eq=False)
class FirstHits:
    """For each of M instances and L thresholds, how far down its group's ranking the first overlapping proposal is.

    ranks (L, M) count from 0; a value of at least `nowhere` means that none overlaps enough. proposals (V,) is the
    number of proposals of each video, unknown ones included.
    """

    truth: Instances
    ranks: Integers
    nowhere: int
    proposals: Integers


def first_hits(
    truth: Instances, detections: Detections, tious: Sequence[float], *, by_class: bool = False, kit_ties: bool = False
) -> FirstHits:
    """Look for the best-ranked proposal that overlaps each instance, among those of its video (and class).

    Proposals are ranked by score down, then start and end up; with kit_ties as the kit's unstable sort leaves them.
    """
    num_videos = max(truth.num_videos, detections.num_videos)
    ranks = np.full((len(tious), len(truth)), len(detections))
    for rows, instances in shared_blocks(detections.videos, truth.videos, num_videos):
        block, part = detections.take(rows), truth.take(instances)
        groups, part_groups = block.videos, part.videos
        if by_class:
            groups = groups + block.labels.astype(np.int64) * num_videos
            part_groups = part_groups + part.labels * num_videos
        order = kit_order(groups, block.scores) if kit_ties else total_order(groups, block)
        groups = groups[order]
        pairs = overlapping_pairs(part.segments, part_groups, block.segments[order], groups, min(tious))
        rank = (np.arange(len(order)) - np.searchsorted(groups, groups, "left"))[pairs.second]
        for row, threshold in zip(ranks, tious, strict=True):
            reached = pairs.tious >= threshold
            np.minimum.at(row, instances[pairs.first[reached]], rank[reached])
    return FirstHits(truth, ranks, len(detections), np.bincount(detections.videos, minlength=num_videos))


@dataclass(frozen=True, eq=False)
class Pairs:
    """Overlapping pairs: first (P,) and second (P,) are positions in the two sides, tious (P,) their tIoU > 0.

    Ordered by first, then second.
    """

    first: Integers
    second: Integers
    tious: Floats


def overlapping_pairs(segments: Floats, groups: Numbers, others: Floats, other_groups: Numbers, lowest: float) -> Pairs:
    """Every pair of segments (N, 2) and others (M, 2) of one group whose tIoU is positive and at least `lowest`.

    groups (N,) and other_groups (M,) are any integers (video, or video and class).
    """
    order = np.argsort(other_groups, kind="stable")
    begin = np.searchsorted(other_groups[order], groups, "left")
    counts = np.searchsorted(other_groups[order], groups, "right") - begin
    found = []
    for rows in _blocks(counts):
        sizes = counts[rows]
        first = np.repeat(np.arange(rows.start, rows.stop), sizes)
        position = np.arange(len(first)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        second = order[np.repeat(begin[rows], sizes) + position]
        tious = paired_tiou(segments[first], others[second])
        kept = (tious > 0) & (tious >= lowest)
        found.append((first[kept], second[kept], tious[kept]))
    first, second, tious = (np.concatenate(column) for column in zip(*found, strict=True))
    return Pairs(first, second, tious)


def _blocks(counts: Integers) -> list[slice]:
    """Slices of the rows such that the counts in each sum to about _PAIRS_AT_ONCE; at least one slice."""
    total = np.cumsum(counts)
    last = int(total[-1]) if len(total) else 0
    cuts = np.searchsorted(total, np.arange(_PAIRS_AT_ONCE, last, _PAIRS_AT_ONCE)) + 1
    edges = np.unique(np.concatenate([[0], cuts, [len(counts)]])).tolist()
    return [slice(a, b) for a, b in pairwise(edges)] or [slice(0, 0)]


def serial_match(
    pairs: Pairs, num_choosers: int, num_partners: int, thresholds: Sequence[float], strict: bool
) -> Integers:
    """Who gets each partner when the first side of `pairs` chooses in the order of its positions.

    Each chooser takes the free partner of the highest tIoU (equal tIoU: the lower position) that reaches the
    threshold. Returns (L, num_partners): the chooser at each of L thresholds, or num_choosers where nobody came.
    """
    order = np.lexsort((-pairs.tious, pairs.first))
    wishes, tious = pairs.second[order], pairs.tious[order]
    begin = np.flatnonzero(np.diff(pairs.first, prepend=-1))
    choosers = pairs.first[begin]
    takers = np.full(len(thresholds) * num_partners, len(choosers))
    if len(choosers):
        # Wishes are in descending tIoU, so those that reach a threshold are the first ones of each list.
        reached = [tious > threshold if strict else tious >= threshold for threshold in thresholds]
        counts = np.stack([np.add.reduceat(each.astype(np.int64), begin) for each in reached])
        _defer(takers.reshape(len(thresholds), num_partners), wishes, begin, counts)
    return np.append(choosers, num_choosers)[takers].reshape(len(thresholds), num_partners)


def _defer(takers: Integers, wishes: Integers, begin: Integers, counts: Integers) -> None:
    """Deferred acceptance, writing into takers (L, partners); counts (L, C) is the length of each chooser's list."""
    num_choosers, num_partners = counts.shape[1], takers.shape[1]
    taker, remaining = takers.ravel(), counts.ravel()  # views: levels and choosers in one index
    asked = np.zeros_like(remaining)
    asking = np.flatnonzero(remaining)
    while len(asking):
        level, chooser = np.divmod(asking, num_choosers)
        wanted = level * num_partners + wishes[begin[chooser] + asked[asking]]
        before = taker[wanted]
        np.minimum.at(taker, wanted, chooser)
        refused = asking[taker[wanted] != chooser]
        ousted = (before < num_choosers) & (before != taker[wanted])
        evicted = np.unique(level[ousted] * num_choosers + before[ousted])
        asking = np.concatenate([refused, evicted])
        asked[asking] += 1
        asking = asking[asked[asking] < remaining[asking]]
