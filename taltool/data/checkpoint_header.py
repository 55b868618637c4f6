"""What a checkpoint says about itself, read without loading weights (and without torch).

A checkpoint is a safetensors file whose metadata holds one key, `taltool`, with JSON.
"""

import reprlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from taltool.data.files import open_file, refuse_foreign
from taltool.data.provenance import Chain, checked_extraction
from taltool.errors import DataError

KEY = "taltool"
VERSION = 1
# Fields that are tables, and those that earlier versions do not write.
_TABLES, _LATER = ("configuration", "streams", "clock", "training", "extraction", "seen"), ("extraction", "seen")
_IN_WORDS = {str: "a text", int: "a number", list: "a list", dict: "a table"}
_LONGEST_HEADER = 100_000_000


@dataclass(frozen=True)
class CheckpointHeader:
    """model and configuration (with every setting); classes by number; the features that it expects: channels (after
    the choice of streams), streams of the training file, clock (medians over the training videos: fps, stride, window,
    seconds_per_snippet); length is the T that the network was built for; training tells how it came about (seed,
    epochs, the chosen epoch, whether the run is finished).

    extraction is how the features were made (`ExtractionSettings.record` of the training file), empty where that file
    does not say; seen are the videos that have had a part in the weights: ids `trained_on`, and `selected_on`, by which
    the epoch was chosen."""

    model: str
    configuration: dict[str, Any]
    classes: list[str]
    channels: int
    length: int
    streams: dict[str, Any]
    clock: dict[str, float]
    training: dict[str, Any]
    provenance: Chain | None = None
    extraction: dict[str, Any] = field(default_factory=dict)
    seen: dict[str, list[str]] = field(default_factory=dict)
    version: int = field(default=VERSION)

    def metadata(self) -> dict[str, str]:
        """The metadata of the safetensors file."""
        fields = {name: value for name, value in asdict(self).items() if value is not None}
        return {KEY: orjson.dumps({"kind": "checkpoint", **fields}).decode()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], path: str) -> "CheckpointHeader":
        """The header in a file's metadata; raises DataError where that is not ours, or of another version."""
        if KEY not in metadata:
            raise DataError(f"{path}: safetensors, but no checkpoint of taltool train")
        try:
            fields = orjson.loads(metadata[KEY])
        except orjson.JSONDecodeError as error:
            raise DataError(f"{path}: its header is not JSON ({error}); copy or train it again") from error
        if not isinstance(fields, dict):
            raise DataError(f"{path}: its header is {fields!r:.40}; expected a table")
        kind, version = fields.pop("kind", None), fields.get("version")
        if kind != "checkpoint" or version != VERSION:
            raise DataError(f"{path}: expected a checkpoint version {VERSION}, found {kind} version {version}")
        if unknown := fields.keys() - cls.__dataclass_fields__.keys():
            raise DataError(f"{path}: its header says '{min(unknown)}', which this version of taltool does not know")
        kinds = {"model": str, "channels": int, "length": int, "classes": list} | dict.fromkeys(_TABLES, dict)
        for name, expected in kinds.items():
            if name not in fields and name not in _LATER:
                raise DataError(f"{path}: its header does not say '{name}'; train it again")
            if name in fields and not isinstance(fields[name], expected):
                raise DataError(f"{path}: its header says {name} {fields[name]!r:.40}; expected {_IN_WORDS[expected]}")
        for name, ids in fields.get("seen", {}).items():
            if not (isinstance(ids, list) and all(isinstance(each, str) for each in ids)):
                raise DataError(f"{path}: its header says {name} {ids!r:.40}; expected a list of video ids")
        return cls(**fields | {"extraction": checked_extraction(fields.get("extraction", {}), path)})


def read_tensor_table(path: str) -> dict[str, Any]:
    """The JSON header of a safetensors file: {tensor name: {dtype, shape, data_offsets}, "__metadata__": {...}}.

    Raises DataError for what is no such header.
    """
    with open_file(path) as stream:
        length = int.from_bytes(stream.read(8), "little")
        text = stream.read(length) if length <= _LONGEST_HEADER else b""
    try:
        table = orjson.loads(text)
    except orjson.JSONDecodeError:
        refuse_foreign(path)
        raise DataError(f"{path}: not a safetensors file") from None
    if not isinstance(table, dict):
        raise DataError(f"{path}: not a safetensors file")
    for name, entry in table.items():
        if not (_is_metadata(entry) if name == "__metadata__" else _is_tensor(entry)):
            raise DataError(f"{path}: not a safetensors file: its header says '{name}': {reprlib.repr(entry)}")
    return table


def _is_metadata(entry: object) -> bool:
    return entry is None or (isinstance(entry, dict) and all(isinstance(text, str) for text in entry.values()))


def _is_tensor(entry: object) -> bool:
    """Whether the header can say so of a tensor: its number type, its shape and where its bytes lie."""
    if not (isinstance(entry, dict) and isinstance(entry.get("dtype"), str)):
        return False
    shape, offsets = entry.get("shape"), entry.get("data_offsets")
    if not (isinstance(shape, list) and isinstance(offsets, list) and len(offsets) == 2):
        return False
    return all(type(count) is int and count >= 0 for count in (*shape, *offsets)) and bool(offsets[0] <= offsets[1])


def read_checkpoint_header(path: str) -> CheckpointHeader:
    """What the checkpoint at `path` says about itself."""
    return CheckpointHeader.from_metadata(read_tensor_table(path).get("__metadata__") or {}, path)
