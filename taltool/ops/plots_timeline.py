"""Timelines as a figure: per video one panel, a row for the ground truth and one for each file of predictions."""

from collections.abc import Sequence

from taltool.ops.plots import FAINT, INK, Axes, Figure, new_figure, shortened
from taltool.ops.timeline import OTHER_COLOUR, Row, Timeline, lanes, palettes

_WIDTH = 10.0
_ROW_HEIGHT = 0.36
_LANES = 4
# A character of the small print is about this wide (inches).
_CHARACTER = 0.062


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
        _inscribe(axes, row, n, float(centres[n]), float(spans[n]) / extent, fills[n])


def _inscribe(axes: Axes, row: Row, n: int, height: float, share: float, fill: str) -> None:
    text = row.labels[n] if row.scores is None else f"{row.scores[n]:.2f}"
    if len(text) * _CHARACTER < share * (_WIDTH - 2):
        ink = "white" if _is_dark(fill) else INK
        axes.text(row.segments[n].mean(), height, text, ha="center", va="center", fontsize=6.5, color=ink, clip_on=True)


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
