"""`taltool convert`: any format into any other that can hold it."""

from typing import Annotated

import typer

from taltool.cli.arguments import (
    AddPrefixOption,
    ColumnsOption,
    FpsOption,
    HeaderOption,
    KeepLabelOption,
    KeepSubsetOption,
    OffsetOption,
    ProvenanceOption,
    RenameSubsetOption,
    SeedOption,
    ShowScoresOption,
    StrideOption,
    StripPrefixOption,
    StripSuffixOption,
    TimesOption,
    VideosOption,
    WindowOption,
    pairs,
)
from taltool.errors import UsageError
from taltool.reporting import Reporter

_MAN = r"""
.SH FORMATS
A format is told by the content of the input and by the name of the output;
.B \-\-from
and
.B \-\-to
win over both.
@FORMATS@
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
.SH TABLES
Of CSV and TSV the first line names the columns, and tells what parts them: commas, semicolons or tabs.
Columns are known by their usual names, whatever their case, blanks, dots, _ and \-:
.TP
.B video
video_id, video, vid, youtube_id, name, filename
.TP
.B start, end
start, t\-start, start_time, begin; end, t\-end, end_time, stop: seconds, or [hh:]mm:ss[.fff]
.TP
.B start_frame, end_frame
start_frame, end_frame, stop_frame: divided by
.BR \-\-fps ,
so that frame 0 begins at 0 s; the segment ends where the end frame begins. Where there are seconds too, those are read.
.TP
.B label, score, subset
label, class, action, category, activity; score, confidence, conf, prob; subset, split, set, partition
.PP
Where two columns fit one meaning, or none does,
.B \-\-columns video=clip,start=from,end=to,label=what
says which; with
.B \-\-no\-header
there is no line of names, and columns are numbered from 1.
Both say that the input is a table.
A first column without a name is the numbers of the rows, as pandas writes them; what else is not read is named in a
warning.
.PP
.B \-\-times frames
divides the times of an input of any format by
.BR \-\-fps .
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
.B \-\-classes
reads one name a line, the first being number 0; lines of a number and a name (7 BaseballPitch, 7,BaseballPitch, or the
name first); a table with the columns id (label_id, class_id, ...) and name (label, class, ...); JSON: [names],
{"0": name}, {name: 0}, [{"id": 0, "name": name}], any of them in {"classes": ...}; or a ground truth with label_id.
A first line that only says label, class or name is a header; where it says action, activity or category it may be a
class, and is refused.
Two names of one number, and two numbers of one name, are refused.
.PP
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
taltool convert annotations/ --from thumos14 --durations lengths.csv -o gt.json
taltool convert proposals-without-scores.json --score 1.0 | taltool nms --agnostic | taltool evaluate gt.json
taltool convert detections.jsonl --to csv | head
# subtitles of each video, to watch, and annotations made with an editor of subtitles
taltool convert detections.jsonl --show-scores --to vtt -o subtitles/
taltool convert subtitles/*.srt --durations lengths.csv -o gt.json
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
    from taltool.data.formats import FORMATS

    entries = []
    for each, layout in ((each, FORMATS.load(each)) for each in FORMATS.names()):
        if layout.__module__.startswith("taltool."):
            kinds = " and ".join(layout.kinds).replace("annotations", "ground truth").capitalize()
            suffixes = ", ".join(suffix or "those without a suffix" for suffix in layout.suffixes)
            names = f"\nOutput names: {suffixes}." if suffixes else ""
            entries.append(f".TP\n.B {each}\n" + f"{kinds}: {layout.summary}.{names}".replace("-", r"\-"))
    return _MAN.replace("@FORMATS@", "\n".join(entries))


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
            help="Format of the input, if its content does not tell: a name, or a FILE.py that registers one.",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help="Format of the output, if its name does not tell: a name, or a FILE.py as for --from.",
        ),
    ] = None,
    score: Annotated[float | None, typer.Option("--score", help="Score of proposals that have none.")] = None,
    fps: FpsOption = None,
    stride: StrideOption = None,
    window: WindowOption = None,
    offset: OffsetOption = None,
    durations: Annotated[
        str | None,
        typer.Option(
            "--durations",
            "--ground-truth",
            metavar="FILE",
            help="Durations of the videos: a ground truth, a feature file, or a table of video_id,duration.",
        ),
    ] = None,
    subset: Annotated[
        str | None, typer.Option("--subset", metavar="NAME", help="Annotations: put all videos into this subset.")
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes",
            metavar="FILE",
            help="Numbers of the classes: names by line from 0, numbered lines, a table, JSON, or a ground truth with "
            "label_id. With --model: in the network's order.",
        ),
    ] = None,
    relabel: Annotated[
        str | None,
        typer.Option(
            "--relabel",
            metavar="FILE",
            help="Annotations, detections: keep only the labels in FILE, a table of label,new_label, and rename them.",
        ),
    ] = None,
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
        durations=durations,
        subset=subset,
        classes=classes,
        relabel=relabel,
        keep_labels=keep_label or (),
        keep_subsets=keep_subset.split(",") if keep_subset else (),
        rename_subsets=pairs("--rename-subset", rename_subset or ()),
        videos=videos,
        strip_prefix=strip_prefix,
        strip_suffix=strip_suffix,
        add_prefix=add_prefix,
        columns=pairs("--columns", columns.split(",") if columns else ()),
        header=header,
        times=times,
        drop_invalid=drop_invalid,
        show_scores=show_scores,
        random_split=random_split,
        by=by,
        resplit=resplit,
        seed=seed,
        link=link,
        provenance=provenance,
        reporter=reporter,
    )
