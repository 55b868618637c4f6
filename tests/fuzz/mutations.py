"""Broken files out of whole ones: bytes, JSON, lines of text, arrays, headers, boxes of videos, and what libraries
write, all drawn from a seed.

Every mutation takes the bytes of a file and a generator of NumPy, and returns other bytes; the same generator gives the
same ones.
"""

import gzip
import io
import json
import re
import zipfile
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import h5py
import numpy as np
import torch

Mutation = Callable[[bytes, np.random.Generator], bytes]
ODD_NUMBERS = [
    "-1",
    "0",
    "-0.0",
    "1e308",
    "-1e308",
    "nan",
    "inf",
    "-inf",
    "9223372036854775808",
    "1e-320",
    "",
    "1_0",
    "٣",
]
ODD_TEXTS = [
    "",
    " ",
    "\0",
    "\n",
    "../../x",
    "/etc/hostname",
    "é",
    "\ud83d",
    "-",
    "#",
    '"',
    "'",
    "a" * 5000,
    "\x1b[2J",
    "nan",
]
ODD_VALUES: list[Any] = [None, True, False, -1, 0, 1e308, 2**63, -(2**70), 0.1, "", "x", [], {}, [[]], {"": {}}, [None]]
# What 32 bits of a header may say that nobody means.
ODD_WORDS = [0, 1, 2, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFE, 1_000_000_000, 0x00010000]
ODD_SHAPES = [(0,), (0, 0), (3,), (2, 3, 4), (1, 2), (2**40, 2**20), ()]
# Boxes of MP4, chunks of AVI and elements of Matroska that tell of times, sizes and places.
_TIMED = re.compile(
    rb"stts|ctts|stsz|stsc|stco|mdhd|mvhd|tkhd|elst|avcC|avih|strh|strf|idx1|00dc|"
    rb"\x2a\xd7\xb1|\x44\x89|\x23\xe3\x83|\xe7|\xa3|\xb0|\xba|\x1f\x43\xb6\x75"
)
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
_MOST_TIMES = 4


def _place(size: int, draw: np.random.Generator) -> int:
    return int(draw.integers(size)) if size else 0


def _one(values: Any, draw: np.random.Generator) -> Any:
    return values[_place(len(values), draw)]


def flip_bits(content: bytes, draw: np.random.Generator) -> bytes:
    """Turn one to eight bits over."""
    changed = bytearray(content)
    for _ in range(int(draw.integers(1, 9)) if content else 0):
        changed[_place(len(content), draw)] ^= 1 << int(draw.integers(8))
    return bytes(changed)


def odd_bytes(content: bytes, draw: np.random.Generator) -> bytes:
    """Put bytes of a kind that means something to somebody at some place."""
    odd = _one(
        [b"\0", b"\xff", b"\xef\xbb\xbf", b"\r", b"\n", b'"', b"\xed\xa0\x80", b"\xff" * 8, b"\0" * 8, b"\x7f" * 4],
        draw,
    )
    start = _place(len(content), draw)
    return content[:start] + odd + content[start + len(odd) * int(draw.integers(2)) :]


def cut(content: bytes, draw: np.random.Generator) -> bytes:
    """Leave out a stretch, or all from some place on."""
    start = _place(len(content), draw)
    end = len(content) if draw.random() < 0.3 else start + int(draw.integers(1, 2 + len(content) // 8))
    return content[:start] + content[end:]


def double(content: bytes, draw: np.random.Generator) -> bytes:
    """Have a stretch twice, the second time perhaps elsewhere."""
    start = _place(len(content), draw)
    stretch = content[start : start + int(draw.integers(1, 2 + len(content) // 4))]
    to = start if draw.random() < 0.5 else _place(len(content), draw)
    return content[:to] + stretch + content[to:]


def swap(content: bytes, draw: np.random.Generator) -> bytes:
    """Exchange two stretches."""
    first, second, third, fourth = sorted(int(draw.integers(len(content) + 1)) for _ in range(4))
    return content[:first] + content[third:fourth] + content[second:third] + content[first:second] + content[fourth:]


def odd_number(content: bytes, draw: np.random.Generator) -> bytes:
    """Write an odd number where the text has a number."""
    found = list(_NUMBER.finditer(content))
    if not found:
        return flip_bits(content, draw)
    number = _one(found, draw)
    return content[: number.start()] + _one(ODD_NUMBERS, draw).encode() + content[number.end() :]


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a parsed JSON document."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, each in inside for place in [(value, key), *_places(each)]]


def json_value(content: bytes, draw: np.random.Generator) -> bytes:
    """Change a document, or a line of JSON Lines: values of another type, members that are gone, renamed or nested."""
    try:
        parsed = [json.loads(line) for line in ([content] if _is_json(content) else content.splitlines())]
    except ValueError:
        return odd_number(content, draw)
    for _ in range(int(draw.integers(1, _MOST_TIMES))):
        if not (places := _places(parsed)):
            break
        held, key = _one(places, draw)
        kind = int(draw.integers(6))
        if kind == 0:
            held[key] = deepcopy(_one([*ODD_VALUES, *ODD_TEXTS], draw))
        elif kind == 1:
            del held[key]
        elif kind == 2:
            held[key] = [held[key]] if draw.random() < 0.5 else {"x": held[key]}
        elif kind == 3 and isinstance(held, dict):
            held[_one([*ODD_TEXTS, "label", "segment", "duration"], draw)] = held.pop(key)
        elif kind == 4 and isinstance(held, list):
            held.extend(deepcopy(held[key]) for _ in range(int(draw.integers(1, 4))))
        else:
            elsewhere, other = _one(places, draw)
            held[key] = json.loads(json.dumps(elsewhere[other]))
    nested = int(draw.choice([100, 1200, 100_000])) if draw.random() < 0.02 else 0
    text = "\n".join(json.dumps(each, ensure_ascii=bool(draw.random() < 0.9)) for each in parsed)
    if nested:
        text = text.replace("1", "[" * nested + "]" * nested, 1)
    return text.encode("utf-8", "surrogatepass")


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True


def lines(content: bytes, draw: np.random.Generator) -> bytes:
    """Change a text by its lines and fields: gone, doubled, moved, of odd numbers and texts, of other separators."""
    rows = content.split(b"\n")
    for _ in range(int(draw.integers(1, _MOST_TIMES))):
        at, kind = _place(len(rows), draw), int(draw.integers(7))
        if kind == 0 and len(rows) > 1:
            del rows[at]
        elif kind == 1:
            rows.insert(_place(len(rows), draw), rows[at])
        elif kind == 2:
            rows[at] = odd_number(rows[at], draw)
        elif kind == 3:
            rows[at] = rows[at].replace(
                _one([b",", b" ", b"\t", b";", b":"], draw), _one([b",", b";", b"\t", b" ", b""], draw)
            )
        else:
            separator = next((each for each in (b"\t", b",", b";", b" ") if each in rows[at]), b",")
            fields = rows[at].split(separator)
            field = _place(len(fields), draw)
            if kind == 4:
                fields[field] = _one([*ODD_TEXTS, *ODD_NUMBERS], draw).encode("utf-8", "surrogatepass")
            elif kind == 5:
                del fields[field]
            else:
                fields.insert(field, fields[_place(len(fields), draw)])
            rows[at] = separator.join(fields)
    return _one([b"\n", b"\n", b"\n", b"\r\n", b"\r", b"\x0b"], draw).join(rows)


def zipped(content: bytes, draw: np.random.Generator) -> bytes:
    """Change what is in a gzip file, or add another member."""
    inside = json_value(gzip.decompress(content), draw)
    return gzip.compress(inside, mtime=0) + (content if draw.random() < 0.3 else b"")


def array_header(content: bytes, draw: np.random.Generator) -> bytes:
    """Change the header of a .npy file: its shape, number type and order, or its length."""
    length = int.from_bytes(content[8:10], "little")
    header = content[10 : 10 + length]
    kind = int(draw.integers(4))
    if kind == 0:
        header = re.sub(rb"\([^)]*\)", str(_one(ODD_SHAPES, draw)).encode(), header)
    elif kind == 1:
        odd = _one(
            [b"'|O'", b"'<U9999999'", b"'<c16'", b"'|V8'", b"'>f4'", b"'<i8'", b"'<f2'", b"[('a','<f4')]", b"7"], draw
        )
        header = re.sub(rb"'[<>|]\w+'", odd, header, count=1)
    elif kind == 2:
        header = header.replace(b"False", _one([b"True", b"1", b"[]", b"((((", b"-" * 3000, b"'x'"], draw))
    else:
        header = lines(header, draw)
    size = len(header) if draw.random() < 0.8 else int(draw.integers(1 << 16))
    return content[:8] + (size & 0xFFFF).to_bytes(2, "little") + header + content[10 + length :]


def tensor_header(content: bytes, draw: np.random.Generator) -> bytes:
    """Change the JSON header of a safetensors file, keeping its length true or not."""
    length = int.from_bytes(content[:8], "little")
    header = json_value(content[8 : 8 + length], draw)
    size = len(header) if draw.random() < 0.9 else int(_one([0, 1, 2**31, 2**63, 2**64 - 1, 10**8], draw))
    return size.to_bytes(8, "little") + header + content[8 + length :]


def archive(content: bytes, draw: np.random.Generator) -> bytes:
    """Change what a member of a .npz holds, or leave it out; the archive itself stays whole."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return json_value(content, draw)
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        members = {name: file.read(name) for name in file.namelist()}
    name = _one(sorted(members), draw)
    member, begin = members[name], members[name].find(b"{", 64)
    if draw.random() < 0.1:
        del members[name]
    elif b'{"' in member[64:] and draw.random() < 0.8:  # Bytes that are JSON.
        text = np.frombuffer(json_value(member[begin:], draw), np.uint8)
        stream = io.BytesIO()
        np.save(stream, text)
        members[name] = stream.getvalue()
    else:
        members[name] = array_header(member, draw)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", int(draw.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))) as file:
        for each, inside in members.items():
            file.writestr(zipfile.ZipInfo(each), inside)
    return stream.getvalue()


def torch_values(content: bytes, draw: np.random.Generator) -> bytes:
    """Change what torch.save wrote by its library: values of other types, tensors of other numbers, gone keys."""
    held = [torch.load(io.BytesIO(content), weights_only=True)]
    for _ in range(int(draw.integers(1, _MOST_TIMES))):
        if not (places := _places(held)):
            break
        container, key = _one(places, draw)
        if draw.random() < 0.3 and container is not held:
            del container[key]
            continue
        dtype = _one([torch.float32, torch.float64, torch.int64, torch.bool, torch.complex64, torch.float16], draw)
        tensors = [torch.full(shape, _one([0, 1, np.nan, np.inf], draw)) for shape in [(), (0,), (2, 2), (3, 4)]]
        container[key] = deepcopy(_one([*ODD_VALUES, tensors[0], *(each.to(dtype) for each in tensors)], draw))
    stream = io.BytesIO()
    torch.save(held[0] if held else {}, stream)
    return stream.getvalue()


def parquet(content: bytes, draw: np.random.Generator) -> bytes:
    """Change a Parquet table by its library: columns of other types and values, gone, renamed or nested."""
    import pyarrow
    from pyarrow import parquet as files

    table = files.read_table(io.BytesIO(content)).to_pydict()
    for _ in range(int(draw.integers(1, _MOST_TIMES))):
        name = _one(sorted(table), draw)
        kind, rows = int(draw.integers(5)), len(table[name])
        if kind == 0 and len(table) > 1:
            del table[name]
        elif kind == 1:
            table[_one([*ODD_TEXTS[:4], "label", "start", "x"], draw)] = table.pop(name)
        elif kind == 2:
            odd = [None, -1, 0, 2**62, "x", "", True, b"\xff", [1.0], {"a": 1}, float("nan"), float("inf"), 1e308]
            table[name] = [_one(odd, draw)] * rows
        elif kind == 3:
            at, odd = _place(rows, draw), _one([None, -1.0, 1e308, float("nan"), float("inf"), "", "\0"], draw)
            alike = rows > 0 and (odd is None or type(odd) is type(table[name][at]))
            table[name] = [odd if row == at and alike else each for row, each in enumerate(table[name])]
        else:
            table = {each: values * int(draw.integers(3)) for each, values in table.items()}
    stream = io.BytesIO()
    try:
        files.write_table(pyarrow.table(table), stream)
    except pyarrow.ArrowException:  # No such table can be written.
        return flip_bits(content, draw)
    return stream.getvalue()


def boxes(content: bytes, draw: np.random.Generator) -> bytes:
    """Write odd numbers behind the names of what tells the times and places of a video's frames."""
    changed, found = bytearray(content), list(_TIMED.finditer(content))
    for _ in range(int(draw.integers(1, _MOST_TIMES)) if found else 0):
        at = _one(found, draw).end() + int(draw.integers(24))
        size = int(draw.choice([1, 2, 4, 4, 8]))
        odd = int(_one(ODD_WORDS, draw)) if draw.random() < 0.8 else int(draw.integers(1 << 31))
        order = "little" if draw.random() < 0.3 else "big"
        changed[at : at + size] = odd.to_bytes(8, order)[-size:] if order == "big" else odd.to_bytes(8, order)[:size]
    return bytes(changed)


def _odd_attribute(draw: np.random.Generator) -> Any:
    odd = [-1.0, 0.0, np.nan, np.inf, 1e308, 2**62, "x", "", "{", "[]", "{}", b"\xff\xfe", np.arange(3), np.float32(25)]
    return _one([*odd, np.void(b"\0\1"), h5py.Empty("f"), "[" * 3000, '{"a": 1}', np.array([b"a", b"b"])], draw)


def hdf5(content: bytes, draw: np.random.Generator) -> bytes:
    """Change a HDF5 file by its library: attributes, datasets of other shapes and types, links, groups."""
    stored = io.BytesIO(content)
    with h5py.File(stored, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        for _ in range(int(draw.integers(1, _MOST_TIMES))):
            name = _one([*names, "/"], draw)
            kind = int(draw.integers(5))
            try:
                node = file[name]
            except (KeyError, RuntimeError):  # It is gone by now, or a link to nothing or to itself.
                continue
            if kind <= 1:
                key = _one([*node.attrs, "fps", "stride", "window", "offset", "duration", "streams", "version"], draw)
                if kind == 0 or key not in node.attrs:
                    node.attrs[key] = _odd_attribute(draw)
                else:
                    del node.attrs[key]
            elif name != "/" and kind == 2:
                del file[name]
                shape = _one([each for each in ODD_SHAPES if np.prod(each) < 1e9], draw)
                number = _one([np.float32, np.float64, np.int8, np.uint8, np.float16, np.complex64, "S3", bool], draw)
                file.create_dataset(
                    name, data=np.zeros(shape, number) if draw.random() < 0.5 else np.ones(shape, number)
                )
            elif name != "/" and kind == 3:
                del file[name]
                target = _one(["/", "/nowhere", ".", name, "../x"], draw)
                file[name] = h5py.SoftLink(target) if draw.random() < 0.5 else h5py.ExternalLink("../x.h5", target)
            else:
                file.require_group(_one(["g", "g/h", "a/b/c", "é", ".x"], draw))
                if draw.random() < 0.5:
                    values = np.full((3, 4), _one([np.nan, np.inf, 0.0, 1e30], draw), np.float32)
                    file.create_dataset(f"n{draw.integers(1000)}", data=values, chunks=_one([(1, 4), None], draw))
    return stored.getvalue()


_BYTES: list[Mutation] = [flip_bits, flip_bits, odd_bytes, cut, double, swap]
# How the files of a kind are changed, each way as often as the others.
KINDS: dict[str, list[Mutation]] = {
    "bytes": _BYTES,
    "video": [*_BYTES, *[boxes] * 8],
    "torch": [*_BYTES, *[torch_values] * 8],
    "npz": [*_BYTES, *[archive] * 8],
    "parquet": [*_BYTES, *[parquet] * 6],
    "json": [*_BYTES, odd_number, odd_number, *[json_value] * 8],
    "lines": [*_BYTES, odd_number, odd_number, *[lines] * 6],
    "gzip": [*_BYTES, *[zipped] * 4],
    "npy": [*_BYTES, *[array_header] * 6],
    "safetensors": [*_BYTES, *[tensor_header] * 8],
    "hdf5": [*_BYTES, *[hdf5] * 8],
}


def mutated(content: bytes, kind: str, draw: np.random.Generator) -> bytes:
    """`content`, a file of one of `KINDS`, changed in one to three ways."""
    for number in range(int(draw.choice([1, 1, 1, 2, 3]))):
        # What was broken once may be no such file any more: from then on it is bytes.
        content = _one(KINDS[kind] if number == 0 else _BYTES, draw)(content, draw)
    return content
