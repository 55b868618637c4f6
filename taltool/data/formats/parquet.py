"""Segments as a Parquet table: the columns of the CSV, and duration and subset; for pandas, polars, DuckDB and Spark.

Proposals have the column score. Any number of videos goes through: rows are written and read some at a time.
"""

import contextlib
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from taltool.data.files import open_input, open_output
from taltool.data.formats import FORMATS
from taltool.data.formats.annotation_tools import ProjectVideos, counted
from taltool.data.formats.contract import Annotations, Format, FormatOptions, Opening, Proposals
from taltool.data.formats.tables import Row, RowShelf, duration, segment, to_annotations, to_proposals, valid
from taltool.errors import DataError, UsageError

_NEEDED = ("video_id", "start", "end")
_TEXTS = ("video_id", "label", "subset")
_NUMBERS = ("start", "end", "score", "duration")
# What pandas calls the index of a table that has one.
_INDEX = re.compile("__index_level_")
# Rows that are written together, so that those who read them can skip others.
_GROUP = 1 << 16


@FORMATS.register("parquet")
class Parquet(Format):
    """A row for each segment."""

    summary = (
        "a Parquet table, one row per segment, video_id, start, end, label, duration, subset, proposals with a score; "
        "needs the extra parquet (pyarrow)"
    )
    kinds = ("proposals", "annotations")
    heeds = frozenset({"times"})
    tried_with = "pyarrow 26.0.1, pandas 3.1.1"
    suffixes = (".parquet",)
    requires = "pyarrow"

    def recognises(self, opening: Opening) -> bool:
        """Parquet's signature."""
        return opening.head.startswith(b"PAR1")

    @contextlib.contextmanager
    def read(self, path: str, options: FormatOptions) -> Iterator[Proposals | Annotations]:
        """Read all rows, which may be in any order; with a score column they are proposals."""
        arrow, parquet = _pyarrow()
        with open_input(path, hashed=False) as reader:
            # The table of contents is at the end: what cannot go back is held.
            source = reader.rereadable or io.BytesIO(reader.read())
            try:
                file = parquet.ParquetFile(source)
                columns = list(file.schema_arrow.names)
            except (arrow.ArrowException, OSError, UnicodeDecodeError) as error:
                raise DataError(f"{path}: not a whole Parquet file ({error}); was it cut short?") from error
            missing = [name for name in _NEEDED if name not in columns]
            if missing:
                raise DataError(f"{path}: no column '{missing[0]}' (there are: {', '.join(columns) or 'none'})")
            strange = [name for name in columns if name not in _TEXTS + _NUMBERS and not _INDEX.match(name)]
            notes = [f"the columns {', '.join(strange)}"] if strange else []
            durations: dict[str, float] = {}
            with RowShelf(valid(_rows(file, path, durations), options, notes)) as shelf:
                options = replace(options, durations=dict(options.durations) | durations)
                if "score" in columns or options.score is not None:
                    yield to_proposals(shelf, options, notes)
                else:
                    yield to_annotations(shelf, options, "from Parquet", notes)

    def write(self, content: Proposals | Annotations, path: str, options: FormatOptions) -> list[str]:
        """Lost: videos without a segment, provenance."""
        arrow, parquet = _pyarrow()
        scored = isinstance(content, Proposals)
        names = ["video_id", "start", "end", "label", *(["score"] if scored else []), "duration", "subset"]
        schema = arrow.schema([(name, arrow.string() if name in _TEXTS else arrow.float64()) for name in names])
        videos = ProjectVideos(content, path, labels_optional=True)
        empty: list[str] = []
        records = _records(videos, empty, names, path)
        with open_output(path) as stream, parquet.ParquetWriter(stream, schema) as writer:
            while group := list(islice(records, _GROUP)):
                writer.write_table(arrow.Table.from_pylist(group, schema=schema))
        what = "proposals" if scored else "annotations"
        lost = counted([(len(empty), f"videos without {what}")])
        return lost + videos.lost(keeps_durations=True, keeps_subsets=True)


def _pyarrow() -> tuple[Any, Any]:
    """The modules; raises UsageError where they are not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError("Parquet needs pyarrow: pip install 'taltool[parquet]'") from error
    return pyarrow, pyarrow.parquet


def _records(videos: ProjectVideos, empty: list[str], names: list[str], path: str) -> Iterator[dict[str, Any]]:
    """A row for each segment, by column; the ids of videos without one are entered into `empty`."""
    for video in videos:
        if not video.rows:
            empty.append(video.video_id)
        for row in video.rows:
            every = vars(row) | {"duration": video.duration}
            yield {name: every[name] for name in names}


def _groups(file: Any, columns: list[str], path: str) -> Iterator[Any]:
    """The rows of a file, some at a time, by column; raises DataError for pages that are broken."""
    arrow, _ = _pyarrow()
    try:
        for batch in file.iter_batches(columns=columns):
            yield batch.to_pylist()
    except (arrow.ArrowException, OSError, OverflowError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: broken ({str(error).strip()}); write it again") from error


def _rows(file: Any, path: str, durations: dict[str, float]) -> Iterator[Row]:
    """The rows of a file; durations are entered by video id.

    Raises DataError, naming the row, for what is no id, time, label or duration, or another duration of the video.
    """
    wanted = [name for name in file.schema_arrow.names if name in _TEXTS + _NUMBERS]
    number = 0
    for records in _groups(file, wanted, path):
        for record in records:
            number += 1
            where = f"{path}: row {number}"
            texts = {name: record.get(name) for name in _TEXTS}
            numbers = {name: record.get(name) for name in _NUMBERS}
            for name, value in texts.items():
                if not isinstance(value, str) and (value is not None or name == "video_id"):
                    raise DataError(f"{where}: {name} {value!r} is not a text")
            for name, value in numbers.items():
                is_number = isinstance(value, int | float) and not isinstance(value, bool)
                if not is_number and (value is not None or name in _NEEDED):
                    raise DataError(f"{where}: {name} {value!r} is not a number")
            video_id, length = str(texts["video_id"]), numbers["duration"]
            if length is not None and durations.setdefault(video_id, duration(length, where)) != length:
                raise DataError(f"{where}: video '{video_id}' lasts {length} s, and {durations[video_id]} s above")
            start, end = segment(numbers["start"], numbers["end"], where)
            told = {"label": texts["label"], "score": numbers["score"], "subset": texts["subset"]}
            yield Row(video_id, start, end, **told, where=where)
