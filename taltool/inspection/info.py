"""`info`: what is in a file, whatever its kind: counts, classes, durations, clocks, quantiles of scores, provenance; of
a video its length, rate, size and streams."""

import contextlib
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from taltool.data.checkpoint_header import KEY, CheckpointHeader, read_tensor_table
from taltool.data.class_scores import MOST, ClassScores, read_numbers
from taltool.data.clock import UnknownClockError
from taltool.data.containers import VIDEO_SUFFIXES, container_name
from taltool.data.feature_checks import common_channels, disagreement
from taltool.data.files import STANDARD
from taltool.data.formats.contract import Annotations, Content, Features, FormatOptions, Proposals
from taltool.data.formats.sniffing import beginning, open_content
from taltool.data.quantiles import Quantiles
from taltool.data.records import Floats, Integers, LabelVocabulary
from taltool.data.training_log import read_epochs
from taltool.errors import DataError, UsageError
from taltool.inspection.side_files import side_file
from taltool.video.sources import IMAGE_SUFFIXES, image_files

Facts = dict[str, Any]
_MOST_CLOCKS = 5
_QUANTILES = {"min": 0.0, "25%": 0.25, "median": 0.5, "75%": 0.75, "max": 1.0}


@dataclass(frozen=True)
class FileInfo:
    """Named facts on a file, ready for JSON; kind is proposals, annotations, features, frame store, checkpoint,
    class scores, metrics, video, frames (a folder of images) or videos (a folder of videos)."""

    file: str
    kind: str
    facts: Facts

    def __repr__(self) -> str:
        """`FileInfo(gt.json: annotations, videos 413, instances 6365, classes 20)`."""
        counts = "".join(f", {name} {value}" for name, value in self.facts.items() if isinstance(value, int))
        return f"FileInfo({self.file}: {self.kind}{counts})"


def info(file: str | Path = STANDARD, *, score: float | None = None) -> FileInfo:
    """What is in a file; `score` stands in for missing scores of proposals.

    Raises DataError for a file that is broken, or of no known kind.
    """
    file = str(file)
    kind = kind_of(file)
    if kind in ("video", "videos", "frames"):
        from taltool.video.facts import folder_facts, frames_facts, video_facts

        read = {"video": video_facts, "videos": folder_facts, "frames": frames_facts}[kind]
        return FileInfo(file, kind, read(file))
    if kind == "checkpoint":
        return FileInfo(file, kind, _checkpoint(file))
    if kind == "metrics":
        return FileInfo(file, kind, _metrics(file))
    if kind == "content" and not Path(file).is_dir() and side_file(beginning(file)) == "class scores":
        return FileInfo(file, "class scores", _class_scores(file))
    with opened(file, FormatOptions(score=score), own="score") as content:
        if isinstance(content, Proposals):
            return FileInfo(file, content.kind, _proposals(content))
        if isinstance(content, Annotations):
            return FileInfo(file, content.kind, _annotations(content))
        if content.of_frames:
            return FileInfo(file, "frame store", _frames(content))
        return FileInfo(file, content.kind, _features(content))


@contextlib.contextmanager
def opened(file: str, options: FormatOptions, own: str) -> Iterator[Content]:
    """The content of a file. Where it cannot be read without an option that is none of the command's `own` (words with
    | between them) DataError says whose it is."""
    try:
        with open_content(file, options=options) as content:
            yield content
    except (DataError, UsageError) as error:
        if "taltool" in str(error) or not re.search(rf"--(?!({own})\b)[a-z]", str(error)):
            raise
        raise DataError(f"{error}; options that taltool convert has: look at what it makes of this file") from error


def kind_of(path: str) -> str:
    """What `path` is, told by content: `checkpoint`, `metrics`, `video`, a folder of `videos` or of `frames`, or
    `content` for whatever the formats know."""
    start = beginning(path)
    if path != STANDARD and container_name(start.head) is not None:
        return "video"
    if start.suffixes & VIDEO_SUFFIXES:
        return "videos"
    if start.suffixes & IMAGE_SUFFIXES and image_files(Path(path)):
        return "frames"
    # Safetensors are eight bytes of length, then JSON.
    if start.head[8:9] == b"{" and 2 <= int.from_bytes(start.head[:8], "little") < 1 << 32:
        return "checkpoint"
    if b"\0" in start.head[:4096] and Path(path).suffix.lower() in VIDEO_SUFFIXES:
        return "video"
    try:
        first = orjson.loads(start.first_line())
    except orjson.JSONDecodeError:
        return "content"
    return "metrics" if isinstance(first, dict) and "epoch" in first else "content"


def _quantiles(values: Quantiles | Iterable[float]) -> dict[str, float]:
    """Five quantiles by name; empty where there are no values."""
    if isinstance(values, Quantiles):
        return dict(zip(_QUANTILES, values.at(list(_QUANTILES.values())), strict=False))
    with Quantiles() as found:
        found.add(np.fromiter(values, np.float64))
        return _quantiles(found)


def _proposals(content: Proposals) -> Facts:
    counts, durations = array("q"), array("d")
    tallies: dict[LabelVocabulary, Integers] = {}
    with Quantiles() as lengths, Quantiles() as scores:
        for video in content.videos:
            counts.append(len(video))
            lengths.add(_lengths(video.segments))
            scores.add(video.scores)
            if video.duration is not None:
                durations.append(video.duration)
            if video.labels is not None:
                tally = tallies.get(video.names, np.empty(0, np.int64))
                tallies[video.names] = np.bincount(video.labels, minlength=len(video.names))
                tallies[video.names][: len(tally)] += tally
        used = Counter[str]()
        for names, tally in tallies.items():
            used.update({name: int(count) for name, count in zip(names, tally, strict=False) if count})
        return {
            "videos": len(counts),
            "proposals": sum(counts),
            "proposals_per_video": _quantiles(counts),
            "classes": len(used) if used else None,
            "proposals_of_class": dict(sorted(used.items())),
            "videos_with_duration": len(durations),
            "hours": sum(durations) / 3600 if durations else None,
            "seconds_per_proposal": _quantiles(lengths),
            "score": _quantiles(scores),
            "provenance": content.provenance or [],
        }


def _lengths(segments: Floats) -> Floats:
    with np.errstate(over="ignore"):
        return segments[:, 1] - segments[:, 0]


def _annotations(content: Annotations) -> Facts:
    counts, durations = array("q"), array("d")
    videos_in: Counter[str] = Counter()
    labels_in: defaultdict[str, Counter[str]] = defaultdict(Counter)
    with Quantiles() as lengths:
        for _, entry in content.entries:
            annotations, subset = entry.get("annotations") or [], entry.get("subset") or "none"
            videos_in[subset] += 1
            labels_in[subset].update(each["label"] for each in annotations)
            counts.append(len(annotations))
            segments = np.array([each["segment"] for each in annotations], np.float64).reshape(-1, 2)
            lengths.add(_lengths(segments))
            if "duration" in entry:
                durations.append(entry["duration"])
        classes = sum(labels_in.values(), Counter[str]())
        return {
            "version": content.head.get("version"),
            "videos": len(counts),
            "instances": sum(counts),
            "subsets": {
                subset: {"videos": videos_in[subset], "instances": labels.total(), "classes": len(labels)}
                for subset, labels in labels_in.items()
            },
            "classes": len(classes),
            "instances_of_class": dict(sorted(classes.items())),
            "hours": sum(durations) / 3600 if durations else None,
            "seconds_per_video": _quantiles(durations),
            "seconds_per_instance": _quantiles(lengths),
            "instances_per_video": _quantiles(counts),
        }


def _features(content: Features) -> Facts:
    shapes = [content.shape(video_id) for video_id in content.ids]
    lengths = [length for length, _ in shapes]
    clocks: Counter[str] = Counter()
    durations = []
    for video_id in content.ids:
        try:
            clock = content.clock(video_id)
        except UnknownClockError:
            clocks["unknown"] += 1
            continue
        clocks[str(clock)] += 1
        durations.append(clock.duration)
    hidden = sum(count for _, count in clocks.most_common()[_MOST_CLOCKS:])
    left_out = [f"{note} left out" for note in content.notes]
    return {
        "videos": len(shapes),
        "channels": sorted({channels for _, channels in shapes}),
        "snippets": sum(lengths),
        "snippets_per_video": _quantiles(lengths),
        "clock": {text: f"{count} videos" for text, count in clocks.most_common(_MOST_CLOCKS)}
        | ({f"{len(clocks) - _MOST_CLOCKS} others": f"{hidden} videos"} if hidden else {}),
        "hours": sum(durations) / 3600 if durations else None,
        "seconds_per_video": _quantiles(durations),
        "streams": content.streams,
        "oddities": [*content.hints, *left_out, *_disagreements(content), *_flaws(content)],
        "attributes": content.attributes,
        "provenance": content.provenance or [],
    }


def _disagreements(content: Features) -> list[str]:
    """In what the features disagree with each other, or with what they say of their videos."""
    found = disagreement(content, content.ids)
    try:
        common_channels(content, content.ids, "")
    except DataError as error:
        return [str(error).removeprefix(": "), *([str(found)] if found else [])]
    return [str(found)] if found else []


def _flaws(content: Features) -> list[str]:
    """What was wrong with the videos that they are of: how many are so, and what is told of the first."""
    told = []
    for name, what in (("mended", "that were mended"), ("problem", "that could not be read wholly")):
        flaws = {each: flaw for each in content.ids if (flaw := content.extras(each).get(name))}
        if flaws:
            first, flaw = next(iter(flaws.items()))
            told.append(f"{len(flaws)} videos {what}; '{first}' {flaw}")
    return told


def _class_scores(path: str) -> Facts:
    found, listed = read_numbers(path)
    remark = logits(found)
    facts: Facts = {
        "videos": len(found.rows),
        "classes": len(found.names),
        "names": found.names,
        "ids": "the numbers at the end of the videos' names" if found.row_of is None else "given",
        "classes_per_video": _quantiles(listed.sum(1)),
        "score": _quantiles(found.rows[listed]),
        "numbers": "logits" if remark else "probabilities",
    }
    return facts | ({} if remark else {"sum_per_video": _quantiles(found.rows.sum(1))})


def logits(scores: ClassScores) -> str:
    """What to say of class scores that are no probabilities; empty where they are."""
    other = np.count_nonzero(((scores.rows < 0) | (scores.rows > MOST)).any(1))
    if not other:
        return ""
    return (
        f"scores below 0 or above 1 in {other} of {len(scores.rows)} videos, so logits: taltool label wants --softmax "
        "for them"
    )


def _frames(content: Features) -> Facts:
    """Those of features by the words for frames, with their size (height x width) and number of bytes."""
    sizes, of_stills = Counter[str](), 0
    for video_id in content.ids:
        height, width = content.frame_size(video_id) or (0, 0)
        sizes[f"{height}x{width}"] += 1
        length, channels = content.shape(video_id)
        of_stills += length * height * width * channels
    facts = _features(content)
    shown = {"videos": facts.pop("videos"), "channels": facts.pop("channels"), "streams": facts.pop("streams")}
    shown |= {"frames": facts.pop("snippets"), "frames_per_video": facts.pop("snippets_per_video")}
    shown |= {"size": {text: f"{count} videos" for text, count in sizes.most_common(_MOST_CLOCKS)}}
    return shown | {"megabytes": of_stills / 1e6} | facts


def _checkpoint(path: str) -> Facts:
    table = read_tensor_table(path)
    metadata = table.pop("__metadata__", None) or {}
    found: Facts = {
        "bytes": Path(path).stat().st_size,
        "tensors": len(table),
        "parameters": sum(int(np.prod(tensor["shape"])) for tensor in table.values()),
        "number_types": dict(Counter(tensor["dtype"] for tensor in table.values())),
    }
    if KEY not in metadata:
        return found | {"metadata": metadata}
    header = CheckpointHeader.from_metadata(metadata, path)
    fields = {name: value for name, value in vars(header).items() if name not in ("provenance", "version")}
    return found | fields | {"provenance": header.provenance or []}


def _metrics(path: str) -> Facts:
    rows = read_epochs(path)
    validations = [row["validation"] for row in rows if isinstance(row.get("validation"), dict)]
    found: Facts = {"rows": len(rows), "last": rows[-1]}
    for name, choose in (("loss", min), ("mAP", max)):
        values = [each[name] for each in validations if each.get(name) is not None]
        if values:
            found[f"best_validation_{name}"] = choose(values)
    return found
