"""All that reads a file: how a small whole one is made, how it is broken, and a call that reads every value of it."""

import gzip
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import accepted
import h5py
import numpy as np
import torch
from safetensors.torch import save_file

from taltool.data.checkpoint_header import CheckpointHeader
from taltool.data.clock import FeatureClock
from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Annotations, Features, FormatOptions, Proposals
from taltool.data.formats.sniffing import format_named
from taltool.data.hdf5_features import VideoFeatures
from taltool.data.records import LabelVocabulary, VideoProposals
from taltool.experiment.configuration import build, to_plain
from taltool.extraction.resume import PartialResults
from taltool.inspection.check import check
from taltool.models import MODELS

CLOCK = {"fps": 30.0, "stride": 4.0, "window": 16.0, "offset": 2.0}
FACTS = FormatOptions(clock=CLOCK, durations={"v_1": 9.5, "v_2": 4.0}, classes={"Dive": 7, "Run": 1})
_VALUES = np.arange(12, dtype=np.float32).reshape(3, 4)


@dataclass(frozen=True)
class Reader:
    """make writes a whole file, or a folder of some, to a path; kind is how it is broken, see `mutations.KINDS`; read
    reads all of it and raises what it finds wrong. suffix: of the file's name. words: a command line of taltool that
    reads it, {} being the path, others those of `SIDES` beside it; none where no
    quick one does."""

    name: str
    make: Callable[[Path], object]
    kind: str
    read: Callable[[str], object]
    suffix: str = ""
    words: str = "check {}"

    @property
    def inputs(self) -> int:
        """How many broken files a full round tries: more of the layouts that most files have."""
        if self.kind == "video":
            return 1_000
        return 10_000 if self.kind in ("json", "hdf5", "safetensors") or self.suffix == ".csv" else 2_000


def text(content: Any) -> Callable[[Path], object]:
    """What writes a text, or a value as JSON."""
    content = content if isinstance(content, str) else json.dumps(content)
    return lambda path: path.write_text(content)


def folder(**files: Any) -> Callable[[Path], object]:
    """What writes a folder of files by name: bytes or texts."""

    def make(path: Path) -> None:
        path.mkdir()
        for name, content in files.items():
            (path / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return make


def written_by(writer: Callable[[Any], object]) -> bytes:
    """The bytes that are written to a stream."""
    stream = io.BytesIO()
    writer(stream)
    return stream.getvalue()


# --- Formats -----------------------------------------------------------------------------------------------------


def proposals() -> Proposals:
    names = LabelVocabulary(["Run", "Dive"], complete=True)
    first = VideoProposals("v_1", np.array([[0.5, 1.5], [2, 5.5]]), np.array([0.9, 0.1]), np.array([1, 0]), names, 9.5)
    second = VideoProposals("v_2", np.array([[1.0, 2.0]]), np.array([0.3]), np.array([1]), names, 4.0)
    return Proposals([first, second], names, 2, [{"tool": "t"}])


def annotations() -> Annotations:
    first = [{"segment": [0.5, 1.5], "label": "Dive"}, {"segment": [2.0, 9.5], "label": "Run"}]
    second = [{"segment": [1.0, 2.0], "label": "Dive"}]
    entries = {
        "v_1": {"duration": 9.5, "subset": "validation", "annotations": first},
        "v_2": {"duration": 4.0, "subset": "validation", "annotations": second},
    }
    return Annotations(entries.items())


def features() -> Features:
    clocks = {video_id: FeatureClock(**CLOCK, duration=FACTS.durations[video_id]) for video_id in ("v_1", "v_2")}
    return Features(
        ["v_1", "v_2"],
        lambda video_id: (3, 4),
        clocks.__getitem__,
        lambda video_id: _VALUES,
        lambda video_id: {"note": "x"},
        {"backbone": "b", "streams": '{"rgb": [0, 2], "flow": [2, 4]}'},
        provenance=[{"tool": "t"}],
    )


def _own(name: str, kind: str, path: Path) -> None:
    """Write a sample with taltool's own writer; the first video alone where a file holds one."""
    content: Any = {"proposals": proposals, "annotations": annotations, "features": features}[kind]()
    if FORMATS.load(name).one_video:
        one = {"videos": list(content.videos)[:1], "num_videos": 1} if kind == "proposals" else {}
        content = replace(content, **one or {"entries": list(content.entries)[:1]})
    format_named(name).write(content, str(path), FACTS)


_KINDS = {
    "activitynet": "json", "actionformer": "json", "boris": "json", "jsonl": "json", "jsonl1": "json", "via": "json",
    "labelstudio": "json", "hdf5": "hdf5", "npy": "npy", "parquet": "parquet", "npz": "npz", "pt": "torch",
}  # fmt: skip
_BMN = "xmin,xmax,clr_score,reg_socre\n0.1,0.5,0.9,0.8\n0.2,0.9,0.5,0.5\n"
_CHARADES = 'id,scene,actions,length\nA1,"a, b",c092 11.90 21.20;c147 0.00 12.60,24.83\nN1,x,,18.33\n'
_EPIC = (
    "narration_id,video_id,start_timestamp,stop_timestamp,verb,verb_class,noun,noun_class\n"
    'P_0,v_1,00:00:03.29,00:00:04.26,put,1,box,23\nP_1,v_1,00:00:05.29,00:01:04.26,cut,5,"a, b",54\n'
)
_SSN = "# 1\n/frames/v_1\n500\n1\n1\n7 0 400\n2\n7 0.9684 0.9996 25 450\n0 0 0 480 490\n# 2\n/x/v_2\n100\n1\n0\n0\n"
_DETECTIONS = "v_1 0.5 1.5 7 0.9\nv_1 2 5.5 9 0.1\nv_2 1.0 2.0 7 0.3\n"
_EVENTS = (
    "Observation id,Source,Time offset (s),Media duration (s),FPS (frame/s),Subject,Behavior,Behavior type,Start (s),"
    "Stop (s)\nv_1,player #1:/home/v_1.mkv,0.5,9.500,25.0,No focal subject,Dive,STATE,2.000,5.500\n"
    "v_1,player #1:/home/v_1.mkv,0.5,9.500,25.0,cat,Run,POINT,7.000,7.000\n"
)
_CVAT = (
    '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n<meta><task><id>1</id>'
    "<name>n</name>"
    "<size>100</size><start_frame>0</start_frame><stop_frame>99</stop_frame><source>v_1.mp4</source></task></meta>\n"
    '<track id="0" label="run"><box frame="10" outside="0"/><box frame="11" outside="0"/><box frame="12" outside="1"/>'
    '</track>\n<image id="20" name="f"><tag label="walk"/></image>\n</annotations>\n'
)
_BARE = {"v_1": {"duration": 9.5, "subset": "training", "annotations": [{"segment": [0.5, 1.5], "label": "Dive"}]}}
_ACTIONS = {"v_1": {"duration": 9.5, "subset": "training", "actions": [[7, 0.5, 1.5], [1, 2, 3]]}}
_UNCLOCKED, _UNNUMBERED, _SCORED = replace(FACTS, clock={}), replace(FACTS, classes=None), replace(FACTS, score=1.0)
_EPIC_FACTS = replace(_UNNUMBERED, labels="action")
_FEATURE_CSV = "f0,f1\n0.5,1.5\n2.5,3.5\n4.5,5.5\n"


def _pt() -> bytes:
    return written_by(partial(torch.save, torch.ones(3, 4)))


def _npz(save: Callable[..., object]) -> bytes:
    return written_by(lambda stream: save(stream, rgb=_VALUES))


def _mat() -> bytes:
    from scipy.io import savemat

    return written_by(lambda stream: savemat(stream, {"rgb": _VALUES}))


def _own_hdf5() -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.create_dataset("rgb", data=_VALUES, chunks=(1, 4), compression="gzip").attrs.update(CLOCK)
    return stream.getvalue()


_CLOCKED = "--fps 30 --stride 4 --window 16"
_FOREIGN = [
    (
        "bmn",
        "",
        folder(**{"v_1.csv": _BMN, "v_2.csv": _BMN}),
        "lines",
        _UNCLOCKED,
        "-o out.jsonl --durations durations.csv",
    ),
    ("charades", ".csv", text(_CHARADES), "lines", _UNNUMBERED, "-o out.json"),
    ("epic-kitchens", ".csv", text(_EPIC), "lines", _EPIC_FACTS, "-o out.csv --labels verb"),
    ("ssn", ".txt", text(_SSN), "lines", FACTS, "-o out.json --durations durations.csv --classes numbers.txt"),
    ("ssn", ".txt", text(_SSN), "lines", _SCORED, "-o out.jsonl --durations durations.csv --score 1"),
    ("thumos14-detections", ".txt", text(_DETECTIONS), "lines", _UNNUMBERED, "-o out.jsonl"),
    ("boris-events", ".csv", text(_EVENTS), "lines", FACTS, "-o out.csv"),
    ("cvat", ".xml", text(_CVAT), "lines", FACTS, "-o out.csv --fps 30"),
    ("bare-json", ".json", text(_BARE), "json", FACTS, "-o out.csv"),
    ("bare-json", ".json", text(_ACTIONS), "json", FACTS, "-o out.csv --classes numbers.txt"),
    ("csv-features", "", folder(**{"v_1.csv": _FEATURE_CSV}), "lines", FACTS, f"-o out.h5 {_CLOCKED}"),
    ("hdf5-folder", "", folder(**{"v_1.h5": _own_hdf5()}), "hdf5", FACTS, "-o out.h5 --dataset rgb"),
    ("npz", "", folder(**{"v_1.npz": _npz(np.savez)}), "npz", FACTS, f"-o out.h5 {_CLOCKED}"),
    ("npz", "", folder(**{"v_1.npz": _npz(np.savez_compressed)}), "npz", FACTS, f"-o out.h5 {_CLOCKED}"),
    ("pt", "", folder(**{"v_1.pt": _pt()}), "torch", FACTS, f"-o out.h5 {_CLOCKED}"),
    ("mat", "", folder(**{"v_1.mat": _mat()}), "bytes", FACTS, f"-o out.h5 {_CLOCKED}"),
]
_OUTPUTS = {"proposals": "out.csv", "annotations": "out.csv", "features": "out.h5"}
# What else `convert` has to know of formats.
_TOLD = {
    "actionformer": "--classes numbers.txt",
    "frame-labels": "--fps 30",
    "labelstudio": "--fps 30",
} | dict.fromkeys(("npy", "npz", "pt"), _CLOCKED)


def _as(name: str | None, facts: FormatOptions = FACTS) -> Callable[[str], None]:
    return lambda path: accepted.content(name, path, facts)


def _of_formats() -> list[Reader]:
    found = []
    for name in FORMATS.names():
        layout = FORMATS.load(name)
        if not layout.is_written or (layout.requires and not find_spec(layout.requires)):
            continue
        for kind in layout.kinds:
            how = _KINDS.get(name, "lines")
            suffix = layout.suffixes[0] if layout.suffixes else ""
            words = f"convert --from {name} {{}} -o {_OUTPUTS[kind]} {_TOLD.get(name, '')}"
            found.append(Reader(f"{name} {kind}", partial(_own, name, kind), how, _as(name), suffix, words))
    for number, (name, suffix, make, how, facts, words) in enumerate(_FOREIGN):
        words = f"convert --from {name} {{}} {words}"
        found.append(Reader(f"{name} {number}", make, how, _as(name, facts), suffix, words))
    return found


# --- Others ------------------------------------------------------------------------------------------------------


def _header() -> dict[str, str]:
    clock = {"fps": 30.0, "stride": 4.0, "window": 16.0, "seconds_per_snippet": 0.13}
    experiment = build("bmn", MODELS.load("bmn").Config, [])
    streams = {"rgb": [0, 4]}
    return CheckpointHeader("bmn", to_plain(experiment), ["Dive"], 4, 8, streams, clock, {"epochs": 1}, []).metadata()


def _safetensors(path: Path) -> None:
    save_file({"a.weight": torch.ones(2, 3), "a.bias": torch.zeros(3)}, path, metadata=_header())


def _state(path: Path) -> None:
    torch.save({"epoch": 1, "model": {"w": torch.ones(2)}, "optimizer": {"state": {}, "param_groups": [{}]}}, path)


def _weights(path: Path) -> None:
    torch.save({"state_dict": {"w": torch.ones(2, 2), "b": torch.zeros(2)}}, path)


def _zipped(path: Path) -> None:
    _own("activitynet", "annotations", path)
    path.write_bytes(gzip.compress(path.read_bytes(), mtime=0))


def _video(codec: str, container: str, path: Path) -> None:
    import av

    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(accepted.FRAMES):
            picture = np.full((48, 64, 3), 20 * number, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        file.mux(stream.encode())


def _pictures(path: Path) -> None:
    import av

    path.mkdir()
    for number in range(3):
        picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 80 * number, np.uint8))
        codec = av.CodecContext.create("mjpeg" if number else "png", "w")
        codec.width, codec.height, codec.pix_fmt, codec.time_base = (
            64,
            48,
            "yuvj420p" if number else "rgb24",
            Fraction(1, 25),
        )
        packets = codec.encode(picture.reformat(format=codec.pix_fmt)) + codec.encode()
        (path / f"{number}.{'jpg' if number else 'png'}").write_bytes(b"".join(map(bytes, packets)))


def _finished(path: Path) -> None:
    clock = FeatureClock(**CLOCK, duration=9.5)
    finished = PartialResults(str(path).removesuffix(".partial"), "{}")
    finished.save(VideoFeatures("v_1", _VALUES, clock, {"source": '{"file": "v_1.mp4"}', "num_frames": 40}))


def _score_table(path: Path) -> None:
    path.write_bytes(written_by(lambda stream: np.save(stream, np.full((3, 101), 0.1))))


_SCORES = {"results": {"v_1": [0.1, 0.7], "v_2": [0.6, 0.2]}, "class": ["Run", "Dive"]}
_LISTED = {"results": {"v_1": [{"label": "Run", "score": 0.1}, {"label": "Dive", "score": 0.7}]}}
_SOURCE = {"weight": 0.5, "before": [0.1, 0.5], "after": [0.2, 0.9]}
_FIT = {"method": "wbf", "sources": [_SOURCE, _SOURCE]}
_METRICS = "".join(json.dumps({"epoch": n, "loss": {"cls": 0.5}, "lr": 0.1, "map": None}) + "\n" for n in (1, 2, 3))
_LISTED_CLASSES = "0 Run\n1 Dive\n2 'High jump'\n"
_TABLE = "video_id,Run,Dive\nv_1,0.1,0.7\nv_2,0.6,0.2\n"
_SPLIT = {"s1": {"training": ["v_1"], "validation": ["v_2"]}}
_DURATIONS = "video_id,duration\nv_1,9.5\nv_2,4\n"
_NEW_LABELS = "label,new_label\nRun,run\nDive,dive\n"
_ROWS = "video_id,start,end,label\nv_1,0.5,1.5,{}\nv_1,2.0,5.5,{}\nv_2,1.0,2.0,{}\n"
_PROPOSALS = '{"video_id": "v_1", "proposals": [{"segment": [0.5, 1.5], "score": 0.9}]}\n'
# What command lines read beside the broken file.
SIDES = {
    "rows.csv": _ROWS.format("Run", "Dive", "Run"),
    "numbered.csv": _ROWS.format(0, 1, 0),
    "proposals.jsonl": _PROPOSALS,
    "other.jsonl": _PROPOSALS,
    "truth.json": json.dumps({"database": _BARE | {"v_2": _BARE["v_1"]}}),
    "durations.csv": _DURATIONS,
    "numbers.txt": "1 Run\n7 Dive\n",
}
_CONVERT, _EXTRACT = "convert rows.csv -o out.csv", "extract {} -o out.h5 --window 8 --stride 4"
_SPLITTED = "evaluate truth.json proposals.jsonl --split {}:s1"
_FOR_AFSD = "convert --model afsd --preset thumos14 {} -o out.safetensors"
_BY_CLASSES = "convert numbered.csv -o out.csv --classes {}"
_LABELLED, _FUSED = (
    "label proposals.jsonl --classifier {}",
    "fuse proposals.jsonl other.jsonl --method wbf --weights {}",
)
_TOML = 'name = "bmn"\n[training]\nepochs = 3\nlearning_rate = 1e-3\n[nms]\nsigma = 0.5\n'


READERS: dict[str, Reader] = {
    reader.name: reader
    for reader in (
        *_of_formats(),
        Reader("any format", partial(_own, "csv", "proposals"), "lines", _as(None)),
        Reader("gzip", _zipped, "gzip", _as(None), ".json.gz"),
        Reader("stream", partial(_own, "jsonl", "proposals"), "json", accepted.stream, words="nms {}"),
        Reader("ground truth", partial(_own, "activitynet", "annotations"), "json", accepted.ground_truth, ".json"),
        Reader("classes text", text(_LISTED_CLASSES), "lines", accepted.classes, ".txt", words=_BY_CLASSES),
        Reader("classes json", text({"Run": 0, "Dive": 1}), "json", accepted.classes, ".json", words=_BY_CLASSES),
        Reader("scores json", text(_SCORES), "json", accepted.class_scores, ".json", words=_LABELLED),
        Reader("scores listed", text(_LISTED), "json", accepted.class_scores, ".json", words=_LABELLED),
        Reader("scores csv", text(_TABLE), "lines", accepted.class_scores, ".csv", words=_LABELLED),
        Reader("scores npy", _score_table, "npy", accepted.class_scores, ".npy"),
        Reader("split json", text(_SPLIT), "json", accepted.split, ".json"),
        Reader(
            "split csv",
            text("video,s1\nv_1,training\nv_2,validation\n"),
            "lines",
            accepted.split,
            ".csv",
            words=_SPLITTED,
        ),
        Reader(
            "id list", text("v_1\nv_2\n\nv 3\n"), "lines", accepted.id_list, ".txt", words=f"{_CONVERT} --videos {{}}"
        ),
        Reader(
            "durations",
            text(_DURATIONS),
            "lines",
            accepted.durations,
            ".csv",
            words="convert rows.csv -o out.json --durations {}",
        ),
        Reader(
            "relabelling", text(_NEW_LABELS), "lines", accepted.relabelling, ".csv", words=f"{_CONVERT} --relabel {{}}"
        ),
        Reader("metrics", text(_METRICS), "json", accepted.training_log, ".metrics.jsonl"),
        Reader("epochs", text(_METRICS), "json", accepted.epochs, ".metrics.jsonl", words="info {}"),
        Reader(
            "settings",
            text(_TOML),
            "lines",
            accepted.settings,
            ".toml",
            words="train --model bmn --preset activitynet13 --config {} --show-config",
        ),
        Reader(
            "checkpoint header",
            _safetensors,
            "safetensors",
            accepted.checkpoint_header,
            ".safetensors",
            words="info {}",
        ),
        Reader("safetensors", _safetensors, "safetensors", accepted.tensors, ".safetensors"),
        Reader("torch weights", _weights, "torch", accepted.tensors, ".pt", words=_FOR_AFSD),
        Reader("training state", _state, "torch", accepted.training_state, ".pt", words=""),
        Reader("partial extraction", _finished, "npz", accepted.partial_results, ".h5.partial", words=""),
        Reader("fusion weights", text(_FIT), "json", accepted.fusion_weights, ".json", words=_FUSED),
        Reader("check hdf5", partial(_own, "hdf5", "features"), "hdf5", check, ".h5"),
        Reader("check safetensors", _safetensors, "safetensors", check, ".safetensors"),
        Reader("video mp4", partial(_video, "mpeg4", "mp4"), "video", accepted.video, ".mp4", words=_EXTRACT),
        Reader("video h264", partial(_video, "libx264", "matroska"), "video", accepted.video, ".mkv", words=_EXTRACT),
        Reader("video avi", partial(_video, "mpeg4", "avi"), "video", accepted.video, ".avi", words=_EXTRACT),
        Reader("video ts", partial(_video, "mpeg2video", "mpegts"), "video", accepted.video, ".ts", words=_EXTRACT),
        Reader("pictures", _pictures, "bytes", accepted.frames, words=f"{_EXTRACT} --images-fps 25"),
    )
}
