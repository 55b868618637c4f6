"""What is in a file, whatever its kind: counts, classes, durations, clocks, quantiles of scores, provenance."""

from array import array
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from taltool.data.checkpoint_header import KEY, CheckpointHeader, read_tensor_table
from taltool.data.clock import UnknownClockError
from taltool.data.formats.contract import Annotations, Content, Features, FormatOptions, Opening, Proposals
from taltool.data.formats.sniffing import beginning, open_content
from taltool.data.quantiles import Quantiles
from taltool.data.records import Floats, Integers, LabelVocabulary
from taltool.data.training_log import read_epochs

Summary = dict[str, Any]
_MOST_CLOCKS = 5
_QUANTILES = {"min": 0.0, "25%": 0.25, "median": 0.5, "75%": 0.75, "max": 1.0}


def kind_of(path: str) -> str:
    """`checkpoint`, `metrics`, or `content` for whatever the formats know; told by content."""
    start = beginning(path)
    if _is_safetensors(start):
        return "checkpoint"
    return "metrics" if _is_training_log(start) else "content"


def _is_safetensors(start: Opening) -> bool:
    """Eight bytes of length, then JSON."""
    length = int.from_bytes(start.head[:8], "little")
    return start.head[8:9] == b"{" and 2 <= length < 1 << 32


def _is_training_log(start: Opening) -> bool:
    try:
        first = orjson.loads(start.first_line())
    except orjson.JSONDecodeError:
        return False
    return isinstance(first, dict) and "epoch" in first


def summarize(path: str, score: float | None = None) -> Summary:
    """Named facts on the file at `path`, ready for JSON; `score` stands in for missing scores of proposals.

    Raises DataError for a file that is broken, or of no known kind.
    """
    kind = kind_of(path)
    if kind == "checkpoint":
        return {"file": path, **_checkpoint(path)}
    if kind == "metrics":
        return {"file": path, **_metrics(path)}
    with open_content(path, options=FormatOptions(score=score)) as content:
        return {"file": path, "kind": content.kind, **_content(content)}


def _content(content: Content) -> Summary:
    if isinstance(content, Proposals):
        return _proposals(content)
    return _annotations(content) if isinstance(content, Annotations) else _features(content)


def quantiles(values: Iterable[float]) -> dict[str, float]:
    """Five quantiles by name; empty where there are no values."""
    with Quantiles() as found:
        found.add(np.fromiter(values, np.float64))
        return _named(found)


def _named(found: Quantiles) -> dict[str, float]:
    return dict(zip(_QUANTILES, found.at(list(_QUANTILES.values())), strict=False))


def _proposals(content: Proposals) -> Summary:
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
            "proposals_per_video": quantiles(counts),
            "classes": len(used) if used else None,
            "proposals_of_class": dict(sorted(used.items())),
            "videos_with_duration": len(durations),
            "hours": sum(durations) / 3600 if durations else None,
            "seconds_per_proposal": _named(lengths),
            "score": _named(scores),
            "provenance": content.provenance or [],
        }


def _lengths(segments: Floats) -> Floats:
    with np.errstate(over="ignore"):
        return segments[:, 1] - segments[:, 0]


def _annotations(content: Annotations) -> Summary:
    counts, durations = array("q"), array("d")
    classes: Counter[str] = Counter()
    subsets: dict[str | None, _Subset] = {}
    with Quantiles() as lengths:
        for _, entry in content.entries:
            annotations = entry.get("annotations") or []
            labels = Counter(each["label"] for each in annotations)
            classes += labels
            subsets.setdefault(entry.get("subset"), _Subset()).add(labels)
            counts.append(len(annotations))
            segments = np.array([each["segment"] for each in annotations], np.float64).reshape(-1, 2)
            lengths.add(_lengths(segments))
            if "duration" in entry:
                durations.append(entry["duration"])
        return {
            "version": content.head.get("version"),
            "videos": len(counts),
            "instances": sum(counts),
            "subsets": {name or "none": subset.summary() for name, subset in subsets.items()},
            "classes": len(classes),
            "instances_of_class": dict(sorted(classes.items())),
            "hours": sum(durations) / 3600 if durations else None,
            "seconds_per_video": quantiles(durations),
            "seconds_per_instance": _named(lengths),
            "instances_per_video": quantiles(counts),
        }


class _Subset:
    """Counts of one subset of a ground truth."""

    def __init__(self) -> None:
        self.videos = self.instances = 0
        self.classes: set[str] = set()

    def add(self, labels: Counter[str]) -> None:
        """Count a video with so many instances of each label."""
        self.videos, self.instances = self.videos + 1, self.instances + labels.total()
        self.classes |= labels.keys()

    def summary(self) -> dict[str, int]:
        """Videos, instances, classes."""
        return {"videos": self.videos, "instances": self.instances, "classes": len(self.classes)}


def _features(content: Features) -> Summary:
    shapes = {video_id: content.shape(video_id) for video_id in content.ids}
    clocks = {video_id: _clock(content, video_id) for video_id in content.ids}
    durations = [clock.duration for clock in clocks.values() if clock is not None]
    known = Counter(_described(clock) for clock in clocks.values())
    return {
        "videos": len(shapes),
        "channels": sorted({channels for _, channels in shapes.values()}),
        "snippets": sum(length for length, _ in shapes.values()),
        "snippets_per_video": quantiles([length for length, _ in shapes.values()]),
        "clock": {text: f"{count} videos" for text, count in known.most_common(_MOST_CLOCKS)},
        "hours": sum(durations) / 3600 if durations else None,
        "seconds_per_video": quantiles(durations),
        "streams": content.streams,
        "attributes": content.attributes,
        "provenance": content.provenance or [],
    }


def _clock(content: Features, video_id: str) -> Any:
    try:
        return content.clock(video_id)
    except UnknownClockError:
        return None


def _described(clock: Any) -> str:
    if clock is None:
        return "unknown"
    return f"fps {clock.fps:g}, stride {clock.stride:g}, window {clock.window:g}, offset {clock.offset:g}"


def _checkpoint(path: str) -> Summary:
    table = read_tensor_table(path)
    metadata = table.pop("__metadata__", None) or {}
    sizes = [int(np.prod(tensor["shape"])) for tensor in table.values()]
    found: Summary = {
        "kind": "checkpoint",
        "bytes": Path(path).stat().st_size,
        "tensors": len(table),
        "parameters": sum(sizes),
        "number_types": dict(Counter(tensor["dtype"] for tensor in table.values())),
    }
    if KEY not in metadata:
        return found | {"metadata": metadata}
    header = CheckpointHeader.from_metadata(metadata, path)
    fields = {name: value for name, value in vars(header).items() if name not in ("provenance", "version")}
    return found | fields | {"provenance": header.provenance or []}


def _metrics(path: str) -> Summary:
    rows = read_epochs(path)
    last = rows[-1]
    validations = [row["validation"] for row in rows if isinstance(row.get("validation"), dict)]
    found: Summary = {"kind": "metrics", "rows": len(rows), "last": last}
    for name, choose in (("loss", min), ("mAP", max)):
        values = [each[name] for each in validations if each.get(name) is not None]
        if values:
            found[f"best_validation_{name}"] = choose(values)
    return found
