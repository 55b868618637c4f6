"""Arguments that several commands share: same word, same meaning everywhere."""

from enum import StrEnum
from typing import Annotated, Literal

import typer


class ProgressStyle(StrEnum):
    """How progress is told on standard error."""

    auto = "auto"
    json = "json"
    none = "none"


QuietOption = Annotated[
    int, typer.Option("--quiet", "-q", count=True, help="Say nothing but warnings and errors; -qq: errors only.")
]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Say more; show the traceback of an error.")]
ProgressOption = Annotated[
    ProgressStyle,
    typer.Option(
        "--progress",
        help="Progress on stderr: auto (a bar on a terminal, plain lines otherwise), json (a line each second), none.",
    ),
]

ProposalsArgument = Annotated[
    str, typer.Argument(metavar="PROPOSALS", help="Proposals: JSON Lines or ActivityNet JSON; - is standard input.")
]
GroundTruthArgument = Annotated[str, typer.Argument(metavar="GT", help="Ground truth in the ActivityNet layout.")]
FeaturesArgument = Annotated[str, typer.Argument(metavar="FEATURES", help="Feature file (HDF5).")]
OutputOption = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Where to write: x.jsonl the stream, x.json the ActivityNet layout, - standard output (the stream).",
    ),
]
LayoutOption = Annotated[
    Literal["jsonl", "jsonl1", "activitynet"] | None,
    typer.Option(
        "--to",
        help="Layout of the output: jsonl, jsonl1 (version 1 of the stream, with an object per proposal), activitynet. "
        "Default: as the name of the output says.",
        show_default=False,
    ),
]
ProvenanceOption = Annotated[
    bool,
    typer.Option("--provenance/--no-provenance", help="Record the steps that made the file (not byte-reproducible)."),
]
SubsetOption = Annotated[
    str | None,
    typer.Option("--subset", metavar="NAME[,NAME]", help="Subsets of the ground truth to use."),
]
SplitOption = Annotated[
    str | None,
    typer.Option(
        "--split",
        metavar="FILE:NAME",
        help="Take the subsets from FILE, {NAME: {subset: list of video ids}}, instead of the ground truth.",
    ),
]
JobsOption = Annotated[
    int,
    typer.Option("--jobs", "-j", min=0, envvar="TALTOOL_JOBS", help="Processes; 0 = one per core. Same output always."),
]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of everything random; recorded.")]
DeviceOption = Annotated[
    str,
    typer.Option("--device", metavar="DEVICE", help="Where to compute: cpu, cuda, cuda:1, ... (as torch names it)."),
]


def _positive(value: float | None) -> float | None:
    if value is not None and value <= 0:
        raise typer.BadParameter(f"{value} is not a positive number.")
    return value


FpsOption = Annotated[
    float | None,
    typer.Option(
        "--fps", callback=_positive, help="Foreign features: frames per second that the snippets were cut at."
    ),
]
StrideOption = Annotated[
    float | None,
    typer.Option("--stride", callback=_positive, help="Foreign features: frames from one snippet to the next."),
]
WindowOption = Annotated[
    float | None, typer.Option("--window", callback=_positive, help="Foreign features: frames in one snippet.")
]
OffsetOption = Annotated[
    float | None, typer.Option("--offset", help="Foreign features: frame at which the first snippet begins.")
]
