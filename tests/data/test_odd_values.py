"""Whatever stands where something else belongs, readers take it or refuse it in words, never with a traceback."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from taltool.data.formats.contract import Annotations, FormatOptions, Proposals
from taltool.data.formats.sniffing import open_content
from taltool.data.video_json import to_objects
from taltool.errors import DataError
from taltool.inspection.check import check
from taltool.inspection.info import info

ODD = [None, True, -1.5, "12", [], {}, [1, "x"], {"x": None}]
PROPOSAL = {"segment": [1.0, 2.0], "score": 0.5, "label": "a"}
STEP = {"tool": "t", "inputs": [{"name": "x"}]}
HEADER = {"taltool": {"kind": "proposals", "version": 1, "videos": 1, "classes": ["a"], "provenance": [STEP]}}
DOCUMENTS: dict[str, list[Any]] = {
    "stream": [HEADER, {"video_id": "v", "duration": 9.0, "proposals": [PROPOSAL]}, {"end": {"videos": 1}}],
    "results": [
        {"results": {"v": [PROPOSAL]}, "external_data": {"durations": {"v": 9}, "classes": ["a"], "provenance": [STEP]}}
    ],
    "database": [
        {
            "version": "1",
            "database": {
                "v": {"duration": 9, "subset": "training", "annotations": [{"segment": [1, 2], "label": "a"}]}
            },
            "taxonomy": [],
        }
    ],
    "actionformer": [{"database": {"v": [{"segment": [1, 2], "label_id": 0, "scores": 0.5}]}}],
    "checkpoint": [{"epoch": 1, "losses": {"loss": 0.5}, "validation": {"loss": 0.5, "mAP": 0.1}}],
}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside `value`, and of `value` itself."""
    yield path
    for key, inside in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from places(inside, (*path, key))


def replaced(lines: list[Any], path: tuple[Any, ...], odd: Any) -> list[Any]:
    """A copy of `lines` with `odd` at `path`."""
    lines = copy.deepcopy(lines)
    inside: Any = lines
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = odd
    return lines


def consume(path: str) -> None:
    """Read all that the file holds."""
    with open_content(path, options=FormatOptions(classes={"a": 0})) as content:
        if isinstance(content, Proposals):
            for video in content.videos:
                to_objects(video)
        elif isinstance(content, Annotations):
            json.dumps([list(content.entries), content.head])


@pytest.mark.parametrize("kind", DOCUMENTS)
@pytest.mark.parametrize("use", [consume, info, check], ids=["read", "info", "check"])
def test_odd_value_is_read_or_refused(kind: str, use: Any, tmp_path: Path) -> None:
    file = tmp_path / "odd.json"
    for place in list(places(DOCUMENTS[kind]))[1:]:
        for odd in ODD:
            lines = replaced(DOCUMENTS[kind], place, odd)
            file.write_text("".join(json.dumps(line) + "\n" for line in lines))
            try:
                use(str(file))
            except DataError:
                continue
            except Exception as error:
                pytest.fail(f"{type(error).__name__}: {error}\nwith {file.read_text()}")
