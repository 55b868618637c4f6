"""No code in a pickle runs, wherever its file is given; the command says what it is and ends with status 3 or 2."""

import io
import itertools
import pickle
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from plugin.tiny_data import write_tiny_data
from plugin.tiny_model import TinyModel

from taltool.cli.main import main
from taltool.errors import DataError
from taltool.experiment.checkpoint import load_state, read_tensors
from taltool.models import MODELS

MARK = "ran"


class Call:
    """Pickled, it asks its reader to call a function of some module."""

    def __init__(self, module: str, name: str, *arguments: object) -> None:
        self.module, self.name, self.arguments = module, name, arguments

    def pickled(self, protocol: int) -> bytes:
        """The pickle, which names the function and need not import it."""
        written = min(protocol, 2)  # The arguments; a later protocol reads these too.
        body = pickle.dumps(self.arguments, written)[written:-1]
        head = bytes([0x80, protocol]) if protocol >= 2 else b""
        return head + f"c{self.module}\n{self.name}\n".encode() + body + b"R."


TOUCH = f"open({MARK!r}, 'w').close()"
CALLS = {
    "os.system": Call("os", "system", f"touch {MARK}"),
    "posix.system": Call("posix", "system", f"touch {MARK}"),
    "builtins.exec": Call("builtins", "exec", TOUCH),
    "subprocess.call": Call("subprocess", "call", ["touch", MARK]),
    "numpy's runstring": Call("numpy.testing._private.utils", "runstring", TOUCH, {}),
    "torch's execWrapper": Call("torch.jit.unsupported_tensor_ops", "execWrapper", TOUCH, {}, {}),
}


def raw(protocol: int) -> Callable[[Call], bytes]:
    return lambda call: call.pickled(protocol)


def of_torch(call: Call) -> bytes:
    """What torch.save writes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", call.pickled(2))
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/data/0", bytes(16))
    return stream.getvalue()


def of_old_torch(call: Call) -> bytes:
    """What torch.save wrote before 1.6: a number, a version, facts, the object and the keys of what it holds."""
    beginning = (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}})
    return b"".join(pickle.dumps(each, 2) for each in beginning) + call.pickled(2) + pickle.dumps([], 2)


def of_numpy(call: Call) -> bytes:
    """An array of objects."""
    stream = io.BytesIO()
    header = {"descr": "|O", "fortran_order": False, "shape": (3, 4)}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + call.pickled(3)


def of_numpy_zipped(call: Call) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("rgb.npy", of_numpy(call))
    return stream.getvalue()


PICKLE = {f"protocol {number}": raw(number) for number in (0, 2, 4)}
TORCH = {"torch": of_torch, "old torch": of_old_torch}
ARRAYS = {"npy": of_numpy, "npz": of_numpy_zipped}
ALL = PICKLE | TORCH | ARRAYS
CLOCK = "--fps 25 --stride 8 --window 16"
TRAIN = "train -m tiny features.h5 gt.json"
# The words of commands, where in/v... is the file, and what that is.
PLACES = {
    "convert in/v -o out.json": ALL,
    f"convert in/v -o out.h5 {CLOCK}": ALL,
    f"convert in --from pt -o out.h5 {CLOCK} :in/v.pt": PICKLE | TORCH,
    f"convert in --from npy -o out.h5 {CLOCK} :in/v.npy": PICKLE | ARRAYS,
    f"convert in --from npz -o out.h5 {CLOCK} :in/v.npz": PICKLE | ARRAYS,
    f"convert in --from mat -o out.h5 {CLOCK} :in/v.mat": PICKLE,
    f"convert in -o out.h5 {CLOCK} :in/v.pt": TORCH,
    "convert --model bmn --preset activitynet13 in/v.pth -o out.safetensors": PICKLE | TORCH,
    "convert gt.json --durations in/v -o out.csv": PICKLE,
    "convert gt.json --relabel in/v -o out.csv": PICKLE,
    "convert gt.json --videos in/v -o out.csv": PICKLE,
    "nms in/v": ALL,
    "label gt.json --classifier in/v": ALL,
    "fuse in/v gt.json": PICKLE,
    "fuse gt.json gt.json --weights in/v": PICKLE,
    "evaluate in/v gt.json": PICKLE,
    "evaluate gt.json in/v": PICKLE,
    "evaluate gt.json gt.json --split in/v:one": PICKLE,
    "diagnose gt.json in/v": PICKLE,
    "plot in/v -o out.png": PICKLE,
    "check in/v": ALL,
    "check in :in/v.pt": TORCH,
    "check in/v.safetensors": PICKLE | TORCH,
    "info in/v": ALL,
    "predict features.h5 --model in/v": PICKLE | TORCH,
    "train -m tiny in/v gt.json -o out.safetensors": ALL,
    "train -m tiny features.h5 in/v -o out.safetensors": PICKLE,
    f"{TRAIN} --config in/v -o out.safetensors": PICKLE,
    f"{TRAIN} --init in/v -o out.safetensors": PICKLE | TORCH,
    f"{TRAIN} --folds in/v -o out": PICKLE,
    f"{TRAIN} --resume -o out.safetensors :out.resume.pt": PICKLE | TORCH,
    "extract in/v -o out.h5": PICKLE,
    "extract videos --backbone tsn --weights in/v.pt -o out.h5": PICKLE | TORCH,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    write_tiny_data(tmp_path)
    monkeypatch.setitem(MODELS._entries, "tiny", TinyModel)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "v.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    (tmp_path / "in").mkdir()
    yield tmp_path
    assert not list(tmp_path.rglob(MARK))


def test_the_calls_would_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, call in CALLS.items():
        for protocol in (0, 2, 4):
            pickle.loads(call.pickled(protocol))
            assert (tmp_path / MARK).exists(), name
            (tmp_path / MARK).unlink()


def said_of(words: str, file: str, content: bytes, capfd: pytest.CaptureFixture[str]) -> str:
    """What a command says of a file with this content, which it must refuse in a line."""
    Path(file).write_bytes(content)
    status = main(words.split())
    Path(file).unlink(missing_ok=True)
    output, errors = capfd.readouterr()
    assert status == (1 if words.startswith("extract in") else 3), (words, errors)
    assert "Traceback" not in errors
    assert Path(file).name in output + errors
    return output + errors


@pytest.mark.parametrize("words", PLACES)
def test_no_pickle_runs_wherever_it_is_given(words: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command, _, file = words.partition(" :")
    file = file or next(word.partition(":")[0] for word in words.split() if word.startswith("in/"))
    for make, call in zip(PLACES[words].values(), itertools.cycle(CALLS.values())):
        said_of(command, file, make(call), capfd)


@pytest.mark.parametrize("name", CALLS)
def test_what_weights_and_states_hold_is_named(name: str, folder: Path) -> None:
    for make in (of_torch, of_old_torch, raw(2)):
        (folder / "v.pt").write_bytes(make(CALLS[name]))
        with pytest.raises(
            DataError, match=rf"v\.pt: holds \S*{CALLS[name].name} beside tensors, which could run code"
        ):
            read_tensors("v.pt")
        with pytest.raises(DataError, match=rf"v\.pt: not a readable .* \(holds \S*{CALLS[name].name}, which could"):
            load_state(folder / "v.pt")
