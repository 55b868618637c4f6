"""Where there is no room left, a command ends with one line that names its file; what was there before stays."""

import resource
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import orjson
import pytest
from plugin.tiny_data import write_tiny_data
from project import PROJECT, Run

LIMIT = 1 << 14


def limited() -> None:
    """Let no file of this process grow longer, as a full disk or a quota does."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    write_tiny_data(folder)
    random = np.random.default_rng(0)
    with h5py.File(folder / "large.h5", "w") as file:
        for number in range(20):
            file[f"v{number}"] = random.random((40, 32), np.float32)
    lines: list[dict[str, object]] = [{"taltool": {"kind": "proposals", "version": 1, "classes": ["a"]}}]
    for number in range(40):
        starts = np.arange(30) * 10.0
        proposals = [{"segment": [s, s + 5], "score": 0.5, "label": "a"} for s in starts.tolist()]
        lines.append({"video_id": f"v{number}", "duration": 400.0, "proposals": proposals})
    lines.append({"end": {"videos": 40}})
    (folder / "large.jsonl").write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    return folder


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("convert large.h5 --fps 25 --stride 8 --window 16 -o", "out.h5"),
        ("convert large.jsonl -o", "out.json"),
        ("convert large.jsonl -o", "out.csv"),
        ("nms large.jsonl -o", "out.jsonl"),
        pytest.param("plot large.jsonl -o", "out.png", marks=pytest.mark.slow),
        ("plot large.jsonl --html", "out.html"),
        pytest.param("train -m tiny features.h5 gt.json --set epochs=1 -o", "out.safetensors", marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_is_told_with_the_file_and_nothing_is_lost(
    words: str, name: str, inputs: Path, tmp_path: Path, taltool: Run
) -> None:
    output = tmp_path / name
    output.write_bytes(b"what was there before")
    environment = {"PYTHONPATH": f"{PROJECT}:{PROJECT / 'tests' / 'plugin'}", "MPLCONFIGDIR": str(inputs)}
    if name.endswith(".safetensors"):
        output.unlink()
    run = partial(taltool, cwd=inputs, env=environment)
    done = run(*words.split(), output, preexec_fn=limited)
    said = done.stderr.decode()
    assert done.returncode == 3, said
    # Of a training another file than the one named may be the first that is too long.
    assert said.splitlines()[-1].startswith(f"taltool {words.split()[0]}: error: {tmp_path / 'out'}."), said
    assert "Traceback" not in said
    assert not any(path.suffix in (".tmp", ".partial") for path in tmp_path.iterdir())
    if not name.endswith(".safetensors"):
        assert output.read_bytes() == b"what was there before"
    assert run(*words.split(), output).returncode == 0
