"""What a timeline shows of one video: rows of segments, first the ground truth, then each file of predictions.

`timeline_figure` draws many as a figure, a panel per video. `timeline_page` draws them as one HTML page that needs
nothing else: no network, no library, works from a file: address.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
import orjson

from taltool.data.records import Floats, Integers, VideoAnnotations, VideoProposals
from taltool.ops.plots import FAINT, INK, PALETTE, Axes, Figure, new_figure, shortened
from taltool.ops.segments import tiou

OTHER_COLOUR = "#999999"
# Where the data stand in the template of the page.
_PLACE = "/*DATA*/"
# The figure, in inches; rows are stacked so many deep at most.
_WIDTH = 10.0
_ROW_HEIGHT = 0.36
_LANES = 4
# A character of the small print is about this wide (inches).
_CHARACTER = 0.062


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

    def top(self, count: int) -> "Row":
        """The best `count` of a row of predictions; the ground truth stays whole."""
        if self.scores is None:
            return self
        tious = None if self.tious is None else self.tious[:count]
        return Row(
            name=self.name,
            segments=self.segments[:count],
            labels=self.labels[:count],
            scores=self.scores[:count],
            tious=tious,
        )


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


def timeline_figure(timelines: Sequence[Timeline]) -> Figure:
    """One panel per video. Each box is a segment in its label's colour, with the score inside where it fits.

    Boxes that overlap within a row are stacked, four deep at most.
    """
    heights = [0.75 + _ROW_HEIGHT * sum(_depth(row) for row in each.rows) for each in timelines]
    figure = new_figure(_WIDTH, max(1.6, sum(heights)))
    grid = figure.add_gridspec(len(timelines), 1, height_ratios=heights)
    for position, (each, palette) in enumerate(zip(timelines, palettes(timelines), strict=True)):
        _draw(figure.add_subplot(grid[position]), each, palette)
    return figure


def _depth(row: Row) -> float:
    """Height of a row in units of one lane; further lanes are flatter."""
    used = int(lanes(row.segments, _LANES).max(initial=0)) + 1
    return 1 + 0.55 * (used - 1)


def _draw(axes: Axes, timeline: Timeline, palette: dict[str, str]) -> None:
    base, ticks, names = 0.0, [], []
    for row in timeline.rows:
        depth = _depth(row)
        _boxes(axes, row, base, depth, palette, timeline.extent)
        ticks.append(base + depth / 2)
        names.append(shortened(row.name, 28))
        base += depth + 0.15
    axes.set_ylim(base, -0.1)
    axes.set_xlim(0, timeline.extent)
    axes.set_yticks(ticks, names)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_title(timeline.video_id)
    axes.set_xlabel("seconds", loc="right", fontsize=8)
    if timeline.extent > timeline.duration:
        axes.axvline(timeline.duration, color=FAINT, linestyle=":", linewidth=1)
    _legend(axes, palette, timeline)


def _boxes(axes: Axes, row: Row, base: float, depth: float, palette: dict[str, str], extent: float) -> None:
    lane = lanes(row.segments, _LANES)
    step = depth / (int(lane.max(initial=0)) + 1)
    axes.barh([base + depth / 2], [extent], height=depth, color="#F4F4F4", zorder=0)
    spans = row.segments[:, 1] - row.segments[:, 0]
    centres = base + (lane + 0.5) * step
    fills = [palette[label] for label in row.labels]
    # The best on top: drawn last.
    for n in reversed(range(len(spans))):
        axes.barh(centres[n], spans[n], left=row.segments[n, 0], height=0.86 * step, color=fills[n], edgecolor="white",
                  linewidth=0.5, alpha=1.0 if row.scores is None else 0.85)  # fmt: skip
        text = row.labels[n] if row.scores is None else f"{row.scores[n]:.2f}"
        if len(text) * _CHARACTER < spans[n] / extent * (_WIDTH - 2):
            ink = "white" if _is_dark(fills[n]) else INK
            axes.text(row.segments[n].mean(), centres[n], text, ha="center", va="center", fontsize=6.5, color=ink,
                      clip_on=True)  # fmt: skip


def _is_dark(colour: str) -> bool:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue < 140


def _legend(axes: Axes, palette: dict[str, str], timeline: Timeline) -> None:
    from matplotlib.patches import Patch

    shown = {label for row in timeline.rows for label in row.labels}
    present = [name for name in palette if name and name in shown]
    named = [name for name in present if palette[name] != OTHER_COLOUR]
    patches = [Patch(color=palette[name], label=shortened(name, 30)) for name in named]
    if len(present) > len(named):
        patches.append(Patch(color=OTHER_COLOUR, label=f"{len(present) - len(named)} more"))
    if patches:
        axes.legend(handles=patches, loc="lower right", bbox_to_anchor=(1, 1), ncols=5, borderaxespad=0.2,
                    handlelength=1, columnspacing=1.2, fontsize=8)  # fmt: skip


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
