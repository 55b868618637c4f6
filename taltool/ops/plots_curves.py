"""Curves and bars: average recall, precision and recall, AP per class, training."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from taltool.data.records import Floats
from taltool.ops.plots import FAINT, GRID, INK, Axes, Figure, colour, legend_above, line_style, new_figure, shortened

_ROWS_PER_COLUMN = 50
_MARKERS = "os^Dv*"
# The largest value of a training's panel over the smallest from which on the axis is logarithmic.
_LOGARITHMIC_FROM = 200


@dataclass(frozen=True, eq=False)
class Line:
    """A named line of x (N,) and y (N,)."""

    name: str
    x: Floats
    y: Floats


def recall_figure(lines: Sequence[Line], thresholds: str) -> Figure:
    """Average recall (y, 0 to 1) against the average number of proposals per video (x)."""
    figure, axes = _single(5.4, 4.2)
    for position, line in enumerate(lines):
        axes.plot(line.x, line.y, line_style(position), color=colour(position), label=line.name)
    axes.set_xlabel("average number of proposals per video")
    axes.set_ylabel(f"average recall, tIoU {thresholds}")
    axes.set_xlim(1, max(float(line.x[-1]) for line in lines))
    axes.set_ylim(0, _round_up(max(float(line.y.max()) for line in lines)))
    _finish_curves(axes)
    return figure


def precision_figure(lines: Sequence[Line], thresholds: str) -> Figure:
    """Interpolated precision (y) against recall (x), both 0 to 1."""
    figure, axes = _single(5.4, 4.2)
    for position, line in enumerate(lines):
        axes.plot(line.x, line.y, line_style(position), color=colour(position), label=line.name)
    axes.set_xlabel("recall")
    axes.set_ylabel(f"precision, mean over classes, tIoU {thresholds}")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    _finish_curves(axes)
    return figure


def _single(width: float, height: float) -> tuple[Figure, Axes]:
    figure = new_figure(width, height)
    return figure, figure.add_subplot()


def _finish_curves(axes: Axes) -> None:
    axes.grid(True)
    legend_above(axes, 1)


def _round_up(value: float) -> float:
    return min(1.0, math.ceil(max(value, 0.01) * 11) / 10)


def class_figure(names: Sequence[str], files: Mapping[str, Floats], measure: str) -> Figure:
    """A dot per class (row) and file, in percent; rows in order of the first file's values, best on top.

    files: name -> values (K,), nan for a class without instances. More than 50 classes go on in further columns.
    """
    order = np.argsort(-np.nan_to_num(next(iter(files.values())), nan=-1.0), kind="stable")
    columns = math.ceil(len(order) / _ROWS_PER_COLUMN)
    rows = math.ceil(len(order) / columns)
    figure = new_figure(5.6 if columns == 1 else 3.4 * columns, 1.0 + 0.2 * rows + 0.18 * len(files))
    right = _round_up(max(float(np.nanmax(values)) for values in files.values())) * 100
    shared = None
    for column in range(columns):
        axes = figure.add_subplot(1, columns, column + 1)
        shared = shared or axes
        part = order[column * rows : (column + 1) * rows]
        _dots(axes, [names[n] for n in part], {name: values[part] * 100 for name, values in files.items()})
        axes.set_xlim(0, right)
        axes.set_ylim(rows - 0.4, -0.6)
        axes.set_xlabel(measure)
    if len(files) > 1 and shared is not None:
        legend_above(shared, 1)
    elif shared is not None:
        shared.set_title(next(iter(files)))
    return figure


def _dots(axes: Axes, names: list[str], files: Mapping[str, Floats]) -> None:
    positions = np.arange(len(names))
    table = np.stack(list(files.values()))
    axes.hlines(positions, table.min(axis=0), table.max(axis=0), color=GRID, linewidth=3, zorder=1)
    for number, (name, values) in enumerate(files.items()):
        axes.scatter(values, positions, s=22, color=colour(number), label=name, zorder=3, linewidths=0,
                     marker=_MARKERS[number % len(_MARKERS)], clip_on=False)  # fmt: skip
    axes.set_yticks(positions, [shortened(name, 34) for name in names], fontsize=7.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(True, axis="x")
    for position in positions:
        axes.axhline(position, color=GRID, linewidth=0.5, zorder=0)


def training_figure(runs: Mapping[str, Mapping[str, Line]]) -> Figure:
    """One panel per measured quantity, one line per run; runs: run -> quantity -> line over epochs or steps.

    The panels share the x axis. A single point is drawn as a dot.
    """
    quantities = list(dict.fromkeys(quantity for run in runs.values() for quantity in run))
    columns = min(3, len(quantities))
    rows = math.ceil(len(quantities) / columns)
    figure = new_figure(1.0 + 3.4 * columns, 0.6 + 2.3 * rows)
    for position, quantity in enumerate(quantities):
        axes = figure.add_subplot(rows, columns, position + 1)
        for number, (name, lines) in enumerate(runs.items()):
            if quantity in lines:
                _training_line(axes, lines[quantity], number, name)
        axes.set_title(quantity)
        axes.grid(True)
        axes.margins(x=0.02)
        axes.xaxis.get_major_locator().set_params(integer=True)  # Half an epoch is none.
        if position >= len(quantities) - columns:
            axes.set_xlabel(next(line.name for run in runs.values() for line in run.values()))
        _scale([lines[quantity].y for lines in runs.values() if quantity in lines], quantity, axes)
    if len(runs) > 1:
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=4)
    return figure


@dataclass(frozen=True, eq=False)
class ActivationPanels:
    """What is drawn of one video: instances, segments (M, 2); for each named quantity a line for each network.

    The lines' x are seconds; instances are in seconds too.
    """

    title: str
    instances: Floats
    quantities: Mapping[str, Sequence[Line]]


def activation_figure(videos: Sequence[ActivationPanels]) -> Figure:
    """A panel for each quantity of each video, over time; instances are shaded, and each network has a colour."""
    rows = [(video, name) for video in videos for name in video.quantities]
    figure = new_figure(9.0, 0.5 + 1.5 * len(rows))
    for position, (video, name) in enumerate(rows):
        axes, lines = figure.add_subplot(len(rows), 1, position + 1), video.quantities[name]
        for start, end in video.instances.tolist():
            axes.axvspan(start, end, color=GRID, linewidth=0, zorder=0)
        for number, line in enumerate(lines):
            axes.plot(line.x, line.y, line_style(number), color=colour(number), label=line.name, linewidth=1)
        axes.set_ylabel(name)
        axes.margins(x=0)
        if (position == 0 or rows[position - 1][0] is not video) and video.title:
            axes.set_title(video.title)
        if len(lines) > 1 and position == 0:
            axes.legend(loc="upper right")
    has_instances = any(len(video.instances) for video in videos)
    figure.axes[-1].set_xlabel("seconds; shaded: instances" if has_instances else "seconds")
    return figure


def _scale(values: Sequence[Floats], quantity: str, axes: Axes) -> None:
    """Let all values of a panel be read: by powers of ten where they span many; learning rates never as 0.0000."""
    finite = np.concatenate([each[np.isfinite(each)] for each in values])
    if len(finite) and finite.min() > 0 and finite.max() / finite.min() > _LOGARITHMIC_FROM:
        axes.set_yscale("log")
    elif quantity.lower() in ("lr", "learning_rate"):
        axes.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))


def _training_line(axes: Axes, line: Line, number: int, name: str) -> None:
    lone = len(line.x) == 1
    axes.plot(line.x, line.y, "o" if lone else line_style(number), color=colour(number), label=name)
    finite = line.y[np.isfinite(line.y)]
    if len(finite) < len(line.y):
        axes.text(0.98, 0.95, f"{len(line.y) - len(finite)} not finite", transform=axes.transAxes, ha="right", va="top",
                  color=INK, fontsize=7.5)  # fmt: skip
    axes.tick_params(colors=FAINT, labelcolor=INK)
