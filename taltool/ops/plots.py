"""Figures: the one door to matplotlib, and the look that all of them share.

Functions of the other plots_*.py files and of `timeline` draw on a figure from `new_figure`; `render` turns it into the
bytes of a file. No LaTeX, no window, no global state of pyplot; the same drawing gives the same bytes.
"""

import io
from collections.abc import Callable
from typing import Any

from taltool.errors import UsageError

FORMATS = ("png", "svg", "pdf")
# Okabe and Ito's colours without black, and an indigo: told apart by colour-blind readers, in this order.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#332288")
INK, FAINT, GRID = "#222222", "#777777", "#DDDDDD"

Figure = Any  # matplotlib.figure.Figure; importing it here would load matplotlib
Axes = Any

_STYLE = {
    "text.usetex": False,
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": False,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.8,
    "svg.fonttype": "none",
    "svg.hashsalt": "taltool",
    "pdf.fonttype": 42,
}


def format_of(path: str) -> str:
    """The format that the name of a figure file asks for; `-` (standard output) is PNG.

    Raises UsageError for another suffix.
    """
    suffix = "png" if path == "-" else path.rpartition(".")[2].lower()
    if suffix not in FORMATS:
        raise UsageError(f"{path}: figures are written as .png, .svg or .pdf (an interactive page: --html FILE)")
    return suffix


def render(draw: Callable[[], Figure], file_format: str, dpi: int = 150) -> bytes:
    """The bytes of the figure that `draw` makes, in the common style.

    Raises UsageError where matplotlib is not installed.
    """
    matplotlib = _matplotlib()
    with matplotlib.rc_context(_STYLE):
        buffer = io.BytesIO()
        undated: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
        draw().savefig(buffer, format=file_format, dpi=dpi, metadata=undated.get(file_format))
        return buffer.getvalue()


def _matplotlib() -> Any:
    try:
        import matplotlib
    except ImportError as error:
        raise UsageError("figures need matplotlib: pip install 'taltool[plot]'") from error
    return matplotlib


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of width x height inches whose parts do not overlap."""
    _matplotlib()
    from matplotlib.figure import Figure as MatplotlibFigure

    return MatplotlibFigure(figsize=(width, height), layout="constrained")


def colour(position: int) -> str:
    """The colour of the position-th of several files or lines; they repeat after eight."""
    return PALETTE[position % len(PALETTE)]


def line_style(position: int) -> str:
    """A dash pattern that changes where the colours begin to repeat."""
    return ("-", "--", ":", "-.")[position // len(PALETTE) % 4]


def shortened(text: str, length: int) -> str:
    """`text`, its middle replaced by an ellipsis where it is longer than `length`."""
    if len(text) <= length:
        return text
    tail = (length - 1) // 2
    return f"{text[: length - 1 - tail]}…{text[len(text) - tail :]}"


def legend_above(axes: Axes, columns: int, title_lines: int = 1, **options: Any) -> None:
    """A legend in one row or more between the title and the axes, left-aligned."""
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, borderaxespad=0.3, handlelength=1.2, **options
    )
    axes.title.set_y(1.0)
