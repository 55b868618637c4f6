"""Contents of every kind with awkward names and extreme numbers, drawn by hypothesis; and what is equal in two."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from hypothesis import strategies as st

from taltool.data.clock import FeatureClock
from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Annotations, Content, Features, FormatOptions, Proposals
from taltool.data.records import LabelVocabulary, VideoProposals
from taltool.data.video_json import to_objects


def written_formats() -> list[str]:
    """The formats that are written, but for those whose extra is not installed here."""
    every = {name: FORMATS.load(name) for name in FORMATS.names()}
    return [name for name, each in every.items() if each.is_written and (not each.requires or find_spec(each.requires))]


AWKWARD = [
    "v",
    "W",
    " ",
    '"',
    ",",
    "\n",
    "\r",
    "\0",
    "\ufeff",
    "\u2028",
    "é",
    "動",
    "/",
    "\\",
    ".",
    "#",
    "{",
    "_val",
    "1",
]
names = st.lists(st.sampled_from(AWKWARD), max_size=4).map("".join)
EXTREME = [0.0, -0.0, 5e-324, -5e-324, 2.5, 3, 1 / 3, 1e14, 2**49 + 0.125, 9.9e14, -9.9e14]
numbers = st.sampled_from(EXTREME) | st.floats(-9.9e14, 9.9e14)
durations = st.floats(1e-300, 9.9e14)
pairs = st.lists(numbers, min_size=2, max_size=2).map(sorted)
# Everything that is to be drawn again and again is drawn as plain values: a content is iterated only once.
Video = tuple[str, list[list[float]], list[float], list[int] | None, float | None]
PROVENANCE = [{"tool": "t", "inputs": [{"name": "é"}]}]


@st.composite
def videos(draw: st.DrawFn, numbers: st.SearchStrategy[float] = numbers) -> tuple[list[str], list[Video]]:
    """The classes, and some videos with and without proposals, all of them labelled or none."""
    classes = draw(st.lists(names, unique=True, max_size=4))
    made: list[Video] = []
    for video_id in draw(st.lists(names, unique=True, max_size=4)):
        segments = draw(st.lists(st.lists(numbers, min_size=2, max_size=2).map(sorted), max_size=3))
        labels = [draw(st.integers(0, len(classes) - 1)) for _ in segments] if classes else None
        made.append((video_id, segments, [draw(numbers) for _ in segments], labels, draw(st.none() | durations)))
    return classes, made


def proposals(drawn: tuple[list[str], list[Video]], complete: bool = True) -> Proposals:
    """The content that was drawn; complete: as if from a header that lists the classes."""
    classes, drawn_videos = drawn
    vocabulary = LabelVocabulary(classes, complete=complete)

    def made(video_id: str, segments: Any, scores: Any, labels: Any, duration: float | None) -> VideoProposals:
        columns = np.array(segments, np.float64).reshape(-1, 2), np.array(scores, np.float64)
        return VideoProposals(
            video_id, *columns, None if labels is None else np.array(labels, np.int64), vocabulary, duration
        )

    return Proposals([made(*video) for video in drawn_videos], vocabulary, len(drawn_videos), PROVENANCE)


entry = st.fixed_dictionaries(
    {
        "duration": durations,
        "annotations": st.lists(st.fixed_dictionaries({"segment": pairs, "label": names}), max_size=3),
    },
    optional={"subset": st.sampled_from(["training", "validation", "testing", ""]), "url": st.none() | names},
)
databases = st.dictionaries(names, entry, max_size=4)


def annotations(database: dict[str, Any]) -> Annotations:
    """The content that was drawn."""
    return Annotations(database.items(), {"version": "1", "taxonomy": [{"a": [1]}], "database": None, "z": "é"})


arrays = st.lists(st.floats(-60000, 60000, width=16), min_size=2, max_size=2).flatmap(
    lambda row: st.sampled_from([np.array([row] * 3, dtype) for dtype in (np.float16, np.float32)])
)
features_by_id = st.dictionaries(names, arrays, max_size=3)
CLOCK = {"fps": 29.97, "stride": 4.0, "window": 16.0, "offset": 2.0}


def features(drawn: dict[str, Any]) -> Features:
    """The content that was drawn."""
    clock = FeatureClock(**CLOCK, duration=26 / 29.97)  # the frames 2 up to 2 + 2 * 4 + 16
    return Features(
        sorted(drawn), lambda v: drawn[v].shape, lambda v: clock, drawn.__getitem__, lambda v: {}, {"backbone": "b"}
    )


def all_facts(content: Content) -> str:
    """All that a content holds, as text: 0.0 and -0.0 differ, and so do 1 and 1.0."""
    if isinstance(content, Proposals):
        listed = [(each.video_id, each.duration, to_objects(each)) for each in content.videos]
        return repr((listed, content.names.names, content.provenance))
    if isinstance(content, Annotations):
        return repr((list(content.entries), content.head))
    return repr([(v, content.values(v).tolist(), content.values(v).dtype, content.clock(v)) for v in content.ids])


def segments_only(content: Content) -> str:
    """The proposals or annotations of each video that has some."""
    if isinstance(content, Proposals):
        return repr([(each.video_id, to_objects(each)) for each in content.videos if len(each)])
    if isinstance(content, Annotations):
        return repr(
            sorted((v, a["label"], *map(float, a["segment"])) for v, e in content.entries for a in e["annotations"])
        )
    return all_facts(content)


KINDS: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], Content]]] = {
    "proposals": (videos(), proposals),
    "annotations": (databases, annotations),
    "features": (features_by_id, features),
}


def facts_of(kind: str, drawn: Any) -> FormatOptions:
    """What layouts without clocks, durations and class names have to be told."""
    if kind == "features":
        return FormatOptions(clock=CLOCK)
    if kind == "annotations":
        labels = dict.fromkeys(each["label"] for entry in drawn.values() for each in entry["annotations"])
        known = {video_id: entry["duration"] for video_id, entry in drawn.items()}
        return FormatOptions(durations=known, classes={name: number for number, name in enumerate(labels)})
    known = {video_id: duration for video_id, *_, duration in drawn[1] if duration is not None}
    return FormatOptions(durations=known, classes={name: number for number, name in enumerate(drawn[0])})
