"""Files and options that once ended in a traceback, took gigabytes or were taken for good: each has its answer."""

import gzip
import re
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from plugin.tiny_data import write_tiny_data
from plugin.tiny_model import TinyModel

from taltool.cli.main import main
from taltool.models import MODELS

CLOCK = {"fps": 25.0, "stride": 8.0, "window": 16.0, "offset": 0.0, "duration": 30.0}
# The most that a command may take for a file of less than a megabyte, beside its libraries.
MEGABYTES = 400.0


def npy(shape: tuple[int, ...]) -> bytes:
    """An array of this shape, by its header alone."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + b"abc"


def safetensors(header: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header


FILES: dict[str, bytes] = {
    "quote.csv": b'video,start,end,label,score\n"v1,1,2,a,0.5\n',
    "field.csv": b"video,start,end,label,score\nv1,1,2," + b"a" * 200_000 + b",0.5\n",
    "deep.json": b"[" * 100_000 + b"]" * 100_000,
    "deep-objects.json": b'{"a":' * 3000 + b"1" + b"}" * 3000,
    "deep-results.json": b'{"results":{"v":' + b"[" * 1000 + b"]" * 1000 + b"}}",
    "deep-truth.json": b'{"database":{"v":' + b"[" * 1000 + b"]" * 1000 + b"}}",
    "blank.json.gz": gzip.compress(b" " * 150_000_000, 1),
    "brackets.toml": b"a=" + b"[" * 3000,
    "digits.toml": b"a=" + b"9" * 5000,
    "dots.toml": b"\n".join(b"a" + b".b" * 1000 + b"%d=1" % n for n in range(100)),
    "listed.json": b"[1]",
    "text.json": b'"x"',
    "number.json": b"3",
    "letters.json": b'{"split_1": {"validation": "abc"}}',
    "positions.json": b'{"split_1": [1, 2]}',
    "claims.npy": npy((3_000_000, 4000)),
    "part.safetensors": safetensors(b'{"__metadata__":{"taltool":"[1,2"},"a":{"dtype":"F32"}}      '),
    "endless.safetensors": safetensors(b"{}", 1 << 60),
    "empty.safetensors": safetensors(b"{}"),
    "text.safetensors": b'{"__metadata__":{}}' * 3,
    "lines.metrics.jsonl": b"[1]\n3\n",
    "odd.json": b'{"version":"x","database":[1],"taxonomy":3}',
    "scores.json": b'{"results":{"v03":[0.1,"x"]},"class":["jump","run"]}',
    "scores-of-text.json": b'{"results":{"v03":"abc"}}',
}
TRAIN = "train -m tiny features.h5 gt.json -o out.safetensors"
# Words of a command, its exit status, and what it says.
ANSWERS = [
    ("nms quote.csv", 3, r"quote\.csv"),
    ("convert quote.csv -o out.json", 3, r"quote\.csv:2: "),
    ("convert field.csv -o out.json", 3, r"field\.csv:2: "),
    ("check field.csv", 3, r"field\.csv:2: "),
    ("nms deep.json", 3, r"deep\.json.* nested more than 100 deep"),
    ("check deep-objects.json", 3, r"deep-objects\.json"),
    ("check deep-results.json", 3, r"nested more than 100 deep"),
    ("evaluate gt.json deep-results.json", 3, r"deep-results\.json.* nested more than 100 deep"),
    ("evaluate deep-truth.json gt.json", 3, r"deep-truth\.json.* nested more than 100 deep"),
    ("nms blank.json.gz", 3, r"blank\.json\.gz"),
    ("check blank.json.gz", 3, r"blank\.json\.gz"),
    (f"{TRAIN} --config brackets.toml", 3, r"brackets\.toml"),
    (f"{TRAIN} --config digits.toml", 3, r"digits\.toml"),
    (f"{TRAIN} --config dots.toml", 3, r"dots\.toml"),
    (f"{TRAIN} --preset ./dots.toml", 2, r"dots\.toml"),
    ("evaluate gt.json gt.json --split listed.json:split_1", 3, r"listed\.json"),
    ("evaluate gt.json gt.json --split text.json:split_1", 3, r"text\.json"),
    ("evaluate gt.json gt.json --split number.json:split_1", 3, r"number\.json"),
    ("evaluate gt.json gt.json --split letters.json:split_1", 3, r"letters\.json"),
    ("evaluate gt.json gt.json --split positions.json:split_1", 3, r"positions\.json"),
    ("label gt.json --classifier claims.npy", 3, r"claims\.npy"),
    ("label gt.json --classifier scores.json", 3, r"scores\.json"),
    ("label gt.json --classifier scores-of-text.json", 3, r"scores-of-text\.json"),
    ("convert arrays -o out.h5 --fps 25 --stride 8 --window 16", 3, r"arrays/v\.npy"),
    *((f"predict features.h5 --model {name}.safetensors", 3, name) for name in ("part", "endless", "empty", "text")),
    *((f"{command} {name}.safetensors", 3, name) for command in ("info", "check") for name in ("part", "endless")),
    ("plot lines.metrics.jsonl -o out.png", 3, r"lines\.metrics\.jsonl"),
    ("evaluate odd.json gt.json", 3, r"odd\.json"),
    ("convert odd.json --to actionformer -o out.json", 3, r"odd\.json"),
    (f"{TRAIN} --resume", 3, r"out\.resume\.pt: not the state of a training; train without --resume"),
    ("check cycle.h5", 3, r"cycle\.h5"),
    ("check dangling.h5", 3, r"dangling\.h5"),
    ("check chunk.h5", 3, r"chunk\.h5: not whole: video 'v1': of its 150016 chunks 1 were written"),
    ("info cycle.h5", 3, r"cycle\.h5"),
    ("check absurd.h5", 3, r"absurd\.h5: not whole: video 'v1': offset is nan"),
    ("train -m tiny absurd.h5 gt.json -o out.safetensors", 3, r"absurd\.h5"),
]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    write_tiny_data(folder)
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    (folder / "arrays").mkdir()
    (folder / "arrays" / "v.npy").write_bytes(FILES["claims.npy"])
    torch.save([1, 2], folder / "out.resume.pt")
    with h5py.File(folder / "cycle.h5", "w") as file:
        file["a"], file["b"] = h5py.SoftLink("/b"), h5py.SoftLink("/a")
    with h5py.File(folder / "dangling.h5", "w") as file:
        file["a"] = h5py.SoftLink("/nope")
    with h5py.File(folder / "chunk.h5", "w") as file:
        written = file.create_dataset("v1", (300_000, 2048), np.float32, chunks=(64, 64), compression="gzip")
        written[0, 0] = 1
        written.attrs.update(CLOCK)
    with h5py.File(folder / "absurd.h5", "w") as file:
        file["v1"] = np.ones((10, 8), np.float32)
        file["v1"].attrs.update(CLOCK | {"offset": np.nan})
    return folder


def memory(name: str) -> float:
    """What this process has (VmRSS) or has had since the last reset (VmHWM) of memory, in MB."""
    found = re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1e3


@pytest.mark.parametrize(("words", "status", "said"), ANSWERS)
def test_it_is_answered_in_words_and_little_memory(
    words: str, status: int, said: str, inputs: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(MODELS._entries, "tiny", TinyModel)
    monkeypatch.chdir(inputs)
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    found = main(words.split())
    output, errors = capfd.readouterr()
    assert found == status, errors
    assert re.search(said, output + errors), output + errors
    assert "Traceback" not in errors
    assert memory("VmHWM") - before < MEGABYTES
