"""What a timeline shows of one video: rows of segments, first the ground truth, then each file of predictions.

`timeline_page` draws many as one HTML page that needs nothing else: no network, no library, works from a file: address.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
import orjson

from taltool.data.records import Floats, Integers, VideoAnnotations, VideoProposals
from taltool.ops.segments import tiou

# Okabe and Ito's colours without black, and an indigo: told apart by colour-blind readers, in this order.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#332288")
OTHER_COLOUR = "#999999"
_PLACE = "/*DATA*/"


@dataclass(frozen=True, eq=False)
class Row:
    """Segments (N, 2) in seconds, best first in a row of predictions; labels (N,) names, "" for none.

    scores (N,) and tious (N,), the highest tIoU with an instance of the same label (any, where there is no label),
    are None in the row of the ground truth.
    """

    name: str
    segments: Floats
    labels: list[str]
    scores: Floats | None = None
    tious: Floats | None = None


@dataclass(frozen=True, eq=False)
class Timeline:
    """The rows of one video; duration in seconds."""

    video_id: str
    duration: float
    rows: list[Row]

    @property
    def num_instances(self) -> int:
        """Annotated instances: how many predictions the top-n view of the papers shows."""
        return len(self.rows[0].segments)

    @property
    def extent(self) -> float:
        """The last second to show: the end of the video or of what lies beyond it.

        Predictions are followed beyond the end for a fifth of the video at most.
        """
        annotated = max([self.duration, *self.rows[0].segments[:, 1].tolist()])
        predicted = max((float(row.segments[:, 1].max(initial=0.0)) for row in self.rows), default=0.0)
        return max(annotated, min(predicted, 1.2 * self.duration))


def truth_row(video: VideoAnnotations, names: Sequence[str]) -> Row:
    """The ground truth in order of time."""
    order = np.lexsort((video.segments[:, 1], video.segments[:, 0]))
    return Row("ground truth", video.segments[order], [names[n] for n in video.labels[order].tolist()])


def prediction_row(name: str, video: VideoProposals, truth: Row) -> Row:
    """The predictions of one file in the total order, with their overlap with the ground truth."""
    video = video.ranked()
    labels = [""] * len(video)
    same = np.ones((len(video), len(truth.labels)), bool)
    if video.labels is not None:
        known = video.names.names
        labels = [known[number] for number in video.labels.tolist()]
        same = np.array(labels, object)[:, None] == np.array(truth.labels, object)[None]
    tious = np.where(same, tiou(video.segments, truth.segments), 0.0).max(axis=1, initial=0.0)
    return Row(name, video.segments, labels, video.scores, tious)


def top(row: Row, count: int) -> Row:
    """The best `count` of a row of predictions; the ground truth stays whole."""
    if row.scores is None:
        return row
    tious = None if row.tious is None else row.tious[:count]
    return Row(row.name, row.segments[:count], row.labels[:count], row.scores[:count], tious)


def colours(timeline: Timeline) -> dict[str, str]:
    """The colour of each label in one video: those of the ground truth first, then by best rank; the rest is grey."""
    first: dict[str, int] = {}
    for row in timeline.rows[1:]:
        for rank, label in enumerate(row.labels):
            first[label] = min(rank, first.get(label, rank))
    names = [*timeline.rows[0].labels, *sorted(first, key=lambda label: first[label])]
    named = enumerate(name for name in dict.fromkeys(names) if name)
    return {"": PALETTE[0]} | {name: PALETTE[n] if n < len(PALETTE) else OTHER_COLOUR for n, name in named}


def palettes(timelines: Sequence[Timeline]) -> list[dict[str, str]]:
    """The colours of each video of a figure: the same for all of them where there are colours for all their labels."""
    own = [colours(timeline) for timeline in timelines]
    names = dict.fromkeys(name for palette in own for name in palette if name)
    if len(names) > len(PALETTE):
        return own
    common = {"": PALETTE[0]} | dict(zip(names, PALETTE, strict=False))
    return [{name: common[name] for name in palette} for palette in own]


def lanes(segments: Floats, most: int) -> Integers:
    """For each segment (N,) the lowest lane where it overlaps no earlier one; the last of `most` takes the rest."""
    ends = np.full(most, -np.inf)
    result = np.zeros(len(segments), np.int64)
    for position in np.argsort(segments[:, 0], kind="stable"):
        free = np.flatnonzero(ends <= segments[position, 0])
        lane = free[0] if len(free) else most - 1
        result[position] = lane
        ends[lane] = max(ends[lane], segments[position, 1])
    return result


def timeline_page(timelines: Sequence[Timeline], sources: Mapping[str, str]) -> str:
    """The page; sources says for a video id at which address its video plays beside the timeline.

    All predictions of `timelines` are in the page; it shows the best n of each file, n being the number of instances,
    until the reader asks for more.
    """
    data = {"other": OTHER_COLOUR, "videos": [_video(each, sources.get(each.video_id)) for each in timelines]}
    # Inside a script element only "<" could end it or open a comment.
    text = orjson.dumps(data).decode().replace("<", "\\u003c")
    template = files("taltool.ops").joinpath("timeline.html").read_text(encoding="utf-8")
    before, after = template.split(_PLACE)
    return before + text + after


def _video(timeline: Timeline, source: str | None) -> dict[str, Any]:
    return {
        "id": timeline.video_id,
        "duration": timeline.duration,
        "extent": timeline.extent,
        "instances": timeline.num_instances,
        "source": source,
        "colours": colours(timeline),
        "rows": [{"name": row.name, "segments": _segments(row)} for row in timeline.rows],
    }


def _segments(row: Row) -> list[dict[str, Any]]:
    count = len(row.labels)
    scores = [None] * count if row.scores is None else row.scores.tolist()
    tious = [None] * count if row.tious is None else row.tious.tolist()
    return [
        {"start": start, "end": end, "label": label, "score": score, "tiou": tiou, "rank": rank}
        for rank, ((start, end), label, score, tiou) in enumerate(
            zip(row.segments.tolist(), row.labels, scores, tious, strict=True), start=1
        )
    ]
