"""Reading all of a file, and what is asked of all that is accepted: finite numbers in their ranges, and that, once it
is written and read again, it is the same.

Each takes the path of a file; an AssertionError says what was accepted wrongly, all else is raised by the readers.
"""

import json
import math
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np

from taltool.data.annotations import read_ground_truth, read_id_list, read_split
from taltool.data.checkpoint_header import CheckpointHeader, read_checkpoint_header
from taltool.data.class_lists import read_classes
from taltool.data.class_scores import read_class_scores
from taltool.data.clock import UnknownClockError
from taltool.data.formats.contract import Annotations, Content, Features, FormatOptions, Proposals
from taltool.data.formats.sniffing import format_named, open_content
from taltool.data.proposals import ProposalReader
from taltool.data.records import GroundTruth
from taltool.data.sidecars import read_durations, read_relabelling
from taltool.data.stored_frames import pieces
from taltool.data.training_log import read_epochs, read_training_log
from taltool.data.video_json import to_objects
from taltool.errors import DataError
from taltool.experiment.checkpoint import load_state, read_tensors
from taltool.experiment.configuration import build, from_plain, read_config, to_plain
from taltool.extraction.resume import PartialResults
from taltool.models import MODELS
from taltool.ops.method_names import FusionMethod
from taltool.postprocessing.fusion_weights import given
from taltool.video.facts import video_facts
from taltool.video.frames import FrameFormat, FrameSequence

# A gap of a video that is filled is at most so long (s), see taltool.video.decode; those of the seeds have 25 frames/s.
_LONGEST_GAP, FRAMES = 600.0, 12
_LAYOUTS = {"proposals": "jsonl", "annotations": "activitynet", "features": "hdf5"}


def content(name: str | None, path: str, facts: FormatOptions) -> None:
    """A file of a format, by name or by its content."""
    again = str(Path(path).parent / "again")
    with open_content(path, name, facts) as read:
        found = _collected(read)
        is_whole = _write_again(found, again)
        before = _essence(found)
    if is_whole:
        with open_content(again, _LAYOUTS[found.kind]) as read:
            assert _essence(_collected(read)) == before, "what was accepted reads back otherwise"


def _write_again(found: Content, path: str) -> bool:
    """Write in taltool's own layout, which holds all there is; False for what it has no place for, as is said then."""
    try:
        format_named(_LAYOUTS[found.kind]).write(found, path, FormatOptions())
    except UnknownClockError:  # Nobody said when the snippets are.
        return False
    except DataError as error:
        # A ground truth has no place for a duration that nobody knows; names of HDF5 cannot be these.
        if found.kind == "annotations" and "duration" in str(error):
            return False
        if found.kind == "features" and "cannot be the name" in str(error):
            return False
        raise
    return True


def _collected(read: Content) -> Content:
    if isinstance(read, Proposals):
        read.videos = list(read.videos)
        for video in read.videos:
            _demand_segments(video.segments, video.video_id)
            assert np.isfinite(video.scores).all(), f"scores that are not finite in {video.video_id!r}"
            assert video.duration is None or 0 < video.duration < np.inf, f"duration {video.duration}"
    elif isinstance(read, Annotations):
        read.entries = list(read.entries)
        for video_id, entry in read.entries:
            every = [each["segment"] for each in entry.get("annotations") or []]
            _demand_segments(np.array(every, float).reshape(-1, 2), video_id)
            assert all(isinstance(each["label"], str) for each in entry.get("annotations") or []), "labels are texts"
            assert 0 < entry.get("duration", 1) < np.inf, f"duration {entry['duration']}"
    return read


def _demand_segments(segments: Any, video_id: str) -> None:
    assert np.isfinite(segments).all(), f"segments that are not finite in {video_id!r}"
    assert (segments[:, 0] <= segments[:, 1]).all(), f"segments that end before they start in {video_id!r}"


def _essence(found: Any) -> Any:
    """All that counts of a content, by video id."""
    if isinstance(found, Proposals):
        return {video.video_id: (video.duration, to_objects(video)) for video in found.videos}
    if isinstance(found, Annotations):
        return {
            video_id: (
                entry.get("duration"),
                entry.get("subset"),
                [(each["label"], *each["segment"]) for each in (entry.get("annotations") or [])],
            )
            for video_id, entry in found.entries
        }
    return {video_id: _sequence(found, video_id) for video_id in found.ids}


def _sequence(found: Features, video_id: str) -> Any:
    shape, size = found.shape(video_id), found.frame_size(video_id)
    found.extras(video_id)
    values = found.values(video_id)
    if size:
        blocks = list(pieces(values))
        held = b"".join(np.asarray(block).tobytes() for block in blocks)
    else:
        held = np.asarray(values).tobytes()
        assert np.asarray(values).shape == shape, "values of another shape than was said"
        assert np.isfinite(values).all(), f"values that are not finite in {video_id!r}"
    try:
        clock = found.clock(video_id)
    except UnknownClockError:
        return shape, size, held, None
    times = clock.seconds(np.arange(3.0))
    assert np.isfinite(times).all(), f"times {times} of {clock}"
    assert 0 < clock.duration < np.inf, f"duration {clock.duration}"
    return shape, size, held, clock


def stream(path: str) -> None:
    """A stream of proposals."""
    with ProposalReader(path) as reader:
        _collected(Proposals(list(reader)))


def ground_truth(path: str) -> None:
    """A ground truth as evaluation and training read it."""
    found = read_ground_truth(path)
    again = Path(path).parent / "again.json"
    database: dict[str, Any] = {}
    for video_id, video in found.videos.items():
        _demand_segments(video.segments, video_id)
        assert video.duration is None or 0 < video.duration < np.inf, f"duration {video.duration}"
        labels = [found.names.names[number] for number in video.labels]
        listed = [{"segment": s, "label": n} for s, n in zip(video.segments.tolist(), labels, strict=True)]
        database[video_id] = {"duration": video.duration, "subset": video.subset, "annotations": listed}
    again.write_bytes(json.dumps({"database": database}).encode())
    assert _truth(read_ground_truth(str(again))) == _truth(found), "what was accepted reads back otherwise"


def _truth(found: GroundTruth) -> Any:
    return {
        video_id: (video.duration, video.subset, video.segments.tolist(), [found.names.names[n] for n in video.labels])
        for video_id, video in found.videos.items()
    }


def classes(path: str) -> None:
    """A list of classes."""
    found = read_classes(path)
    again = Path(path).parent / "again.json"
    again.write_text(json.dumps({"classes": [{"id": number, "name": name} for name, number in found.items()]}))
    assert read_classes(str(again)) == found, "what was accepted reads back otherwise"


def class_scores(path: str) -> None:
    """Class scores of whole videos."""
    found = read_class_scores(path)
    assert len(set(found.names)) == len(found.names) == found.rows.shape[1], "as many names as columns"
    assert ((found.rows >= 0) & (found.rows <= 1.001)).all(), "scores that are no probabilities"
    if found.row_of is None or not found.names:
        return
    assert sorted(found.row_of.values()) == list(range(len(found.rows))), "a row for each video"
    again = Path(path).parent / "again.json"
    results = {video_id: found.rows[row].tolist() for video_id, row in found.row_of.items()}
    again.write_text(json.dumps({"results": results, "classes": found.names}))
    other = read_class_scores(str(again))
    assert (other.names, other.row_of) == (found.names, found.row_of), "what was accepted reads back otherwise"
    assert (other.rows == found.rows).all(), "scores that read back otherwise"


def split(path: str) -> None:
    """A split, of subsets by video id."""
    found = read_split(f"{path}:s1")
    assert all(isinstance(word, str) for pair in found.items() for word in pair), "ids and subsets are texts"


def id_list(path: str) -> None:
    """A list of video ids."""
    ids, _ = read_id_list(path)
    assert ids, "no ids, and no word of it"
    assert len(set(ids)) == len(ids), "ids come once"
    again = Path(path).parent / "again.json"
    again.write_text(json.dumps(ids))
    assert read_id_list(str(again))[0] == ids, "what was accepted reads back otherwise"


def durations(path: str) -> None:
    """Durations by video id."""
    found = read_durations(path)
    assert found, "no duration, and no word of it"
    assert all(0 < seconds < np.inf for seconds in found.values()), f"durations {found}"


def relabelling(path: str) -> None:
    """New names of labels."""
    assert all(word for pair in read_relabelling(path).items() for word in pair), "labels are not empty"


def training_log(path: str) -> None:
    """The measurements of a training, to be drawn and to be listed."""
    for x, y in read_training_log(path).quantities.values():
        assert x.shape == y.shape, "a value for each epoch"


def epochs(path: str) -> None:
    """The lines of a training's measurements."""
    assert all(isinstance(row, dict) for row in read_epochs(path)), "a line is an object"


def settings(path: str) -> None:
    """Settings of a model in TOML."""
    name, layer = read_config(path)
    if name == "bmn":  # Who loads another model says so of the name.
        config = MODELS.load(name).Config
        found = build(name, config, [layer])
        assert from_plain(to_plain(found), config, path) == found, "settings that read back otherwise"


def checkpoint_header(path: str) -> None:
    """What a checkpoint says of itself."""
    found = read_checkpoint_header(path)
    again = CheckpointHeader.from_metadata(found.metadata(), path)
    assert again == found, "what was accepted reads back otherwise"


def tensors(path: str) -> None:
    """The tensors of a checkpoint."""
    found = read_tensors(path)
    assert all(each.isfinite().all() for each in found.values()), "tensors that are not finite"


def training_state(path: str) -> None:
    """The state from which a training goes on."""
    assert isinstance(load_state(Path(path)), dict), "a state is a table"


def partial_results(path: str) -> None:
    """The videos that an extraction finished before it was killed."""
    finished = PartialResults(path.removesuffix(".partial"), "{}")
    for video_id in list(finished.ids()):
        finished.identity(video_id)
        found = finished.load(video_id)
        assert np.asarray(found.values).ndim == 2, "values are (T, C)"


def fusion_weights(path: str) -> None:
    """Weights and calibrations of a fusion."""
    for source in given(path, ["a", "b"], FusionMethod.wbf):
        scores = source.calibration(np.linspace(-1, 2, 31))
        assert math.isfinite(source.weight), f"weight {source.weight}"
        assert np.isfinite(scores).all(), f"scores {scores}"
        assert (np.diff(scores) >= 0).all(), "a calibration that turns the order of scores about"


def video(path: str) -> None:
    """A video: what it is, and all pictures that an extraction would see."""
    video_facts(path)
    try:
        pictures = FrameSequence(path, FrameFormat("gray", exact=(8, 8)))
        limit = (pictures.timeline.fps * _LONGEST_GAP + 1) * FRAMES
        for number, _ in enumerate(pictures, start=1):
            assert number < limit, f"{number} pictures, at {pictures.timeline.fps} a second"
    except DataError as error:  # Whoever has several videos says which.
        raise DataError(f"{path}: {error}") from error


def frames(path: str) -> None:
    """A folder of pictures."""
    try:
        deque(FrameSequence(path, FrameFormat("gray", exact=(8, 8)), images_fps=25.0), maxlen=0)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
