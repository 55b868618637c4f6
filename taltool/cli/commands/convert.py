"""`taltool convert`: any format into any other that can hold it."""

from typing import Annotated, Literal

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
.SH ANNOTATION TOOLS
Files of ELAN, BORIS, VGG VIA 3, Label Studio, CVAT and Audacity are ground truth, and detections can be opened in them
to be looked at and mended.
A tool knows a video by its media file, whose name without folders and suffix is the id here; of several that play side
by side the first one counts.
Where a file is written for a tool,
.B \-\-media
says how it finds the video of an id; without it that is ID.mp4 (in ELAN the user links the video).
.PP
Where segments stand in several places (tiers of ELAN, attributes of VIA, controls of Label Studio, observations of
BORIS), nothing is guessed: what there is is told, and
.B \-\-tier
names what to read.
.B \-\-tier\-labels
takes the names of ELAN's tiers as labels, all of those that have annotations, where a tier is a class.
.PP
Proposals keep their scores in VIA (an attribute
.IR score ),
BORIS (the comment of the event that starts) and Label Studio (predictions); in ELAN with
.BR \-\-show\-scores .
In BORIS segments of one label that overlap are of different subjects, in ELAN they stand in tiers below each other.
A state event of BORIS that never stops is refused, or left out with
.BR \-\-drop\-invalid .
.PP
CVAT and the TimelineLabels of Label Studio count frames:
.B \-\-fps
says how many are in a second. With it Label Studio's tasks are written in frames, too, each segment as the frames that
it covers; without it in seconds, for a project whose labels are on a sound that plays along:
.PP
.nf
<View>
  <Labels name="label" toName="audio"><Label value="Diving"/></Labels>
  <Video name="video" value="$video" sync="audio"/>
  <Audio name="audio" value="$video" sync="video"/>
</View>
.fi
.SH DATA SETS
Published annotations are read as they come; what lies beside them and what taltool has no place for is left out and
named.
Classes that are numbers in the file need
.BR \-\-classes .
.IP \(bu 2
THUMOS14: the folder into which the archives of annotations were unpacked, lists of classes and durations beside them or
not; MultiTHUMOS: its folder of one text a class. Neither has durations.
.IP \(bu 2
EPIC\-KITCHENS\-100: one of its CSV files,
.B \-\-labels verb
or
.B noun
and
.BR \-\-durations\~EPIC_100_video_info.csv ;
.B \-\-labels action
labels with both numbers, 1,23.
.IP \(bu 2
Charades: its CSV with
.BR \-\-classes\~Charades_v1_classes.txt ,
or the JSON of super\-events, which has the durations of the videos themselves.
.IP \(bu 2
Perception Test: its JSON;
.B \-\-labels action
or
.B sound
where both are there.
.IP \(bu 2
Breakfast, 50 Salads, GTEA: the folder with groundTruth and mapping.txt, or two lists of a split, train.split1.bundle
and test.split1.bundle, with
.B \-\-from frame\-labels
for their subsets;
.B \-\-fps
is 15, 30 and 15. Runs of background, SIL, action_start and action_end are no segments, unless
.B \-\-background
names others. Written, each video has duration x fps lines; of segments that overlap the later start wins, and what that
costs is told.
.IP \(bu 2
SSN\(aqs proposal lists: the annotations in them, or with
.B \-\-score 1.0
the proposals.
.IP \(bu 2
BMN, BSN, G\-TAD, MMAction: the folder of one CSV a video, with
.BR \-\-durations ,
whose ids the videos get (v_ID.csv is ID where that is there);
.B \-\-fps
where times are frames, as G\-TAD\(aqs are for THUMOS14.
.SH FEATURES
Features of others are a folder of arrays (.npy, .npz, .pt, .mat, .csv, .h5), or one HDF5 file; the id of a video is the
path of its array there, without suffix.
Where that holds more than the id,
.B \-\-dataset
names the rest:
.B \-\-dataset c3d_features
takes v_1/c3d_features in an HDF5 file for the video v_1, and the array of that name out of v_1.npz;
.B \-\-dataset rgb,flow
makes one video, whose channels are both streams in this order, of v_1_rgb.npy and v_1_flow.npy, of rgb/v_1.npy and
flow/v_1.npy, and of v_1/rgb and v_1/flow.
A stream that lacks the last snippet shortens the others by it, which is told.
.PP
Arrays are (snippets, channels).
Axes of length 1 are left out;
.B \-\-channels\-first
says that they are (channels, snippets), and
.B \-\-crops mean
averages a third axis of 5 or 10 crops, the first or the second one.
Nothing of that is guessed.
.PP
.BR \-\-fps ,
.B \-\-stride
and
.B \-\-window
are the clock; snippet
.I i
covers the frames from
.RI offset " + " i " * " stride
on.
Where a source says that the centre of snippet
.I i
is at
.IR i " * " stride / fps ,
.B \-\-offset
is minus half a window; where it counts frames from 1, one less than it says.
.PP
The clock is compared with the durations
.RB ( \-\-durations ,
or those in the file): the last snippet of a video ends within two windows, or 5 % of the duration, of its end.
Where half of the videos or more end elsewhere the options are refused, with the frame rate that would do if there is
one; few are named in a warning.
.BR taltool\-train (1)
and
.BR taltool\-predict (1)
do the same;
.BR taltool\-check (1)
and
.BR taltool\-info (1)
only tell.
Videos of different channels in one file are an error.
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
taltool convert TH14_Temporal_Annotations_Test/ --durations lengths.csv -o gt.json
taltool convert EPIC_100_train.csv --labels verb --durations EPIC_100_video_info.csv --subset training -o verbs.json
taltool convert 50salads/ --fps 30 -o gt.json
taltool convert BMN_results/ --durations gt.json | taltool nms | taltool evaluate gt.json
# c3d_features/v_1.npz with an array for each stream; the centre of snippet i is at 8 i / 25 s
taltool convert c3d_features/ --dataset rgb,flow --fps 25 --stride 8 --window 16 --offset -8 -o feats.h5
taltool convert annotations/ --from thumos14 --durations lengths.csv -o gt.json
taltool convert proposals-without-scores.json --score 1.0 | taltool nms --agnostic | taltool evaluate gt.json
taltool convert detections.jsonl --to csv | head
# subtitles of each video, to watch, and annotations made with an editor of subtitles
taltool convert detections.jsonl --show-scores --to vtt -o subtitles/
taltool convert subtitles/*.srt --durations lengths.csv -o gt.json
# what people annotated with ELAN or BORIS, and detections for them to mend
taltool convert session*.eaf --tier actions --durations lengths.csv -o gt.json
taltool convert coded.boris -o gt.json
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
            help="Format of the input, if its content does not tell: a name, or a FILE.py that registers one. There "
            f"are {', '.join(FORMATS.built_in())}.",
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
    dataset: Annotated[
        str,
        typer.Option(
            "--dataset",
            metavar="NAME[,NAME]",
            help="Features of others: the part of arrays' names that is not of the videos' ids; several are streams of "
            "one video: rgb,flow.",
        ),
    ] = "",
    channels_first: Annotated[
        bool, typer.Option("--channels-first", help="Features of others: arrays are (channels, snippets).")
    ] = False,
    crops: Annotated[
        Literal["mean"] | None,
        typer.Option("--crops", help="Features of others: average over 5 or 10 crops of each picture."),
    ] = None,
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
    tier: Annotated[
        list[str] | None,
        typer.Option(
            "--tier",
            metavar="NAME",
            help="Files of annotation tools: read this tier (attribute, control, observation); may be given again.",
        ),
    ] = None,
    tier_labels: Annotated[
        bool,
        typer.Option("--tier-labels", help="ELAN: labels are the names of the tiers, not the texts in them."),
    ] = False,
    media: Annotated[
        str | None,
        typer.Option(
            "--media",
            metavar="PATTERN",
            help="Files of annotation tools: how they find the video of an id, {} being the id: videos/{}.mp4.",
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            metavar="KIND",
            help="Annotations: which labels, where a file holds several kinds: verb, noun, action (EPIC-KITCHENS), "
            "action, sound (Perception Test).",
        ),
    ] = None,
    background: Annotated[
        str | None,
        typer.Option(
            "--background",
            metavar="LABEL[,LABEL]",
            help="Labels of frames: those that are no action (background, SIL, action_start, action_end).",
        ),
    ] = None,
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
        tier=tier or (),
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
