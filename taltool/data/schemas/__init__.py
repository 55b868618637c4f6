"""JSON Schemas (draft 2020-12) of the files that people and other programs write for taltool, for their validators.

They say what the readers here demand, as far as a schema can; the readers themselves do not use them.
"""

from enum import StrEnum
from pathlib import Path


class Schema(StrEnum):
    """The kinds of file that have a schema; proposals-line is of each line of a stream."""

    annotations = "annotations"
    proposals = "proposals"
    proposals_line = "proposals-line"
    class_scores = "class-scores"
    splits = "splits"


def json_schema(kind: Schema) -> str:
    """The text of a schema, itself a JSON document that ends with a line end."""
    return (Path(__file__).parent / f"{kind}.json").read_text(encoding="utf-8")
