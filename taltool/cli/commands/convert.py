"""`taltool convert`: any format into any other that can hold it."""

from typing import Annotated

import typer

from taltool.cli.arguments import (
    FpsOption,
    OffsetOption,
    ProvenanceOption,
    SeedOption,
    ShowScoresOption,
    StrideOption,
    WindowOption,
)
from taltool.cli.foreign_files import (
    AddPrefixOption,
    BackgroundOption,
    ChannelsFirstOption,
    ClassesOption,
    ColumnsOption,
    CropsOption,
    DatasetOption,
    DurationsOption,
    HeaderOption,
    KeepLabelOption,
    KeepSubsetOption,
    LabelsOption,
    MediaOption,
    RelabelOption,
    RenameSubsetOption,
    StripPrefixOption,
    StripSuffixOption,
    TierLabelsOption,
    TierOption,
    TimesOption,
    VideosOption,
    pairs,
)
from taltool.data.formats import FORMATS
from taltool.errors import UsageError
from taltool.reporting import Reporter

# In the order of the columns of the table.
_KINDS = {"annotations": "G", "proposals": "P", "features": "F"}
_TRIED_WIDTH = 46

_MAN = r"""
.SH FORMATS
A format is told by the content of the input and by the name of the output;
.B \-\-from
and
.B \-\-to
win over both.
@FORMATS@
.PP
What each is read and written for (G ground truth, P proposals, F features), and the programs or published files with
which that was tried beside the tests:
.PP
.nf
@TABLE@
.fi
.PP
Pickles (.pkl) are read by nothing here, since reading one runs whatever code is in it; the message says how to make
JSON or CSV of one.
.PP
Other packages add formats through the entry points of the group
.IR taltool.formats ,
and
.B \-\-from
and
.B \-\-to
take the path of a Python file (it ends in .py) that registers one.
What the target cannot hold (durations in a CSV, say) is named in a warning.
.PP
Where the output is a folder, or its name ends with /, each video gets a file of its own there, ID.SUFFIX, which takes
the place of one that is there already; formats that hold one video a file (vtt, srt, audacity) need that for several.
Every file appears only when it is whole.
.PP
What each of them may look like, which columns tables have, what the names of features mean:
.BR taltool\-formats (5).
.SH VIDEOS AND SUBSETS
Nothing is renamed unasked.
.B \-\-strip\-prefix
and
.B \-\-strip\-suffix
take a text off the ids that have it, then
.B \-\-add\-prefix
puts one before all ids;
.B \-\-videos
keeps those in FILE, as they are called then: one id a line, a JSON list, or a table with a column of them.
.B \-\-rename\-subset val=validation
gives a subset another name,
.B \-\-keep\-subset
keeps the subsets of these (new) names.
.SH CLASSES
.B \-\-relabel
makes two data sets speak of the same classes: what FILE does not list is left out, and several labels may become one.
A video of which no annotation stays is left out too, one that had none before stays.
What went is counted in a warning.
.SH SPLITTING
.B \-\-random\-split 0.8
puts about 80 % of the videos of a ground truth into the subset
.I training
and the others into
.IR validation ,
which
.BR taltool\-train (1)
and
.BR taltool\-evaluate (1)
use by default.
Whole videos are drawn, by
.BR \-\-seed ,
whatever order they stand in. No class loses its last training instance where that can be avoided, and validation gets
an instance of every class where it can. The counts of both sides are told, and the classes that one of them lacks.
The member
.I random_split
of the output says how it was drawn.
.PP
Videos that show the same place, person or recording belong on one side, or the number on the others is too good:
.B \-\-by
says by a regular expression which part of a video's id names its group.
.SH CHECKPOINTS
With
.B \-\-model
the input is the weights that a paper's authors published (what torch.save wrote, of which no code is run, or
safetensors), and the output a checkpoint that
.BR taltool\-predict (1)
and
.B taltool train \-\-init
take.
.B \-\-preset
names the settings that they were trained with, as for
.BR taltool\-train (1),
and
.B \-\-classes
the file of their classes, one name a line, in the order in which the network has them.
Colours or flow, and how many channels, the weights tell.
Known are AFSD's own checkpoints, for THUMOS14 (presets thumos14\-frames, thumos14\-frames\-paper) and ActivityNet
(activitynet13\-frames), OpenTAD's AFSD on features (thumos14), and MGNet's (code).
A checkpoint from frames says how those are made, so that it finds actions in videos at once; for one from features
extract them as its authors did.
This alone needs torch.
.SH JOINING
Several inputs of one kind become one file: shards of one extraction, or of one prediction (which
.BR cat (1)
joins too, see
.BR taltool\-proposals (5)).
It is an error if a video is in two of them, or if features differ in their settings.
With
.B \-\-link
a feature file is written that only refers to the videos of the others: at once, however many they are.
It finds them by their paths as seen from its own folder; move all of them together, or convert it once more, which
copies.
"""

EXAMPLES = """
taltool convert detections.json -o detections.jsonl
taltool convert shard-*.h5 -o all.h5
taltool convert shard-*.h5 --link -o all.h5
taltool convert i3d/ --fps 30 --stride 4 --window 16 --durations gt.json -o feats.h5
taltool convert TH14_Temporal_Annotations_Test/ --durations lengths.csv -o gt.json
taltool convert EPIC_100_train.csv --labels verb --durations EPIC_100_video_info.csv --subset training -o verbs.json
taltool convert BMN_results/ --durations gt.json | taltool nms | taltool evaluate gt.json
# c3d_features/v_1.npz with an array for each stream; the centre of snippet i is at 8 i / 25 s
taltool convert c3d_features/ --dataset rgb,flow --fps 25 --stride 8 --window 16 --offset -8 -o feats.h5
taltool convert proposals-without-scores.json --score 1.0 | taltool nms --agnostic | taltool evaluate gt.json
taltool convert detections.jsonl --to csv | head
# subtitles of each video, to watch, and annotations made with an editor of subtitles
taltool convert detections.jsonl --show-scores --to vtt -o subtitles/
taltool convert subtitles/*.srt --durations lengths.csv -o gt.json
# what people annotated with ELAN or BORIS, and detections for them to mend
taltool convert session*.eaf --tier actions --durations lengths.csv -o gt.json
taltool convert detections.jsonl --to labelstudio --media 'https://host/videos/{}.mp4' -o tasks.json
# a table with columns of its own, in frames, of which one subset is wanted
taltool convert clips.tsv --columns video=clip,start=from,end=to --times frames --fps 25 --keep-subset val -o gt.json
taltool convert gt.json --strip-prefix v_ --rename-subset val=validation --videos ids.txt -o plain.json
taltool convert gt.json --random-split 0.8 -o split.json
# cooking_03_clip7 and cooking_03_clip8 stay together
taltool convert gt.json --random-split 0.8 --by '(.*)_clip' --seed 1 -o split.json
taltool convert thumos14.json --relabel shared-classes.csv -o shared.json
# the weights that AFSD's authors published, then what they find in a video
taltool convert checkpoint-15.ckpt --model afsd --preset thumos14-frames --classes thumos14.txt -o afsd-rgb.safetensors
taltool predict --model afsd-rgb movie.mp4 --nms --min-score 0.3 -o movie.vtt
"""


def __getattr__(name: str) -> str:
    """`MAN`, the sections of the manual page: made when it is asked for, since it imports every format to name it."""
    if name != "MAN":
        raise AttributeError(name)
    import textwrap

    entries = []
    layouts = {each: FORMATS.load(each) for each in FORMATS.built_in()}
    width = max(map(len, layouts)) + 2
    table = [f"{'FORMAT':<{width}}{'READ':<6}{'WRITTEN':<9}TRIED WITH"]
    for each, layout in layouts.items():
        kinds = " and ".join(layout.kinds).replace("annotations", "ground truth").capitalize()
        suffixes = ", ".join(suffix or "those without a suffix" for suffix in layout.suffixes)
        names = f"\nOutput names: {suffixes}." if suffixes else ""
        entries.append(f".TP\n.B {each}\n" + f"{kinds}: {layout.summary}.{names}".replace("-", r"\-"))
        letters = " ".join(letter for kind, letter in _KINDS.items() if kind in layout.kinds)
        tried = textwrap.wrap(layout.tried_with, _TRIED_WIDTH) or [""]
        table.append(f"{each:<{width}}{letters:<6}{letters if layout.is_written else '':<9}{tried[0]}".rstrip())
        table += [" " * (width + 15) + line for line in tried[1:]]
    return _MAN.replace("@FORMATS@", "\n".join(entries)).replace("@TABLE@", "\n".join(table).replace("-", r"\-"))


def convert(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="INPUT", help="Files or folders of one kind, joined; - is standard input."),
    ] = None,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where to write; its suffix says the format; FOLDER/: one file a video; - is standard output.",
        ),
    ] = "-",
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FORMAT",
            help="Format of the input, if its content does not tell: a name, or a FILE.py that registers one. "
            "There are {formats}.",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help="Format of the output, if its name does not tell: a name, or a FILE.py as for --from. Some are read "
            "alone; the manual page has a table.",
        ),
    ] = None,
    score: Annotated[float | None, typer.Option("--score", help="Score of proposals that have none.")] = None,
    fps: FpsOption = None,
    stride: StrideOption = None,
    window: WindowOption = None,
    offset: OffsetOption = None,
    dataset: DatasetOption = "",
    channels_first: ChannelsFirstOption = False,
    crops: CropsOption = None,
    durations: DurationsOption = None,
    subset: Annotated[
        str | None, typer.Option("--subset", metavar="NAME", help="Annotations: put all videos into this subset.")
    ] = None,
    classes: ClassesOption = None,
    relabel: RelabelOption = None,
    keep_label: KeepLabelOption = None,
    keep_subset: KeepSubsetOption = None,
    rename_subset: RenameSubsetOption = None,
    videos: VideosOption = None,
    strip_prefix: StripPrefixOption = "",
    strip_suffix: StripSuffixOption = "",
    add_prefix: AddPrefixOption = "",
    columns: ColumnsOption = None,
    header: HeaderOption = True,
    times: TimesOption = "seconds",
    drop_invalid: Annotated[
        bool, typer.Option("--drop-invalid", help="Leave out segments that end before they start, and count them.")
    ] = False,
    show_scores: ShowScoresOption = False,
    tier: TierOption = None,
    tier_labels: TierLabelsOption = False,
    media: MediaOption = None,
    labels: LabelsOption = None,
    background: BackgroundOption = None,
    random_split: Annotated[
        float | None,
        typer.Option(
            "--random-split",
            metavar="SHARE",
            help="Annotations: draw the subsets training (this share of the videos) and validation (the others).",
            show_default=False,
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            metavar="PATTERN",
            help="--random-split: keep videos together in whose ids the first group of this regular expression is the "
            "same: '(.*)_clip'.",
        ),
    ] = None,
    resplit: Annotated[
        bool, typer.Option("--resplit", help="--random-split: even where the videos are in subsets already.")
    ] = False,
    seed: SeedOption = 0,
    link: Annotated[
        bool, typer.Option("--link", help="Features: refer to the videos of the inputs instead of copying them.")
    ] = False,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="NAME", help="Weights that others published: of this model."),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option("--preset", metavar="NAME", help="--model: the settings they were trained with, as for train."),
    ] = None,
    provenance: ProvenanceOption = True,
    *,
    reporter: Reporter,
) -> None:
    """Turn features, annotations, predictions and published weights into another format, and join files.

    The format of the input is told by its content, that of the output by its name. Whatever the output cannot hold is
    named in a warning.
    """
    if model is not None:
        others = {
            "--from": source,
            "--to": target,
            "--score": score,
            "--fps, --stride, --window, --offset": fps or stride or window or offset,
            "--dataset, --channels-first, --crops": dataset or channels_first or crops,
            "--durations": durations,
            "--subset": subset,
            "--relabel": relabel,
            "--keep-label": keep_label,
            "--keep-subset, --rename-subset": keep_subset or rename_subset,
            "--videos": videos,
            "--strip-prefix, --strip-suffix, --add-prefix": strip_prefix or strip_suffix or add_prefix,
            "--columns, --no-header": columns or not header,
            "--times": times != "seconds",
            "--drop-invalid": drop_invalid,
            "--show-scores": show_scores,
            "--tier, --tier-labels, --media": tier or tier_labels or media,
            "--labels": labels,
            "--background": background,
            "--random-split, --by, --resplit": random_split or by or resplit,
            "--link": link,
        }
        if idle := [name for name, value in others.items() if value]:
            raise UsageError(f"{idle[0]}: without meaning for the weights that --model converts; leave it out")
        from taltool.training.published import convert_checkpoint

        convert_checkpoint(
            *(inputs or ()),
            output=output,
            model=model,
            preset=preset,
            classes=classes,
            provenance=provenance,
            reporter=reporter,
        )
        return
    if preset is not None:
        raise UsageError("--preset belongs to --model: the settings that published weights were trained with")
    from taltool.data.convert import convert as run

    run(
        *(inputs or ()),
        output=output,
        source=source,
        target=target,
        score=score,
        fps=fps,
        stride=stride,
        window=window,
        offset=offset,
        dataset=dataset,
        channels_first=channels_first,
        crops=crops,
        durations=durations,
        subset=subset,
        classes=classes,
        relabel=relabel,
        keep_label=keep_label,
        keep_subset=keep_subset.split(",") if keep_subset else None,
        rename_subset=pairs("--rename-subset", rename_subset or ()),
        videos=videos,
        strip_prefix=strip_prefix,
        strip_suffix=strip_suffix,
        add_prefix=add_prefix,
        columns=pairs("--columns", columns.split(",") if columns else ()),
        header=header,
        times=times,
        drop_invalid=drop_invalid,
        show_scores=show_scores,
        tier=tier,
        tier_labels=tier_labels,
        media=media,
        labels=labels,
        background=background,
        random_split=random_split,
        by=by,
        resplit=resplit,
        seed=seed,
        link=link,
        provenance=provenance,
        reporter=reporter,
    )
