"""DETAD's charts: what the best detections are, what each error costs, which instances are missed or hard."""

from collections.abc import Mapping, Sequence

import numpy as np

from taltool.ops.diagnosis import DOUBLE_DETECTION, OUTCOMES, FalsePositives
from taltool.ops.diagnosis_instances import Group, range_in_words
from taltool.ops.plots import FAINT, GRID, INK, Axes, Figure, colour, new_figure

# Green for what is right, then by kind of error; told apart by colour-blind readers, and drawn in this order.
_COLOURS = ("#009E73", "#56B4E9", "#CC79A7", "#E69F00", "#D55E00", "#BBBBBB")


# Per file: false positives, the groups of each characteristic, and average-mAP_N on all instances.
Charts = Mapping[str, tuple[FalsePositives, Mapping[str, Sequence[Group]], float]]


def diagnosis_figure(files: Charts, thresholds: str) -> Figure:
    """All charts of DETAD: per file a row on false positives, below one on groups of instances for all files."""
    counts = [len(groups) for groups in next(iter(files.values()))[1].values()]
    heights = (0.6 + 2.9 * len(files), 5.2)
    figure = new_figure(max(9.6, 1.2 + 0.62 * sum(counts) + 0.3 * len(counts)), sum(heights))
    top, bottom = figure.subfigures(2, 1, height_ratios=heights, hspace=0.02)
    _draw_errors(top, {name: each[0] for name, each in files.items()}, thresholds)
    _draw_groups(bottom, {name: (each[1], each[2]) for name, each in files.items()})
    return figure


def error_figure(files: Mapping[str, FalsePositives], thresholds: str) -> Figure:
    """Only the false positives: a row per file."""
    figure = new_figure(9.6, 0.6 + 2.9 * len(files))
    _draw_errors(figure, files, thresholds)
    return figure


def _draw_errors(figure: Figure, files: Mapping[str, FalsePositives], thresholds: str) -> None:
    """A row per file: the profile of the best detections (left) and what removing each error gains (right)."""
    grid = figure.add_gridspec(len(files), 2, width_ratios=(5, 3))
    highest = max(float(np.nanmax(found.gains)) for found in files.values())
    for row, (name, found) in enumerate(files.items()):
        _profile(figure.add_subplot(grid[row, 0]), found, name)
        _gains(figure.add_subplot(grid[row, 1]), found, highest)
    figure.supxlabel(f"tIoU {thresholds}; G = number of instances of a class", fontsize=8, color=FAINT)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=6, handlelength=1, columnspacing=1.3)


def _profile(axes: Axes, found: FalsePositives, name: str) -> None:
    shares = 100 * found.profile
    x = np.arange(1, len(shares) + 1)
    bottom = np.zeros(len(shares))
    for outcome, label in enumerate(OUTCOMES):
        axes.bar(x, shares[:, outcome], 0.86, bottom=bottom, color=_COLOURS[outcome], label=label, edgecolor="white",
                 linewidth=0.4)  # fmt: skip
        for position in np.flatnonzero(shares[:, outcome] >= 7):
            height = bottom[position] + shares[position, outcome] / 2
            axes.text(x[position], height, f"{shares[position, outcome]:.0f}", ha="center", va="center", fontsize=7)
        bottom += shares[:, outcome]
    axes.set_title(name)
    axes.set_ylabel("share of detections (%)")
    axes.set_xticks(x, [f"{k}G" for k in x])
    axes.tick_params(axis="x", length=0)
    axes.set_xlabel("k-th G best detections")
    axes.set_ylim(0, 100)


def _gains(axes: Axes, found: FalsePositives, highest: float) -> None:
    errors = range(DOUBLE_DETECTION, len(OUTCOMES))
    values = [100 * float(found.gains[outcome]) for outcome in errors]
    positions = range(len(values))
    axes.barh(positions, values, 0.7, color=[_COLOURS[outcome] for outcome in errors])
    for position, value in zip(positions, values, strict=True):
        axes.text(max(value, 0) + highest, position, f"+{value:.1f}" if value >= 0 else f"{value:.1f}", va="center",
                  fontsize=8)  # fmt: skip
    axes.set_yticks(positions, [OUTCOMES[outcome] for outcome in errors])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(values) - 0.4, -0.6)
    axes.set_xlim(min(0, *values), max(100 * highest * 1.18, 1))
    axes.set_title("gain without the error")
    axes.set_xlabel(f"points of average-mAP$_N$ (now {100 * found.average_map_n:.1f} %)")
    axes.grid(True, axis="x")


def _draw_groups(figure: Figure, files: Mapping[str, tuple[Mapping[str, Sequence[Group]], float]]) -> None:
    """Top: the share of instances missed in each group; bottom: average-mAP_N on each group. One bar per file.

    files: name -> (characteristic -> groups, average-mAP_N on everything, drawn as a dashed line).
    """
    kinds = list(next(iter(files.values()))[0])
    counts = [len(next(iter(files.values()))[0][kind]) for kind in kinds]
    grid = figure.add_gridspec(2, len(kinds), width_ratios=counts)
    for column, kind in enumerate(kinds):
        groups = {name: found[0][kind] for name, found in files.items()}
        top, bottom = figure.add_subplot(grid[0, column]), figure.add_subplot(grid[1, column])
        _group_bars(top, {name: [100 * g.missed for g in found] for name, found in groups.items()})
        _group_bars(bottom, {name: [100 * g.average_map_n for g in found] for name, found in groups.items()})
        top.set_title(kind.replace("-", " "))
        top.set_ylim(0, 108)
        first = next(iter(groups.values()))
        words = [f"{group.name}\n{range_in_words(first, n)}\n({group.instances})" for n, group in enumerate(first)]
        bottom.set_xticks(range(len(first)), words, fontsize=7)
        bottom.tick_params(axis="x", length=0)
        top.set_xticks([])
        for number, (_, overall) in enumerate(files.values()):
            bottom.axhline(100 * overall, color=colour(number), linestyle="--", linewidth=1)
        if column == 0:
            top.set_ylabel("missed (%)")
            bottom.set_ylabel("average-mAP$_N$ (%)")
    panels = figure.axes[1::2]  # those of average-mAP_N compare at one height
    highest = max(axes.get_ylim()[1] for axes in panels)
    for axes in panels:
        axes.set_ylim(0, highest * 1.04)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=4, handlelength=1)


def _group_bars(axes: Axes, files: Mapping[str, list[float]]) -> None:
    width = 0.84 / len(files)
    for number, (name, values) in enumerate(files.items()):
        x = np.arange(len(values)) + (number - (len(files) - 1) / 2) * width
        axes.bar(x, values, width * 0.94, color=colour(number), label=name)
        for place, value in zip(x, values, strict=True):
            if np.isfinite(value):
                axes.text(place, value + 0.8, f"{value:.0f}", ha="center", va="bottom", fontsize=7, color=INK)
    axes.grid(True, axis="y", color=GRID)
