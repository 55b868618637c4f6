"""What a file is that no format knows, in words, and what to do with it: for the message that refuses it."""

import re
import shlex
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import orjson

from taltool.data.columns import SEGMENT_COLUMNS, header_columns, meanings, seconds, spelled
from taltool.data.formats.contract import Format, Opening

_UNPACK = "unpack it, and name what is in it"
_SAVE = "save the table as CSV (UTF-8), and name that"
# The beginnings that tell a kind of file, and what to do with it.
_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (rb"version https://git-lfs", "a pointer of Git LFS, in place of the file", "fetch the file itself: git lfs pull"),
    (rb"\s*<(!DOCTYPE html|html)", "a web page", "was the page of a download saved in place of the file?"),
    (rb"%PDF-", "a PDF document", "name the data that it tells of"),
    (
        rb'\s*\{.{0,9999}"_via_(settings|img_metadata)"\s*:',
        "a project of VGG Image Annotator 2",
        "which has regions of pictures and no segments of time: annotate the videos in version 3",
    ),
    (rb"PK\x03\x04.{0,9999}(\[Content_Types\]\.xml|xl/)", "an Office document, as of Excel", _SAVE),
    (rb"\xd0\xcf\x11\xe0", "an old Office document, as of Excel", _SAVE),
    (rb"PK\x03\x04.{0,200}\.npy", "an npz archive", "FEATURES"),
    (rb"PK\x03\x04", "a ZIP archive", _UNPACK),
    (rb"BZh|\xfd7zXZ|7z\xbc\xaf|Rar!|\x28\xb5\x2f\xfd|.{257}ustar", "an archive", _UNPACK),
    (rb"SQLite format 3\0", "an SQLite database", "write its table as CSV: sqlite3 -header -csv FILE 'select ...'"),
    (
        rb"\x80[\x02-\x05]",
        "a pickle",
        "which is not opened, for it can run any code: where it was made, write what is in it as JSON (json.dump)",
    ),
    (rb"MATLAB 5\.0|MATLAB 7", "a MATLAB file", "FEATURES"),
    (rb"\x93NUMPY", "a single array of NumPy", "name the folder that it is in; FEATURES"),
    (rb"\x89HDF\r\n\x1a\n", "an HDF5 file", "FEATURES"),
    (rb"RIFF....WAVE|ID3|fLaC|OggS", "sound without pictures", "name the video"),
    (rb"\{\\rtf", "an RTF document", "save it as plain text (UTF-8)"),
    (
        rb"(\xef\xbb\xbf)?\[Script Info\]",
        "subtitles of SubStation Alpha",
        "write them as SRT: ffmpeg -i FILE subtitles.srt",
    ),
    (
        rb'\s*\{\s*"id"\s*:\s*\d+\s*,.{0,9999}"annotations"\s*:\s*\[.{0,9999}"(from_name|was_cancelled)"',
        "a single task of Label Studio",
        "make a list of it, or of several: jq -s . FILE... > tasks.json",
    ),
)
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"(\s*:)?|[{}\[\]]')
_NUMBER = re.compile(r"[-+.\d:]*\d[-+.\d:]*(e[-+]?\d+)?", re.IGNORECASE)
# "start_ms", "End (msec)".
_THOUSANDTHS = re.compile(r"[\W_]*(ms|msecs?|millis(econds)?)\W*$", re.IGNORECASE)
_LENGTHS = ("duration", "length", "dur", "segmentduration", "durationseconds", "durationsec", "segmentlength")
# Seconds that two texts of one time may be apart.
_ROUNDING = 0.002
# Names that are shown; characters of a JSON in which its keys are looked for.
_SHOWN, _SEARCHED = 8, 1 << 16
# Above a table are a title, a comment, and what Excel is told (sep=;): its names stand in these lines.
_LINES = 20
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")


def refusal(opening: Opening, formats: Mapping[str, Format]) -> str:
    """What a file (or folder) that none of the formats recognises is, what it lacks, and what may help."""
    if Path(opening.path).is_dir():
        return _of_folder(opening, formats)
    head = opening.head
    for pattern, what, mend in _KINDS:
        if re.match(pattern, head, re.DOTALL | re.IGNORECASE):
            mend = mend.replace("FEATURES", f"features are read as {_names(formats, 'features')}")
            return f"{what}; {mend}"
    if _CONTROL.search(head):
        return "bytes that are no text; is it the right file?"
    if head.lstrip().startswith((b"{", b"[")):
        return f"{_json_in_words(head)}; of JSON are read: {_naming('JSON', formats)}"
    if head.lstrip().startswith(b"<"):
        return f"XML that begins with {_short(opening.first_line())}; of XML are read: {_naming('XML', formats)}"
    return _of_text(opening)


def _of_folder(opening: Opening, formats: Mapping[str, Format]) -> str:
    counts = Counter(each.suffix.lower() for each in Path(opening.path).rglob("*") if each.is_file())
    found = ", ".join(f"{count} {suffix or 'without suffix'}" for suffix, count in counts.most_common(_SHOWN))
    folders = ", ".join(name for name, layout in formats.items() if layout.is_folder)
    return (
        f"a folder of {found or 'no file'}; of folders are read: {folders} (see FORMATS in taltool-convert(1)); files "
        "can be named one by one"
    )


def _of_text(opening: Opening) -> str:
    line = opening.first_line()
    columns = header_columns(line)
    needed = ("video", "start", "end")
    lines = opening.head.decode("utf-8", "replace").splitlines()
    for number, later in enumerate(lines[:_LINES], start=1):
        if meanings(header_columns(later), SEGMENT_COLUMNS).keys() >= {*needed}:
            return f"text that begins with {_short(line)}; line {number} names columns: remove what stands above it"
    if len(columns) < 2:
        return (
            f"text that begins with {_short(line)}; the first line of a table names its columns, parted by commas, "
            "semicolons or tabs: video_id,start,end"
        )
    found = meanings(columns, SEGMENT_COLUMNS)
    missing = [meaning for meaning in needed if meaning not in found]
    shown = ", ".join(map(_short, columns[:_SHOWN])) + (", ..." if len(columns) > _SHOWN else "")
    told = f"a table with the columns {shown}, of which none is the {' or the '.join(missing)} by its name"
    if any(map(_is_number, columns)):
        return f"{told}; without a line of names: taltool convert --no-header {_numbered(columns)}"
    if len(columns) < len(needed):
        return f"{told}; segments need a column for each of {', '.join(needed)}"
    if hint := _of_other_times(columns, missing):
        return f"{told}; {hint}"
    return (
        f"{told}; if they are there under other names: taltool convert --columns "
        f"{','.join(f'{meaning}=NAME' for meaning in missing)}"
    )


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None


def _numbered(columns: list[str]) -> str:
    """The option that says which columns of a table without names are what, as the fields of its first line look: a
    time that is there twice, as 00:00:01.000 and 1.0, is one."""
    texts = [place for place, name in enumerate(columns, start=1) if name and not _is_number(name)]
    pairs = enumerate(zip(columns, ["", *columns], strict=False), start=1)
    numbers = [place for place, (name, before) in pairs if _is_number(name) and not _is_again(name, before)]
    if not texts or texts[0] > numbers[0]:  # The names of videos are numbers too.
        texts, numbers = [numbers[0], *texts], numbers[1:]
    if len(numbers) < 2:
        return "--columns video=1,start=2,end=3,label=4"
    said = dict(zip(("video", "label"), texts, strict=False)) | dict(zip(("start", "end"), numbers, strict=False))
    others = numbers[2:]
    if len(numbers) > 1 and _seconds(columns[numbers[1] - 1]) < _seconds(columns[numbers[0] - 1]):
        said["length"] = said.pop("end")
    first, last = (_seconds(columns[place - 1]) for place in numbers[:2])
    if others and 0 <= (least := _seconds(columns[others[-1] - 1])) <= 1 and abs(last - first - least) > _ROUNDING:
        said["score"] = others.pop()
    order = ("video", "start", "end", "length", "label", "score")
    option = "--columns " + ",".join(f"{each}={said[each]}" for each in order if each in said)
    unsaid = ", ".join(map(str, others))
    return f"{option} (what {unsaid} is, is not read: a duration, frames?)" if others else option


def _is_again(time: str, before: str) -> bool:
    """Whether a time stands before it already, written in another way."""
    written_otherwise = _is_number(before) and (":" in time) != (":" in before)
    return written_otherwise and abs(_seconds(time) - _seconds(before)) < _ROUNDING


def _seconds(text: str) -> float:
    try:
        return seconds(text)
    except ValueError:
        return 0.0


def _of_other_times(columns: list[str], missing: list[str]) -> str:
    """What to do where the times of segments are there as milliseconds, or their length; empty where they are not."""
    thousandths = {
        meaning: name
        for meaning in ("start", "end")
        for name in columns
        if _THOUSANDTHS.search(name) and spelled(_THOUSANDTHS.sub("", name)) in SEGMENT_COLUMNS[meaning]
    }
    if len(thousandths) == 2:
        said = ",".join(f"{meaning}={name}" for meaning, name in thousandths.items())
        return (
            f"its times are milliseconds, by their names: taltool convert --columns {shlex.quote(said)} --times frames "
            "--fps 1000"
        )
    lengths = [name for name in columns if spelled(name) in _LENGTHS]
    if missing == ["end"] and lengths:
        return (
            f"if '{lengths[0]}' is that of the segment: taltool convert --columns {shlex.quote(f'length={lengths[0]}')}"
        )
    return ""


def _json_in_words(head: bytes) -> str:
    """`a JSON object with the keys a, b`, as far as its beginning tells."""
    text = head[:_SEARCHED].decode("utf-8", "replace").lstrip()
    depth, in_list = 0, text.startswith("[")
    level = 2 if in_list else 1
    keys: dict[str, None] = {}
    for token in _TOKENS.finditer(text):
        mark = token[0]
        if mark in "{[":
            depth += 1
        elif mark in "}]":
            depth -= 1
            if in_list and keys:
                break
        elif depth == level and token[1]:
            keys[mark.rpartition('"')[0].strip('"')] = None
    shown = ", ".join(map(_short, list(keys)[:_SHOWN])) + (", ..." if len(keys) > _SHOWN else "")
    what = "a JSON list" if in_list else "a JSON object"
    if keys:
        return f"{what} {'of objects ' if in_list else ''}with the keys {shown}"
    try:
        size = len(orjson.loads(head))
    except orjson.JSONDecodeError:
        return "text that begins like JSON, and is none or not whole"
    return f"{what} {'of numbers or texts' if size else 'with nothing in it'}"


def _names(formats: Mapping[str, Format], kind: str) -> str:
    return ", ".join(name for name, layout in formats.items() if kind in layout.kinds)


def _naming(word: str, formats: Mapping[str, Format]) -> str:
    """The formats that say, in their summary or by their suffix, that they are of a kind of file."""
    suffix = f".{word.lower()}"
    of_kind = [
        name
        for name, layout in formats.items()
        if word in layout.summary or any(each.startswith(suffix) for each in layout.suffixes)
    ]
    return f"{', '.join(of_kind) or 'none'} (see FORMATS in taltool-convert(1))"


def _short(text: str) -> str:
    return repr(text[:40] + ("..." if len(text) > 40 else ""))
