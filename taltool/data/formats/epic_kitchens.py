"""The annotations of EPIC-KITCHENS-100: a CSV with a row for each action, which has a verb and a noun.

`--labels` says which of them is the label: the class of the verb, that of the noun, or both. Classes are numbers, which
`--classes` names (EPIC_100_verb_classes.csv or EPIC_100_noun_classes.csv); without it the number is the label. That of
an action is both numbers, `1,23`, as in submissions to the challenge.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping

from taltool.data.formats import FORMATS
from taltool.data.formats.contract import Annotations, Format, FormatOptions, Opening
from taltool.data.formats.tables import Row, RowShelf, read_table, to_annotations, valid
from taltool.errors import DataError, UsageError

_TIMES = ("start_timestamp", "stop_timestamp")
_CLASSES = {"verb": ("verb_class",), "noun": ("noun_class",), "action": ("verb_class", "noun_class")}
_KNOWN = ("video_id", *_TIMES, "verb_class", "noun_class")
_CLOCK = re.compile(r"(\d+):([0-5]?\d):([0-5]?\d(?:\.\d*)?)")


@FORMATS.register("epic-kitchens")
class EpicKitchens(Format):
    """A row for each action."""

    summary = (
        "the CSV of EPIC-KITCHENS-100, a row for each action; --labels verb, noun or action says which class is the "
        "label, --classes names the numbers; needs --durations (EPIC_100_video_info.csv)"
    )
    kinds = ("annotations",)
    heeds = frozenset({"labels"})
    is_written = False
    tried_with = "EPIC_100_validation.csv"

    def recognises(self, opening: Opening) -> bool:
        """A first line that names the columns."""
        return {"narration_id", *_TIMES} <= {name.strip().strip('"') for name in opening.first_line().split(",")}

    @contextlib.contextmanager
    def read(self, path: str, options: FormatOptions) -> Iterator[Annotations]:
        """Read all rows; the other columns are among the notes."""
        if options.labels not in _CLASSES:
            raise UsageError(f"{path}: give --labels verb, --labels noun or --labels action: an action has both")
        if options.labels == "action" and options.classes is not None:
            raise UsageError("--classes names verbs or nouns; the label of an action here is both numbers")
        wanted = _CLASSES[options.labels]
        columns, table = read_table(path, ("video_id", *_TIMES, *wanted))
        notes = [f"the columns {', '.join(name for name in columns if name not in _KNOWN)}"]
        names = {number: name for name, number in (options.classes or {}).items()}
        rows = (_row(where, fields, wanted, names) for where, fields in table)
        with RowShelf(valid(rows, options, notes)) as shelf:
            yield to_annotations(shelf, options, "from the CSV of EPIC-KITCHENS-100", notes)


def _row(where: str, fields: dict[str, str], wanted: tuple[str, ...], names: Mapping[int, str]) -> Row:
    numbers = [fields[column] for column in wanted]
    for number in numbers:
        if not number.isdecimal() or (names and int(number) not in names):
            known = f" with a name in --classes ({len(names)} classes)" if names else ""
            raise DataError(f"{where}: '{number}' is not the number of a class{known}")
    label = names[int(numbers[0])] if names else ",".join(numbers)
    start, end = (_seconds(fields[column], where) for column in _TIMES)
    return Row(fields["video_id"], start, end, label, where=where)


def _seconds(text: str, where: str) -> float:
    found = _CLOCK.fullmatch(text)
    if found is None:
        raise DataError(f"{where}: '{text}' is not a time like 00:01:02.34")
    return (60 * int(found[1]) + int(found[2])) * 60 + float(found[3])
