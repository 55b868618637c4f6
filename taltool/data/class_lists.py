"""Lists of classes: which number each name has, in the shapes in which such lists are published.

one name a line           the first is number 0
a number and a name       on every line, `7 BaseballPitch` or `7,BaseballPitch`, or the name first
a table                   whose header names a column of numbers (id, label_id, ...) and one of names (name, label, ...)
JSON                      [names], {"0": name}, {name: 0}, [{"id": 0, "name": name}], any of them in {"classes": ...}
a ground truth            whose annotations have a label_id beside the label

A first line that is nothing but one word for a column of names (`label`, `class`, `name` and their plurals) is a
header. Two names of one number, and two numbers of one name, are refused.
"""

import csv
import re
from collections.abc import Iterable
from typing import Any

import orjson

from taltool.data.columns import CLASS_COLUMNS, header_columns, meanings, open_table, placed, spelled
from taltool.data.files import decode_text, peek, read_bytes
from taltool.data.formats.contract import Annotations
from taltool.data.formats.sniffing import open_content
from taltool.data.json_documents import parsed_document, telling_key
from taltool.errors import DataError

# What stands above a column of names, and is hardly ever one of them.
_HEADERS = ("label", "labels", "class", "classes", "name", "names", "classname", "labelname", "classnames")
# What may stand above one, and may as well be the first of the classes.
_DOUBTFUL = ("action", "actions", "activity", "activities", "category", "categories")
# What 32 bits hold, as tables of other programs number classes.
_LARGEST = 2**31 - 1
_NUMBER_FIRST = re.compile(r"(\d+)(?:\s*[,;:\t]\s*|\s+)(\S.*)")
_NUMBER_LAST = re.compile(r"(.*\S)(?:\s*[,;:\t]\s*|\s+)(\d+)")
# Lines of YAML, of settings and of protocol buffers, which would be names if read as they stand.
_SYNTAX = re.compile(r"- .*|\w+:|.*[{}]|[#;%] .*|#.*|[\w ]+=.*")
_MEMBERS = ("classes", "class", "names", "labels", "categories")
_SHAPES = "one name a line, `0 name` on every line, a table with the columns id and name, or JSON"
# A place, the number there, and the name.
_Entry = tuple[str, Any, Any]


def read_classes(path: str) -> dict[str, int]:
    """The number of each class by its name, in the order of the numbers.

    Raises DataError, with line or place, for what is no list of classes, and where numbers and names are not one to
    one.
    """
    head = peek(path).lstrip()
    if telling_key(head)[0] == "database":
        return _distinct(_of_ground_truth(path), path)
    content = read_bytes(path)[0]
    if head.startswith((b"{", b"[")):
        return _distinct(_of_json(content, path), path)
    lines = decode_text(content, path).split("\n")
    first = next((line for line in lines if line.strip()), "")
    if {"number", "label"} <= meanings(header_columns(first), CLASS_COLUMNS).keys():
        table = open_table(path)
        places = placed(table, CLASS_COLUMNS)
        number, label = places["number"], places["label"]
        return _distinct(((where, _whole(row[number]), row[label]) for where, row in table.rows), path)
    return _distinct(_of_lines(lines, path), path)


def _of_lines(lines: list[str], path: str) -> list[_Entry]:
    named = [(f"{path}:{number}", line.strip()) for number, line in enumerate(lines, start=1)]
    while named and not named[-1][1]:
        named.pop()
    if named and spelled(named[0][1]) in _HEADERS:
        named.pop(0)
    if not named:
        raise DataError(f"{path}: names no class; expected {_SHAPES}")
    for where, name in named:
        if not name:
            raise DataError(f"{where}: an empty line amid the classes, whose place is their number; is a name missing?")
        if _SYNTAX.fullmatch(name):
            raise DataError(
                f"{where}: '{name}' looks like a comment, or YAML or the like, and not like the name of a class; "
                f"expected {_SHAPES}"
            )
    if len(named) > 1 and spelled(named[0][1]) in _DOUBTFUL:
        raise DataError(
            f"{named[0][0]}: '{named[0][1]}' may be the header or the first class; remove it, or write `0 name` lines"
        )
    for pattern, of_number, of_name in ((_NUMBER_FIRST, 1, 2), (_NUMBER_LAST, 2, 1)):
        found = [pattern.fullmatch(line) for _, line in named]
        matched = [match for match in found if match]
        numbers = [int(match[of_number]) for match in matched]
        # Names may end in numbers themselves: Level 1, Level 2, Jump 1.
        alike = len({*numbers}) < len(numbers) or len({match[of_name] for match in matched}) < len(matched)
        is_of_names = pattern is _NUMBER_LAST and (len(named) == 1 or alike)
        if len(matched) == len(named) and not is_of_names:
            places = [where for where, _ in named]
            return [
                (where, each, _unquoted(match[of_name], where))
                for where, each, match in zip(places, numbers, matched, strict=True)
            ]
        if len(matched) > 1 and 2 * len(matched) > len(named) > len(matched) and not is_of_names:
            where, line = named[found.index(None)]
            raise DataError(f"{where}: '{line}' has no number, as most of the others have; give one to all, or to none")
    return [(where, place, _unquoted(line, where)) for place, (where, line) in enumerate(named)]


def _unquoted(name: str, where: str) -> str:
    """A name without the quotes that a writer of CSV puts around it."""
    if not name.startswith('"'):
        return name
    try:
        fields = next(csv.reader([name], strict=True))
    except csv.Error as error:
        raise DataError(f"{where}: quotes of {name} that do not close") from error
    if len(fields) > 1:
        raise DataError(f"{where}: {name} is more than a name; name the columns in a first line (id, name)")
    return fields[0].strip()


def _of_json(content: bytes, path: str) -> list[_Entry]:
    try:
        found = parsed_document(content, path)
    except orjson.JSONDecodeError as error:
        raise DataError(f"{path}: not JSON: {error}; expected {_SHAPES}") from error
    inside = [key for key in _MEMBERS if isinstance(found, dict) and isinstance(found.get(key), list | dict)]
    if len(inside) > 1:
        raise DataError(f"{path}: both '{inside[0]}' and '{inside[1]}'; leave one of them out")
    if inside:
        found = found[inside[0]]
    if isinstance(found, list) and found and all(isinstance(each, dict) for each in found):
        return [_of_object(each, f"{path}: entry {number}") for number, each in enumerate(found, start=1)]
    if isinstance(found, list):
        return [(f"{path}: entry {number + 1}", number, name) for number, name in enumerate(found)]
    if isinstance(found, dict) and found and all(isinstance(name, str) for name in found.values()):
        return [(f"{path}: '{number}'", _whole(number), name) for number, name in found.items()]
    if isinstance(found, dict) and found:
        return [(f"{path}: '{name}'", number, name) for name, number in found.items()]
    raise DataError(f'{path}: names no class; expected {_SHAPES}: [names], {{"0": name}} or {{name: 0}}')


def _of_object(entry: dict[str, Any], where: str) -> _Entry:
    columns = meanings(entry, CLASS_COLUMNS)
    if len(columns.get("number", ())) != 1 or len(columns.get("label", ())) != 1:
        raise DataError(f"{where}: expected an id and a name, found {', '.join(entry)}")
    return where, entry[columns["number"][0]], entry[columns["label"][0]]


def _of_ground_truth(path: str) -> list[_Entry]:
    with open_content(path) as content:
        entries = content.entries if isinstance(content, Annotations) else []
        seen = {
            (each["label_id"], each["label"]): video_id
            for video_id, entry in entries
            for each in entry.get("annotations") or []
            if isinstance(each.get("label_id"), int | float | str)
        }
    if not seen:
        raise DataError(f"{path}: no annotation has a label_id; give a list of the classes: {_SHAPES}")
    return [(f"{path}: video '{video_id}'", number, name) for (number, name), video_id in seen.items()]


def _whole(text: str) -> Any:
    """The whole number that a text is, or the text."""
    return int(text) if text.isascii() and text.isdecimal() else text


def _distinct(entries: Iterable[_Entry], path: str) -> dict[str, int]:
    number_of: dict[str, int] = {}
    name_of: dict[int, str] = {}
    for where, number, name in entries:
        if not isinstance(name, str) or not name.strip():
            raise DataError(f"{where}: {name!r} is not the name of a class")
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= _LARGEST:
            raise DataError(
                f"{where}: {number!r} is not the number of a class ('{name}'), a whole number from 0 to {_LARGEST}"
            )
        if name_of.setdefault(number, name) != name:
            raise DataError(f"{where}: number {number} is '{name}' here and '{name_of[number]}' above")
        if name in number_of:
            other = f"has number {number} here and {number_of[name]} above"
            raise DataError(f"{where}: class '{name}' {other if number != number_of[name] else 'is listed twice'}")
        number_of[name] = number
    if not number_of:
        raise DataError(f"{path}: names no class; expected {_SHAPES}")
    return dict(sorted(number_of.items(), key=lambda each: each[1]))
