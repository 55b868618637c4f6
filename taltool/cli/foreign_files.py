"""Options of `convert` for the files of others: what they do not say, what of them is kept, and how it is called."""

from collections.abc import Sequence
from typing import Annotated, Literal

import typer

from taltool.errors import UsageError

DatasetOption = Annotated[
    str,
    typer.Option(
        "--dataset",
        metavar="NAME[,NAME]",
        help="Features of others: the part of arrays' names that is not of the videos' ids; several are streams of "
        "one video: rgb,flow.",
    ),
]
ChannelsFirstOption = Annotated[
    bool, typer.Option("--channels-first", help="Features of others: arrays are (channels, snippets).")
]
CropsOption = Annotated[
    Literal["mean"] | None,
    typer.Option("--crops", help="Features of others: average over 5 or 10 crops of each picture."),
]
TierOption = Annotated[
    list[str] | None,
    typer.Option(
        "--tier",
        metavar="NAME",
        help="Files of annotation tools: read this tier (attribute, control, observation); may be given again.",
    ),
]
TierLabelsOption = Annotated[
    bool,
    typer.Option("--tier-labels", help="ELAN: labels are the names of the tiers, not the texts in them."),
]
MediaOption = Annotated[
    str | None,
    typer.Option(
        "--media",
        metavar="PATTERN",
        help="Files of annotation tools: how they find the video of an id, {} being the id: videos/{}.mp4.",
    ),
]
LabelsOption = Annotated[
    str | None,
    typer.Option(
        "--labels",
        metavar="KIND",
        help="Annotations: which labels, where a file holds several kinds: verb, noun, action (EPIC-KITCHENS), "
        "action, sound (Perception Test).",
    ),
]
BackgroundOption = Annotated[
    str | None,
    typer.Option(
        "--background",
        metavar="LABEL[,LABEL]",
        help="Labels of frames: those that are no action (background, SIL, action_start, action_end).",
    ),
]
DurationsOption = Annotated[
    str | None,
    typer.Option(
        "--durations",
        "--ground-truth",
        metavar="FILE",
        help="Durations of the videos: a ground truth, a feature file, or a table of video_id,duration.",
    ),
]
ClassesOption = Annotated[
    str | None,
    typer.Option(
        "--classes",
        metavar="FILE",
        help="Numbers of the classes: names by line from 0, numbered lines, a table, JSON, or a ground truth with "
        "label_id. With --model: in the network's order.",
    ),
]
RelabelOption = Annotated[
    str | None,
    typer.Option(
        "--relabel",
        metavar="FILE",
        help="Annotations, detections: keep only the labels in FILE, a table of label,new_label, and rename them.",
    ),
]
KeepLabelOption = Annotated[
    list[str] | None,
    typer.Option(
        "--keep-label",
        metavar="NAME",
        help="Annotations, detections: keep only this label; may be given more than once.",
    ),
]
KeepSubsetOption = Annotated[
    str | None,
    typer.Option("--keep-subset", metavar="NAMES", help="Annotations: keep only these subsets, parted by commas."),
]
RenameSubsetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--rename-subset",
        metavar="OLD=NEW",
        help="Annotations: call this subset otherwise; may be given several times.",
    ),
]
VideosOption = Annotated[
    str | None,
    typer.Option("--videos", metavar="FILE", help="Keep only the videos whose ids FILE lists, one a line."),
]
StripPrefixOption = Annotated[
    str, typer.Option("--strip-prefix", metavar="TEXT", help="Take this off the beginnings of video ids (v_).")
]
StripSuffixOption = Annotated[
    str, typer.Option("--strip-suffix", metavar="TEXT", help="Take this off the ends of video ids (.mp4).")
]
AddPrefixOption = Annotated[
    str, typer.Option("--add-prefix", metavar="TEXT", help="Put this before the video ids, after the two others.")
]
ColumnsOption = Annotated[
    str | None,
    typer.Option(
        "--columns",
        metavar="MEANING=NAME,...",
        help="Tables: which column is the video, start, end (length), label, score, subset, if its name does not tell; "
        "of features, which is the frame or time, and so no channel.",
    ),
]
HeaderOption = Annotated[
    bool,
    typer.Option("--header/--no-header", help="Tables: the first line names the columns, or --columns numbers them."),
]
TimesOption = Annotated[
    str,
    typer.Option(
        "--times",
        metavar="seconds|frames|shares",
        help="frames: the times of the input are frames, divided by --fps; shares: they are shares of the durations.",
    ),
]


def pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    """The texts before and behind the = of each word; raises UsageError where one has none."""
    pairs: dict[str, str] = {}
    for word in given:
        before, equals, behind = word.partition("=")
        if not (before.strip() and equals and behind.strip()):
            raise UsageError(
                f"{option} {word}: expected {'OLD=NEW' if option == '--rename-subset' else 'MEANING=NAME'}"
            )
        if pairs.setdefault(before.strip(), behind.strip()) != behind.strip():
            raise UsageError(f"{option} {word}: '{before.strip()}' is {pairs[before.strip()]} already")
    return pairs
