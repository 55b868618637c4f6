"""The light start: commands that compute nothing with torch never load it, nor anything else that is slow to load."""

import os
import subprocess
import sys

import pytest
from project import PROJECT

HEAVY = ("torch", "pandas", "scipy", "matplotlib", "av", "cv2", "safetensors", "ray", "tensorboard")
RUNNER = """
import sys
from taltool.cli.main import main
try:
    sys.exit(main())
finally:
    sys.stderr.write("LOADED " + " ".join(sys.modules) + "\\n")
"""
STREAM = (
    b'{"taltool":{"kind":"proposals","version":1}}\n'
    b'{"video_id":"v","proposals":[{"segment":[1,2],"score":1,"label":"a"}]}\n{"end":{"videos":1}}\n'
)
GROUND_TRUTH = '{"database":{"v":{"duration":9,"subset":"validation","annotations":[{"segment":[1,2],"label":"a"}]}}}'
LIGHT = [
    ["--help"],
    ["--version"],
    *(
        [name, "--help"]
        for name in ("extract", "train", "predict", "nms", "evaluate", "convert", "info", "check", "plot")
    ),
    ["help", "nms"],
    ["nms"],
    ["convert"],
    ["convert", "--to", "csv"],
    ["info"],
    ["check"],
    ["evaluate", "GT"],
]


@pytest.mark.parametrize("words", LIGHT, ids=" ".join)
def test_nothing_heavy_is_loaded(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("light")
    (folder / "gt.json").write_text(GROUND_TRUTH)
    words = [str(folder / "gt.json") if word == "GT" else word for word in words]
    command = [sys.executable, "-c", RUNNER, *words]
    env = os.environ | {"PYTHONPATH": str(PROJECT)}
    done = subprocess.run(command, input=STREAM, env=env, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()[:2000]
    loaded = set(done.stderr.decode().rpartition("LOADED ")[2].split())
    assert "taltool.cli.main" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_extraction_loads_no_torch_for_a_backbone_without_weights() -> None:
    program = "import sys, taltool.extraction.extract, taltool.backbones.hog3d; print(*sys.modules)"
    env = os.environ | {"PYTHONPATH": str(PROJECT)}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, timeout=120, check=True)
    assert {"torch", "safetensors", "matplotlib"}.isdisjoint(done.stdout.decode().split())
