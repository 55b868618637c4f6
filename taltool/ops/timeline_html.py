"""Timelines as one HTML page that needs nothing else: no network, no library, works from a file: address."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import orjson

from taltool.ops.timeline import OTHER_COLOUR, Row, Timeline, colours

_PLACE = "/*DATA*/"


def timeline_page(timelines: Sequence[Timeline], sources: Mapping[str, str]) -> str:
    """The page; sources says for a video id at which address its video plays beside the timeline.

    All predictions of `timelines` are in the page; it shows the best n of each file, n being the number of instances,
    until the reader asks for more.
    """
    data = {"other": OTHER_COLOUR, "videos": [_video(each, sources.get(each.video_id)) for each in timelines]}
    # Inside a script element only "<" could end it or open a comment.
    text = orjson.dumps(data).decode().replace("<", "\\u003c")
    template = files("taltool.ops").joinpath("timeline.html").read_text(encoding="utf-8")
    before, after = template.split(_PLACE)
    return before + text + after


def _video(timeline: Timeline, source: str | None) -> dict[str, Any]:
    return {
        "id": timeline.video_id,
        "duration": timeline.duration,
        "extent": timeline.extent,
        "instances": timeline.num_instances,
        "source": source,
        "colours": colours(timeline),
        "rows": [{"name": row.name, "segments": _segments(row)} for row in timeline.rows],
    }


def _segments(row: Row) -> list[dict[str, Any]]:
    count = len(row.labels)
    scores = [None] * count if row.scores is None else row.scores.tolist()
    tious = [None] * count if row.tious is None else row.tious.tolist()
    return [
        {"start": start, "end": end, "label": label, "score": score, "tiou": tiou, "rank": rank}
        for rank, ((start, end), label, score, tiou) in enumerate(
            zip(row.segments.tolist(), row.labels, scores, tious, strict=True), start=1
        )
    ]
