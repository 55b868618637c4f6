"""Arguments that several commands share: same word, same meaning everywhere."""

from enum import StrEnum
from typing import Annotated

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
        help="Where to write; its suffix says the format, see --to; FOLDER/: one file a video; - standard output (the "
        "stream).",
    ),
]
LayoutOption = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="FORMAT",
        help="Format of the output: jsonl (the stream), jsonl1 (its version 1, with an object per proposal), "
        "activitynet (.json), csv, subtitles vtt or srt, audacity (labels, .txt), or another of convert. Default: as "
        "the suffix of the output says.",
        show_default=False,
    ),
]
ShowScoresOption = Annotated[
    bool, typer.Option("--show-scores", help="Subtitles and labels: write the score behind the label, Diving (0.93).")
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
