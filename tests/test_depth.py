"""From a command to the work it is not far: how deep the stack of this package's functions gets, and through how many
files. A new layer that only hands on shows here."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from plugin.tiny_data import write_tiny_data
from project import PROJECT

# Runs the words of a command line; prints the deepest stack of functions of taltool, and the files they are in.
PROFILED = """
import os, sys
from taltool.cli.main import main
root, deepest, files = os.path.dirname(os.path.dirname(sys.modules["taltool.cli"].__file__)) + os.sep, [], set()
def watch(frame, event, _):
    if event != "call" or not frame.f_code.co_filename.startswith(root) or frame.f_code.co_name == "<module>":
        return
    files.add(frame.f_code.co_filename)
    stack = []
    while frame is not None:
        code = frame.f_code
        if code.co_name == "<module>" and frame.f_back is not None:  # What an import calls is no way to the work.
            return
        if code.co_filename.startswith(root) and code.co_name[0] != "<":
            stack.insert(0, f"{code.co_filename[len(root):]} {code.co_qualname}")
        frame = frame.f_back
    if len(stack) > len(deepest):
        deepest[:] = stack
sys.setprofile(watch)
status = main(sys.argv[1:])
sys.setprofile(None)
print(len(files), *deepest, sep="\\n", file=open(os.environ["TOLD"], "w"))
sys.exit(status)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features, annotations, a checkpoint of AFSD and its detections, and what `train` told."""
    folder = tmp_path_factory.mktemp("data")
    write_tiny_data(folder)
    words = ["train", "-m", "afsd", "features.h5", "gt.json", "-o", "m.safetensors", "--set", "training.epochs=1"]
    told(folder, "train", *words, "--set", "training.select=loss")
    told(folder, "predict", "predict", "-m", "m.safetensors", "features.h5", "-o", "p.jsonl")
    return folder


def told(folder: Path, name: str, *words: str) -> list[str]:
    settings = os.environ | {"PYTHONPATH": str(PROJECT), "TOLD": str(folder / name)}
    subprocess.run([sys.executable, "-c", PROFILED, *words], cwd=folder, env=settings, check=True)
    return (folder / name).read_text().splitlines()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words", "depth", "files"),
    [
        ("train", [], 14, 70),
        ("predict", [], 16, 64),
        ("nms", ["nms", "p.jsonl", "-o", "n.jsonl"], 14, 23),
        ("evaluate", ["evaluate", "gt.json", "p.jsonl", "--subset", "training"], 12, 25),
    ],
)
def test_the_way_from_a_command_to_its_work_is_short(
    folder: Path, name: str, words: list[str], depth: int, files: int
) -> None:
    entered, *deepest = told(folder, name, *words) if words else (folder / name).read_text().splitlines()
    assert len(deepest) <= depth, "\n".join(deepest)
    assert int(entered) <= files
