"""Timelines as one HTML page that needs nothing else: no network, no library, works from a file: address.

Its parts lie beside this module: timeline.html is the frame, into which style, scripts and data are put.
"""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import numpy as np
import orjson

from taltool.ops.timeline import FIRST_SHOWN, OTHER_COLOUR, Row, Timeline, palettes


def timeline_page(timelines: Sequence[Timeline], sources: Mapping[str, str], shown: int | None = None) -> str:
    """The page; sources says for a video id at which address its video is.

    All predictions of `timelines` are in the page. At first it shows the best `shown` of each file and video, None = as
    many as the video has instances, or 20, until the reader asks for more.
    """
    labels = list(dict.fromkeys(label for each in timelines for row in each.rows for label in row.labels))
    numbers = {label: number for number, label in enumerate(labels)}
    videos = []
    for each, palette in zip(timelines, palettes(timelines), strict=True):
        first = each.num_instances or FIRST_SHOWN
        videos.append({
            "id": each.video_id,
            "duration": each.duration,
            "extent": each.extent,
            "shown": first if shown is None else shown,
            "source": sources.get(each.video_id),
            "colours": {numbers[label]: colour for label, colour in palette.items() if label in numbers},
            "rows": [_row(row, numbers) for row in each.rows],
        })  # fmt: skip
    data = orjson.dumps({"other": OTHER_COLOUR, "labels": labels, "videos": videos}, option=orjson.OPT_NON_STR_KEYS)
    # Inside a script element only "<" could end it or open a comment.
    text = data.decode().replace("<", "\\u003c")
    folder = files("taltool.ops")
    page, style, *scripts = (
        folder.joinpath(name).read_text(encoding="utf-8")
        for name in ("timeline.html", "timeline.css", "timeline_list.js", "timeline_chart.js", "timeline.js")
    )
    for place, part in {"STYLE": style, "SCRIPT": "".join(scripts), "DATA": text}.items():
        before, after = page.split(f"/*{place}*/")
        page = before + part + after
    return page


def _row(row: Row, numbers: Mapping[str, int]) -> dict[str, Any]:
    """A row as columns: starts and ends in turn (to the millisecond), scores (to six digits), numbers of labels."""
    return {
        "name": row.name,
        "total": len(row.labels) if row.total is None else row.total,
        "segments": np.round(row.segments, 3).ravel().tolist(),
        "labels": [numbers[label] for label in row.labels],
        "scores": None if row.scores is None else [float(f"{score:.6g}") for score in row.scores.tolist()],
        "tious": None if row.tious is None else np.round(row.tious, 3).tolist(),
    }
