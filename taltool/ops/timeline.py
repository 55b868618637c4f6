"""What a timeline shows of one video: rows of segments, the ground truth if there is one, then files of predictions.

`timeline_figure` draws many as a figure, a panel per video; `timeline_page.timeline_page` as a page for browsers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from taltool.data.records import Floats, Integers, VideoAnnotations, VideoProposals
from taltool.ops.plots import FAINT, INK, PALETTE, Axes, Figure, new_figure, shortened
from taltool.ops.segments import tiou

OTHER_COLOUR = "#999999"
# Predictions of a file that are shown at first of a video without instances.
FIRST_SHOWN = 20
# The figure, in inches; rows are stacked so many deep at most.
_WIDTH = 10.0
_ROW_HEIGHT = 0.36
_LANES = 8
# A character of the small print is about this wide (inches).
_CHARACTER = 0.062


@dataclass(frozen=True, eq=False)
class Row:
    """Segments (N, 2) in seconds, best first in a row of predictions; labels (N,) names, "" for none.

    scores (N,) is None in the row of the ground truth. tious (N,), the highest tIoU with an instance of the same label
    (any, where there is no label), is None there and where there is no ground truth. total: how many predictions the
    file has of the video, None = N.
    """

    name: str
    segments: Floats
    labels: list[str]
    scores: Floats | None = None
    tious: Floats | None = None
    total: int | None = None

    def top(self, count: int) -> "Row":
        """The best `count` of a row of predictions; the ground truth stays whole."""
        if self.scores is None:
            return self
        tious = None if self.tious is None else self.tious[:count]
        return replace(
            self, segments=self.segments[:count], labels=self.labels[:count], scores=self.scores[:count], tious=tious
        )


@dataclass(frozen=True, eq=False)
class Timeline:
    """The rows of one video, that of the ground truth first; duration in seconds, None where nobody said."""

    video_id: str
    duration: float | None
    rows: list[Row]

    @property
    def num_instances(self) -> int:
        """Annotated instances: how many predictions the top-n view of the papers shows."""
        return sum(len(row.segments) for row in self.rows if row.scores is None)

    @property
    def extent(self) -> float:
        """The last second to show: the end of the video or of what lies beyond it.

        Predictions are followed beyond the end for a fifth of the video at most.
        """
        ends = [(row, float(row.segments[:, 1].max(initial=0.0))) for row in self.rows]
        last = max((end for _, end in ends), default=0.0)
        if self.duration is None:
            return last or 1.0
        annotated = max([self.duration, *(end for row, end in ends if row.scores is None)])
        return max(annotated, min(last, 1.2 * self.duration))


def truth_row(video: VideoAnnotations, names: Sequence[str]) -> Row:
    """The ground truth in order of time."""
    order = np.lexsort((video.segments[:, 1], video.segments[:, 0]))
    return Row("ground truth", video.segments[order], [names[n] for n in video.labels[order].tolist()])


def prediction_row(name: str, video: VideoProposals, truth: Row | None, total: int | None = None) -> Row:
    """The predictions of one file in the total order, with their overlap with the ground truth if there is one."""
    video = video.ranked()
    labels = [""] * len(video)
    if video.labels is not None:
        known = video.names.names
        labels = [known[number] for number in video.labels.tolist()]
    tious = None
    if truth is not None:
        overlaps = tiou(video.segments, truth.segments)
        if video.labels is not None:
            overlaps[np.array(labels, object)[:, None] != np.array(truth.labels, object)[None]] = 0.0
        tious = overlaps.max(axis=1, initial=0.0)
    return Row(name=name, segments=video.segments, labels=labels, scores=video.scores, tious=tious, total=total)


def colours(timeline: Timeline) -> dict[str, str]:
    """The colour of each label in one video: those of the ground truth first, then by best rank; the rest is grey."""
    annotated = [label for row in timeline.rows if row.scores is None for label in row.labels]
    first: dict[str, int] = {}
    for row in timeline.rows:
        for rank, label in enumerate(row.labels if row.scores is not None else ()):
            first[label] = min(rank, first.get(label, rank))
    names = [*annotated, *sorted(first, key=lambda label: first[label])]
    named = enumerate(name for name in dict.fromkeys(names) if name)
    return {"": PALETTE[0]} | {name: PALETTE[n] if n < len(PALETTE) else OTHER_COLOUR for n, name in named}


def palettes(timelines: Sequence[Timeline]) -> list[dict[str, str]]:
    """The colours of each video: the same for all of them where there are colours for all their labels."""
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
    """One panel per video. Each box is a segment in its label's colour, with label and score inside where they fit.

    Boxes that overlap within a row are stacked, eight deep at most.
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
    if timeline.duration is not None and timeline.extent > timeline.duration:
        axes.axvline(timeline.duration, color=FAINT, linestyle=":", linewidth=1)
    _legend(axes, palette, timeline)


def _boxes(axes: Axes, row: Row, base: float, depth: float, palette: dict[str, str], extent: float) -> None:
    lane = lanes(row.segments, _LANES)
    step = depth / (int(lane.max(initial=0)) + 1)
    axes.barh([base + depth / 2], [extent], height=depth, color="#F4F4F4", zorder=0)
    spans = row.segments[:, 1] - row.segments[:, 0]
    centres = base + (lane + 0.5) * step
    # The best on top: drawn last.
    for n in reversed(range(len(spans))):
        axes.barh(centres[n], spans[n], left=row.segments[n, 0], height=0.86 * step, color=palette[row.labels[n]],
                  edgecolor="white", linewidth=0.5, alpha=1.0 if row.scores is None else 0.85)  # fmt: skip
    written: list[int] = []
    for n, (start, end) in enumerate(row.segments.tolist()):
        score = None if row.scores is None else float(row.scores[n])
        text = _fitting(row.labels[n], score, spans[n] / extent * (_WIDTH - 2))
        # In the last lane a better one may lie above.
        under = any(lane[m] == lane[n] and row.segments[m, 0] < end and start < row.segments[m, 1] for m in written)
        if text and not under:
            written.append(n)
            ink = "white" if _is_dark(palette[row.labels[n]]) else INK
            axes.text((start + end) / 2, centres[n], text, ha="center", va="center", fontsize=6.5, color=ink,
                      clip_on=True)  # fmt: skip


def _fitting(label: str, score: float | None, width: float) -> str:
    """Label and score, or the label alone, or the score, whichever fits into `width` inches first; else nothing."""
    number = "" if score is None else f"{score:.2f}"
    texts = (f"{label} {number}".strip(), label or number, number)
    return next((text for text in texts if len(text) * _CHARACTER < width), "")


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
