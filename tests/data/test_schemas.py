"""The JSON Schemas: what taltool writes satisfies them, and what its readers refuse they refuse, as far as they can."""

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from project import PROJECT
from strange_contents import KINDS, facts_of

from taltool.data.annotations import read_ground_truth, read_split
from taltool.data.class_scores import read_class_scores
from taltool.data.convert import convert
from taltool.data.formats.sniffing import format_named
from taltool.data.proposals import ProposalReader
from taltool.data.schemas import Schema, json_schema
from taltool.errors import DataError
from taltool.inspection.check import check
from taltool.postprocessing.fuse import fuse
from taltool.postprocessing.label import label
from taltool.postprocessing.nms import nms

jsonschema = pytest.importorskip("jsonschema")

FILES = PROJECT / "examples" / "files"
EXAMPLES = {
    "annotations.json": Schema.annotations,
    "proposals.json": Schema.proposals,
    "proposals.jsonl": Schema.proposals_line,
    "proposals-1.jsonl": Schema.proposals_line,
    "class-scores.json": Schema.class_scores,
    "splits.json": Schema.splits,
}
VALIDATORS = {kind: jsonschema.Draft202012Validator(json.loads(json_schema(kind))) for kind in Schema}


def documents(text: str, kind: Schema) -> list[Any]:
    """What the schema is of: the whole text, or each line."""
    return [json.loads(each) for each in (text.split("\n") if kind is Schema.proposals_line else [text]) if each]


def is_valid(text: str, kind: Schema) -> bool:
    return all(VALIDATORS[kind].is_valid(each) for each in documents(text, kind))


def read_all_splits(path: str) -> None:
    for name in json.loads(Path(path).read_text()):
        read_split(f"{path}:{name}")


def read_every_proposal(path: str) -> None:
    with ProposalReader(path) as reader:
        list(reader)


READERS: dict[Schema, Callable[[str], Any]] = {
    Schema.annotations: read_ground_truth,
    Schema.proposals: read_every_proposal,
    Schema.proposals_line: read_every_proposal,
    Schema.class_scores: read_class_scores,
    Schema.splits: read_all_splits,
}


def refusal(text: str, kind: Schema, folder: Path) -> str:
    """Why the reader refuses it; empty where it does not."""
    path = folder / "file"
    path.write_text(text)
    try:
        READERS[kind](str(path))
    except DataError as error:
        return str(error) or "refused"
    return ""


@pytest.mark.parametrize("kind", Schema)
def test_schema_is_one(kind: Schema) -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(json_schema(kind)))


def test_every_kind_has_an_example() -> None:
    assert {file.name for file in FILES.iterdir()} == set(EXAMPLES)
    assert set(EXAMPLES.values()) == set(Schema)


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_is_valid_whole_and_of_its_kind_alone(name: str, tmp_path: Path) -> None:
    text = (FILES / name).read_text()
    for kind in Schema:
        if (kind is Schema.proposals_line) == name.endswith(".jsonl"):
            assert is_valid(text, kind) == (kind is EXAMPLES[name])
    assert refusal(text, EXAMPLES[name], tmp_path) == ""
    found = check(FILES / name, ground_truth=FILES / "annotations.json")
    assert (found.is_whole, found.oddities) == (True, ())


def test_the_examples_of_proposals_hold_the_same() -> None:
    def told(name: str) -> Any:
        with ProposalReader(str(FILES / name)) as reader:
            return [(v.video_id, v.duration, v.segments.tolist(), v.scores.tolist(), v.labels.tolist()) for v in reader]

    assert told("proposals.json") == told("proposals.jsonl") == told("proposals-1.jsonl")


LAYOUTS = {
    "annotations": [("activitynet", Schema.annotations)],
    "proposals": [
        ("activitynet", Schema.proposals),
        ("jsonl", Schema.proposals_line),
        ("jsonl1", Schema.proposals_line),
    ],
}


@pytest.mark.parametrize("content", LAYOUTS)
def test_whatever_is_written_is_valid(content: str) -> None:
    strategy, made = KINDS[content]

    @settings(deadline=None, max_examples=60)
    @given(strategy)
    def run(drawn: Any) -> None:
        for name, kind in LAYOUTS[content]:
            with tempfile.TemporaryDirectory() as folder:
                format_named(name).write(made(drawn), f"{folder}/a", facts_of(content, drawn))
                assert is_valid(Path(f"{folder}/a").read_text(), kind)

    run()


def test_what_commands_write_is_valid(tmp_path: Path) -> None:
    truth, source = str(FILES / "annotations.json"), str(FILES / "proposals.jsonl")
    plain = tmp_path / "plain.jsonl"
    plain.write_text('{"video_id":"match_03","segments":[[1,2]],"scores":[0.5]}\n')
    commands: dict[str, Callable[[Path], Any]] = {
        "convert": lambda out: convert(source, output=out),
        "nms": lambda out: nms(source, output=out),
        "fuse": lambda out: fuse(source, source, output=out),
        "label": lambda out: label(plain, classifier=FILES / "class-scores.json", output=out),
        "label, votes": lambda out: label(plain, detections=source, output=out),
        "check": lambda out: check(source, fix="all", output=out),
    }
    for number, run in enumerate(commands.values()):
        for suffix, kind in ((".json", Schema.proposals), (".jsonl", Schema.proposals_line)):
            out = tmp_path / f"{number}{suffix}"
            run(out)
            assert is_valid(out.read_text(), kind)
    convert(truth, output=tmp_path / "gt.json", random_split=0.5, resplit=True)
    check(tmp_path / "gt.json", fix="all", output=tmp_path / "mended.json")
    for name in ("gt.json", "mended.json"):
        assert is_valid((tmp_path / name).read_text(), Schema.annotations)


ROWS = [0.1] * 20
SCORES: list[Any] = [
    {"results": {"v": [{"label": "a", "score": 0.5}]}},
    {"v": [{"label": "a", "score": 0.5}], "w": []},
    {"results": {"v": [0.25, 0.5], "w": [[0.5, 1]]}, "classes": ["a", "b"]},
    {"results": {"v": [0.25, 0.5]}, "class": ["a", "b"]},
    {"v": {"class": "a", "score": 0.5}},
    {"v": {"a": 0.5, "b": 1}},
    {"v_1": ROWS},
    {"results": {"v_1": [0.1] * 101}},
    [ROWS, ROWS],
    [[0.1] * 101],
]


@pytest.mark.parametrize("number", range(len(SCORES)))
def test_every_layout_of_class_scores_is_valid(number: int, tmp_path: Path) -> None:
    text = json.dumps(SCORES[number])
    assert refusal(text, Schema.class_scores, tmp_path) == ""
    assert is_valid(text, Schema.class_scores)


# What readers refuse and a schema has no words for, by what they say.
BEYOND = {
    "a number where nobody looks": (r"not JSON", '{"results": {}, "external_data": 1e999}', Schema.proposals),
    "a number is compared with another one": (
        r"ends before it starts",
        '{"results": {"v": [{"segment": [2, 1], "score": 1}]}}',
        Schema.proposals,
    ),
    "parsers keep the last of two keys": (
        r"there twice in one object",
        '{"database": {"v": {"duration": 1, "duration": 2}}}',
        Schema.annotations,
    ),
    "lists are as long as each other": (
        r"\d segments, but",
        '{"video_id": "v", "segments": [[1, 2]], "scores": []}',
        Schema.proposals_line,
    ),
    "another line lists the classes": (
        r"is the number of no class|no header before this line",
        '{"video_id": "v", "segments": [[1, 2]], "scores": [1], "labels": [7]}',
        Schema.proposals_line,
    ),
    "lines are counted": (
        r"end line says|header promises|no end line|begins before|end line only|amid lines|comes a second time",
        '{"taltool": {"kind": "proposals", "version": 1}}\n',
        Schema.proposals_line,
    ),
    "an id is in one subset of a split": (
        r"is listed twice",
        '{"one": {"training": ["v"], "validation": ["v"]}}',
        Schema.splits,
    ),
    "rows are as long as each other": (
        r"those before it \d|scores a video for",
        '{"results": {"v": [1, 1], "w": [1]}, "classes": ["a", "b"]}',
        Schema.class_scores,
    ),
}


@pytest.mark.parametrize("why", BEYOND)
def test_what_no_schema_can_say_is_refused_by_the_reader_alone(why: str, tmp_path: Path) -> None:
    reason, text, kind = BEYOND[why]
    assert re.search(reason, refusal(text, kind, tmp_path))
    assert is_valid(text, kind)


def test_numbers_that_64_bits_do_not_hold_are_invalid_where_they_are_looked_at() -> None:
    for text in ('{"segment": [1, 1e999], "score": 1}', '{"segment": [1, 2], "score": -1e999}'):
        assert is_valid(f'{{"results": {{"v": [{text}]}}}}'.replace("1e999", "9"), Schema.proposals)
        assert not is_valid(f'{{"results": {{"v": [{text}]}}}}', Schema.proposals)
    assert not is_valid('{"database": {"v": {"duration": 1e999}}}', Schema.annotations)


PROPOSAL = {"segment": [1.0, 2.0], "score": 0.5, "label": "a"}
STEP = {"tool": "t"}
WHOLE: list[tuple[Schema, list[Any]]] = [
    (
        Schema.annotations,
        [{"database": {"v": {"duration": 9, "subset": "x", "annotations": [{"segment": [1, 2], "label": "a"}]}}}],
    ),
    (
        Schema.proposals,
        [
            {
                "results": {"v": [PROPOSAL, PROPOSAL]},
                "external_data": {"durations": {"v": 9}, "classes": ["a"], "provenance": [STEP]},
            }
        ],
    ),
    (
        Schema.proposals_line,
        [
            {"taltool": {"kind": "proposals", "version": 1, "videos": 1, "classes": ["a"], "provenance": [STEP]}},
            {"video_id": "v", "duration": 9.0, "proposals": [PROPOSAL, PROPOSAL]},
            {"end": {"videos": 1}},
        ],
    ),
    (
        Schema.proposals_line,
        [
            {"taltool": {"kind": "proposals", "version": 2, "videos": 1, "classes": ["a", "b"]}},
            {"video_id": "v", "duration": 9.0, "segments": [[1, 2], [3, 4]], "scores": [1, 0.5], "labels": [0, 1]},
            {"end": {"videos": 1}},
        ],
    ),
    (Schema.splits, [{"one": {"training": ["a"], "validation": ["b", "c"]}}]),
    *((Schema.class_scores, [each]) for each in SCORES),
]
GONE = object()
ODD = [None, True, -1.5, 0, 3, "12", "b", [], {}, [1, "x"], [1], {"x": None}, 1e999, GONE]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside `value`; of a long list those of the first ones."""
    inside = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    for key, each in inside:
        yield (*path, key)
        yield from places(each, (*path, key))


def replaced(lines: list[Any], path: tuple[Any, ...], odd: Any) -> list[Any]:
    """A copy of `lines` with `odd` at `path`, or nothing there."""
    lines = deepcopy(lines)
    inside: Any = lines
    for key in path[:-1]:
        inside = inside[key]
    if odd is GONE:
        del inside[path[-1]]
    else:
        inside[path[-1]] = odd
    return lines


@pytest.mark.parametrize("number", range(len(WHOLE)))
def test_what_a_reader_refuses_its_schema_refuses(number: int, tmp_path: Path) -> None:
    kind, whole = WHOLE[number]
    refused = beyond = 0
    for path in places(whole):
        if len(path) == 1:
            continue
        for odd in ODD:
            text = "\n".join(map(json.dumps, replaced(whole, path, odd)))
            said = refusal(text.replace("Infinity", "1e999"), kind, tmp_path)
            if not said:
                continue
            if any(re.search(reason, said) for reason, _, _ in BEYOND.values()):
                beyond += 1
                continue
            refused += 1
            assert not is_valid(text, kind), f"{said}\n{text}"
    assert refused > beyond
