"""examples/ci.sh, which a shell script in CI may call: its exit status says whether a new model may replace the old."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from project import PROJECT

pytestmark = pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
VIDEOS = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve videos of one action, and detections of all of them, of half of them, and some that end past the video."""
    folder = tmp_path_factory.mktemp("ci")
    names = [f"v{number}" for number in range(VIDEOS)]
    entry = {"duration": 20.0, "subset": "validation", "annotations": [{"segment": [4, 8], "label": "run"}]}
    (folder / "gt.json").write_text(json.dumps({"database": dict.fromkeys(names, entry)}))

    def write(name: str, found: int, segment: tuple[float, float] = (4, 8)) -> None:
        hits = [{"segment": segment, "score": 0.9, "label": "run"}]
        results = {video: hits if number < found else [] for number, video in enumerate(names)}
        (folder / name).write_text(json.dumps({"results": results}))

    write("all.json", VIDEOS)
    write("half.json", VIDEOS // 2)
    write("late.json", VIDEOS, (15, 99))
    (folder / "cut.json").write_text('{"results": {"v0": [')
    return folder


@pytest.mark.parametrize(
    ("old", "new", "least", "status"),
    [
        ("half.json", "all.json", "0.9", 0),
        ("all.json", "all.json", "1", 0),
        ("all.json", "half.json", "0.9", 1),
        ("all.json", "half.json", "0.1", 1),
        ("all.json", "cut.json", "0.1", 3),
        ("all.json", "late.json", "0.1", 3),
        ("all.json", "half.json", "much", 2),
    ],
)
def test_the_exit_status_says_whether_the_new_model_is_fit(
    old: str, new: str, least: str, status: int, folder: Path, commands: Path
) -> None:
    words = ["sh", PROJECT / "examples/ci.sh", "gt.json", old, new, least]
    settings = os.environ | {"PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(words, cwd=folder, env=settings, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    if (old, new) == ("half.json", "all.json"):
        assert "average mAP, new less old: 0.5, 95 % interval" in done.stdout
    assert ("the new model is worse" in done.stderr) == (new == "half.json" and least == "0.1")
