"""All that reads a file: how a small whole one is made, how it is broken, and a call that reads every value of it."""

import gzip
import io
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from safetensors.torch import save_file

from taltool.data.annotations import read_ground_truth, read_id_list, read_split
from taltool.data.checkpoint_header import CheckpointHeader, read_checkpoint_header
from taltool.data.class_lists import read_classes
from taltool.data.class_scores import read_class_scores
from taltool.data.clock import FeatureClock, UnknownClockError
from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Annotations, Content, Features, FormatOptions, Proposals
from taltool.data.formats.sniffing import format_named, open_content
from taltool.data.proposals import ProposalReader
from taltool.data.records import LabelVocabulary, VideoProposals
from taltool.data.sidecars import read_durations, read_relabelling
from taltool.data.stored_frames import pieces
from taltool.data.training_log import read_epochs, read_training_log
from taltool.data.video_json import to_objects
from taltool.errors import DataError
from taltool.experiment.checkpoint import load_state, read_tensors
from taltool.experiment.configuration import build, read_config, to_plain
from taltool.inspection.check import check
from taltool.models import MODELS
from taltool.ops.method_names import FusionMethod
from taltool.postprocessing.fusion_weights import given
from taltool.video.decode import Losses, decode_frames, scan
from taltool.video.facts import video_facts

CLOCK = {"fps": 30.0, "stride": 4.0, "window": 16.0, "offset": 2.0}
FACTS = FormatOptions(clock=CLOCK, durations={"v_1": 9.5, "v_2": 4.0}, classes={"Dive": 7, "Run": 1})
_VALUES = np.arange(12, dtype=np.float32).reshape(3, 4)


@dataclass(frozen=True)
class Reader:
    """make writes a whole file, or a folder of some, to a path; kind is how it is broken, see `mutations.KINDS`; read
    reads all of it and raises what it finds wrong. suffix: of the file's name; share: of the mutations that others get.
    checked: `taltool check` knows such files."""

    name: str
    make: Callable[[Path], object]
    kind: str
    read: Callable[[str], object]
    suffix: str = ""
    share: float = 1.0
    checked: bool = True


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


def read_as(name: str | None, path: str, facts: FormatOptions = FACTS) -> None:
    """Read all of a file; what is taken for segments must be some, and be the same once written and read again."""
    with open_content(path, name, facts) as content:
        if isinstance(content, Features):
            _read_features(content)
            return
        found = _collected(content)
    again = str(Path(path).parent / "again")
    layout = "jsonl" if isinstance(content, Proposals) else "activitynet"
    try:
        format_named(layout).write(found, again, FormatOptions())
    except DataError:  # Not all that can be read can be written: a ground truth needs the durations, for one.
        return
    with open_content(again, layout) as read:
        other = _collected(read)
    assert _essence(other) == _essence(found), "what was accepted reads back otherwise"


def _collected(content: Content) -> Content:
    if isinstance(content, Proposals):
        content.videos = list(content.videos)
        for video in content.videos:
            _demand_segments(video.segments, video.video_id)
            assert np.isfinite(video.scores).all(), f"scores that are not finite in {video.video_id}"
            assert video.duration is None or 0 < video.duration < np.inf, f"duration {video.duration}"
    elif isinstance(content, Annotations):
        content.entries = list(content.entries)
        for video_id, entry in content.entries:
            every = [each["segment"] for each in entry.get("annotations") or []]
            _demand_segments(np.array(every, float).reshape(-1, 2), video_id)
            assert 0 < entry.get("duration", 1) < np.inf, f"duration {entry['duration']}"
    return content


def _demand_segments(segments: Any, video_id: str) -> None:
    assert np.isfinite(segments).all(), f"segments that are not finite in {video_id!r}"
    assert (segments[:, 0] <= segments[:, 1]).all(), f"segments that end before they start in {video_id!r}"


def _essence(content: Any) -> Any:
    if isinstance(content, Proposals):
        return {video.video_id: (video.duration, to_objects(video)) for video in content.videos}
    return {
        video_id: (
            entry.get("duration"),
            entry.get("subset"),
            [(a["label"], *a["segment"]) for a in (entry.get("annotations") or [])],
        )
        for video_id, entry in content.entries
    }


def _read_features(content: Features) -> None:
    for video_id in content.ids:
        content.shape(video_id), content.extras(video_id), content.frame_size(video_id)
        values = content.values(video_id)
        if content.frame_size(video_id):
            deque(pieces(values), maxlen=0)
        else:
            assert np.asarray(values).shape == content.shape(video_id), "values of another shape than was said"
        try:
            clock = content.clock(video_id)
        except UnknownClockError:
            continue
        times = clock.seconds(np.arange(3.0))
        assert np.isfinite(times).all(), f"times {times} of {clock}"
        assert 0 < clock.duration < np.inf, f"duration {clock.duration}"


_KINDS = {
    "activitynet": "json", "actionformer": "json", "boris": "json", "jsonl": "json", "jsonl1": "json", "via": "json",
    "labelstudio": "json", "hdf5": "hdf5", "npy": "npy", "parquet": "bytes",
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
_FEATURE_CSV = "f0,f1\n0.5,1.5\n2.5,3.5\n4.5,5.5\n"


def _pt() -> bytes:
    return written_by(partial(torch.save, torch.ones(3, 4)))


def _mat() -> bytes:
    from scipy.io import savemat

    return written_by(lambda stream: savemat(stream, {"rgb": _VALUES}))


def _own_hdf5() -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.create_dataset("rgb", data=_VALUES, chunks=(1, 4), compression="gzip").attrs.update(CLOCK)
    return stream.getvalue()


_FOREIGN = [
    ("bmn", "", folder(**{"v_1.csv": _BMN, "v_2.csv": _BMN}), "lines", replace(FACTS, clock={})),
    ("charades", ".csv", text(_CHARADES), "lines", replace(FACTS, classes=None)),
    ("epic-kitchens", ".csv", text(_EPIC), "lines", replace(FACTS, classes=None, labels="action")),
    ("ssn", ".txt", text(_SSN), "lines", FACTS),
    ("ssn", ".txt", text(_SSN), "lines", replace(FACTS, score=1.0)),
    ("thumos14-detections", ".txt", text(_DETECTIONS), "lines", replace(FACTS, classes=None)),
    ("boris-events", ".csv", text(_EVENTS), "lines", FACTS),
    ("cvat", ".xml", text(_CVAT), "lines", FACTS),
    ("bare-json", ".json", text(_BARE), "json", FACTS),
    ("bare-json", ".json", text(_ACTIONS), "json", FACTS),
    ("csv-features", "", folder(**{"v_1.csv": _FEATURE_CSV}), "lines", FACTS),
    ("hdf5-folder", "", folder(**{"v_1.h5": _own_hdf5()}), "hdf5", FACTS),
    ("npz", "", folder(**{"v_1.npz": written_by(lambda stream: np.savez(stream, rgb=_VALUES))}), "bytes", FACTS),
    ("npz", "", folder(**{"v_1.npz": written_by(lambda s: np.savez_compressed(s, rgb=_VALUES))}), "bytes", FACTS),
    ("pt", "", folder(**{"v_1.pt": _pt()}), "bytes", FACTS),
    ("mat", "", folder(**{"v_1.mat": _mat()}), "bytes", FACTS),
]


def _of_formats() -> list[Reader]:
    found = []
    for name in FORMATS.names():
        layout = FORMATS.load(name)
        if not layout.is_written or (layout.requires and not find_spec(layout.requires)):
            continue
        for kind in layout.kinds:
            how = _KINDS.get(name, "lines")
            suffix = layout.suffixes[0] if layout.suffixes else ""
            found.append(Reader(f"{name} {kind}", partial(_own, name, kind), how, partial(read_as, name), suffix))
    for number, (name, suffix, make, how, facts) in enumerate(_FOREIGN):
        read = partial(read_as, name, facts=facts)
        found.append(Reader(f"{name} {number}", make, how, read, suffix, checked=False))
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


def _read_settings(path: str) -> None:
    name, layer = read_config(path)
    if name == "bmn":  # Who loads another model says so of the name.
        build(name, MODELS.load(name).Config, [layer])


def _read_stream(path: str) -> None:
    with ProposalReader(path) as reader:
        found = _collected(Proposals(list(reader)))
    assert found.kind == "proposals"


def _zipped(path: Path) -> None:
    _own("activitynet", "annotations", path)
    path.write_bytes(gzip.compress(path.read_bytes(), mtime=0))


def _video(codec: str, container: str, path: Path) -> None:
    import av

    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(12):
            picture = np.full((48, 64, 3), 20 * number, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        file.mux(stream.encode())


def _read_video(path: str) -> None:
    video_facts(path)
    try:
        deque(decode_frames(path, scan(path), Losses()), maxlen=0)
    except DataError as error:  # Whoever has several videos says which.
        raise DataError(f"{path}: {error}") from error


_SCORES = {"results": {"v_1": [0.1, 0.7], "v_2": [0.6, 0.2]}, "class": ["Run", "Dive"]}
_LISTED = {"results": {"v_1": [{"label": "Run", "score": 0.1}, {"label": "Dive", "score": 0.7}]}}
_FIT = {"method": "wbf", "sources": [{"weight": 0.5, "before": [0.1, 0.5], "after": [0.2, 0.9]}]}
_METRICS = "".join(json.dumps({"epoch": n, "loss": {"cls": 0.5}, "lr": 0.1, "map": None}) + "\n" for n in (1, 2, 3))
_TOML = 'name = "bmn"\n[training]\nepochs = 3\nlearning_rate = 1e-3\n[nms]\nsigma = 0.5\n'


def _read_fit(path: str) -> None:
    given(path, ["a"], FusionMethod(_FIT["method"]))


READERS: dict[str, Reader] = {
    reader.name: reader
    for reader in (
        *_of_formats(),
        Reader("any format", partial(_own, "csv", "proposals"), "lines", partial(read_as, None)),
        Reader("gzip", _zipped, "gzip", partial(read_as, None), ".json.gz"),
        Reader("stream", partial(_own, "jsonl", "proposals"), "json", _read_stream),
        Reader("ground truth", partial(_own, "activitynet", "annotations"), "json", read_ground_truth, ".json"),
        Reader("classes text", text("0 Run\n1 Dive\n2 'High jump'\n"), "lines", read_classes, ".txt", checked=False),
        Reader("classes json", text({"Run": 0, "Dive": 1}), "json", read_classes, ".json", checked=False),
        Reader("scores json", text(_SCORES), "json", read_class_scores, ".json"),
        Reader("scores listed", text(_LISTED), "json", read_class_scores, ".json"),
        Reader("scores csv", text("video_id,Run,Dive\nv_1,0.1,0.7\nv_2,0.6,0.2\n"), "lines", read_class_scores, ".csv"),
        Reader(
            "scores npy",
            lambda path: path.write_bytes(written_by(lambda stream: np.save(stream, np.full((3, 101), 0.1)))),
            "npy",
            read_class_scores,
            ".npy",
        ),
        Reader(
            "split json",
            text({"s1": {"training": ["v_1"], "validation": ["v_2"]}}),
            "json",
            lambda p: read_split(f"{p}:s1"),
            ".json",
        ),
        Reader(
            "split csv",
            text("video,s1\nv_1,training\nv_2,validation\n"),
            "lines",
            lambda p: read_split(f"{p}:s1"),
            ".csv",
        ),
        Reader("id list", text("v_1\nv_2\n\nv 3\n"), "lines", read_id_list, ".txt", checked=False),
        Reader(
            "durations", text("video_id,duration\nv_1,9.5\nv_2,4\n"), "lines", read_durations, ".csv", checked=False
        ),
        Reader(
            "relabelling",
            text("label,new_label\nRun,run\nDive,dive\n"),
            "lines",
            read_relabelling,
            ".csv",
            checked=False,
        ),
        Reader("metrics", text(_METRICS), "json", read_training_log, ".metrics.jsonl"),
        Reader("epochs", text(_METRICS), "json", read_epochs, ".metrics.jsonl"),
        Reader("settings", text(_TOML), "lines", _read_settings, ".toml", checked=False),
        Reader("checkpoint header", _safetensors, "safetensors", read_checkpoint_header, ".safetensors"),
        Reader("safetensors", _safetensors, "safetensors", read_tensors, ".safetensors"),
        Reader("torch weights", _weights, "bytes", read_tensors, ".pt", 0.5),
        Reader("resume state", _state, "bytes", lambda path: load_state(Path(path)), ".pt", 0.5, checked=False),
        Reader("fusion weights", text(_FIT), "json", _read_fit, ".json", checked=False),
        Reader("check hdf5", partial(_own, "hdf5", "features"), "hdf5", check, ".h5"),
        Reader("check safetensors", _safetensors, "safetensors", check, ".safetensors"),
        Reader("video mp4", partial(_video, "mpeg4", "mp4"), "bytes", _read_video, ".mp4", 0.25),
        Reader("video h264", partial(_video, "libx264", "matroska"), "bytes", _read_video, ".mkv", 0.25),
        Reader("video avi", partial(_video, "mpeg4", "avi"), "bytes", _read_video, ".avi", 0.25),
    )
}
