"""Recall of proposals, whatever their label: three different things that the field calls by similar names.

AR@AN and AUC are the ActivityNet proposal kit's (eval_proposal.py). AN is an average: each video gives the same
fraction of its own proposals, so a video with many gives more than AN. Its AUC runs from AN = 1, so that perfect
proposals reach 99, not 100. Instances count whatever their class, twice where two classes share a segment.
Recall at fixed k takes the k best proposals of every video. R@kx takes, in each video and class, the k*n best
detections, n being the number of instances there (ActionFormer, OpenTAD).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taltool.data.arrays import Detections, Instances
from taltool.data.records import Floats, Integers
from taltool.ops.matching import overlapping_pairs
from taltool.ops.row_blocks import shared_blocks
from taltool.ops.tie_order import kit_order, total_order


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


def average_recall(hits: FirstHits, weights: Floats, max_average: int = 100) -> Floats:
    """AR (B, max_average) at an average number of 1 .. max_average proposals a video, under B weightings of videos.

    weights (B, V) says how often each video counts. The recall is averaged over the thresholds of `hits`.
    """
    _, instance = np.nonzero(hits.ranks < hits.nowhere)
    ranks, videos = hits.ranks[hits.ranks < hits.nowhere], hits.truth.videos[instance]
    return np.stack([_recall_curve(hits, ranks, videos, each, max_average) for each in weights])


def _recall_curve(hits: FirstHits, ranks: Integers, videos: Integers, weights: Floats, max_average: int) -> Floats:
    """AR (max_average,) from the ranks (H,) at which instances of the videos (H,) are first hit.

    The order of operations is the kit's, since floors of products decide.
    """
    annotated = np.zeros(len(weights), bool)
    annotated[hits.truth.videos] = True
    num_videos, given = weights[annotated].sum(), (weights * hits.proposals).sum()
    if not given or not num_videos:
        return np.zeros(max_average)
    ratio = max_average * num_videos / given
    taken = np.minimum((hits.proposals * ratio).astype(np.int64), hits.proposals)
    total = (weights * taken)[annotated].sum()
    if not total:
        return np.zeros(max_average)
    share = max_average * num_videos / total
    fractions = np.arange(1, max_average + 1) / max_average * share
    within = ranks < taken[videos]
    videos = videos[within]
    steps = _steps_to_reach(ranks[within] + 1, taken[videos], fractions)
    gains = np.bincount(steps, weights[videos], minlength=max_average + 1)[:max_average]
    return np.cumsum(gains) / (len(hits.ranks) * weights[hits.truth.videos].sum())


def _steps_to_reach(wanted: Integers, taken: Integers, fractions: Floats) -> Integers:
    """At how many of the A ascending fractions int(taken * fraction) is below `wanted` (H,); taken (H,) > 0."""
    # The fractions are even steps, so division finds the place, but for rounding one below or above.
    near = (wanted / (taken * fractions[0])).clip(max=len(fractions)).astype(np.int64)
    sure = np.maximum(near - 1, 0)
    padded = np.append(fractions, np.inf)
    return sure + (taken * padded[sure] < wanted) + (taken * padded[sure + 1] < wanted)


def area_under_curve(recalls: Floats) -> Floats:
    """AUC (B,) in percent of the curves (B, AN) over AN = 1 .. max, by the trapezoid rule, divided by the last AN."""
    return 100 * (recalls[:, 1:] + recalls[:, :-1]).sum(axis=1) / 2 / recalls.shape[1]


def fixed_recall(hits: FirstHits, weights: Floats, number: int) -> Floats:
    """Recall (B,) when every video gives its `number` best proposals, averaged over the thresholds."""
    found = (hits.ranks < min(number, hits.nowhere)).mean(axis=0)
    share = weights[:, hits.truth.videos]
    return (share * found).sum(axis=1) / np.maximum(share.sum(axis=1), 1)


def multiple_recall(hits: FirstHits, weights: Floats, multiple: int) -> Floats:
    """R@kx (B, L) for k = `multiple`: the mean over classes of the recall of the k*n best of each video and class.

    hits must be by class. A detection may serve several instances here, unlike in AP.
    """
    truth = hits.truth
    groups = truth.labels * truth.num_videos + truth.videos
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    found = hits.ranks < np.minimum(multiple * sizes[group], hits.nowhere)
    share = weights[:, truth.videos]
    member = truth.labels[:, None] == np.arange(truth.num_classes)  # (M, K)
    positives = share @ member
    counted = np.stack([(share * row) @ member for row in found], axis=1)  # (B, L, K)
    recall = counted / np.maximum(positives, 1)[:, None]
    return recall.sum(axis=2) / np.maximum((positives > 0).sum(axis=1), 1)[:, None]
