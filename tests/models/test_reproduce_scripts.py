"""Scripts that reproduce tables of the models: rows ask for settings that exist, and three tables run."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from taltool.engine.configuration import build, override_layer, preset_layer
from taltool.models import MODELS

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "reproduce"
KINDS = ("amnet-*", "gsmt-table*", "mgnet-table*", "tsatal-table*")
SCRIPTS = sorted(path for kind in KINDS for path in FOLDER.glob(f"{kind}.sh"))


def test_every_table_with_rows_of_its_own_has_a_script() -> None:
    assert {script.stem for script in SCRIPTS} >= {f"gsmt-table{n}" for n in (1, 4, 5, 7, 8, 9, 11, 12, 13, 14)}
    assert {script.stem for script in SCRIPTS} >= {f"mgnet-table{n}" for n in (4, 5, 6, 7, 8)}
    assert {script.stem for script in SCRIPTS} >= {"tsatal-table1", "tsatal-table2", "amnet-figure6"}
    assert {script.stem for script in SCRIPTS} >= {f"amnet-table{n}" for n in (1, 2, 3, 4, 5)}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_rows_are_settings_of_the_model(script: Path) -> None:
    text = script.read_text()
    found = re.search(r"^model=(\S+) preset=(\S+) sigma=(\S+)$", text, re.MULTILINE)
    assert found
    model_class = MODELS.load(found[1])
    preset = preset_layer(found[2], model_class.presets, found[1])
    assert build(found[1], model_class.Config, [preset]).nms.width == float(found[3])
    rows = [line for line in text.splitlines() if line.startswith("row ")]
    configurations = [
        build(found[1], model_class.Config, [preset, *(override_layer(words, model_class.Config) for words in sets)])
        for sets in (re.findall(r"--set (\S+=\S+)", line) for line in rows)
    ]
    assert rows
    assert len(set(configurations)) >= len(rows) - 1  # one row may name the default


def true_detections(truth: Path) -> dict[str, list[dict[str, object]]]:
    """The instances of a ground truth as the detections of a detector that is never wrong."""
    videos = json.loads(truth.read_text())["database"]
    return {name: [{**each, "score": 1.0} for each in video["annotations"]] for name, video in videos.items()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "words", "titles", "last"),
    [
        ("gsmt-table4", ["training.batch_size=8"], ["1D CNN", "MS-TCN", "Transformer"], "56.0 36.2"),
        (
            "gsmt-table11",
            ["model.base_width=8", "model.proposal_width=8", "model.map_width=8"],
            ["BMN", "Transformer + BMN"],
            "51.6 34.8",
        ),
        (
            "mgnet-table8",
            ["model.streams=1", "model.width=16", "model.head_width=8", "model.proposal_width=16"],
            ["1 layer", "2 layers", "3 layers", "4 layers"],
            "57.25 76.44 68.21",
        ),
    ],
)
def test_a_table_runs_on_anybodys_data(
    shared: Path, tmp_path: Path, table: str, words: list[str], titles: list[str], last: str
) -> None:
    (tmp_path / "taltool").write_text(f'#!/bin/sh\nexec {sys.executable} -m taltool "$@"\n')
    (tmp_path / "taltool").chmod(0o755)
    data = shared / "data" / "salads50"
    found = tmp_path / "found.json"  # Where proposals get their classes.
    found.write_text(json.dumps({"results": true_detections(data / "gt.json")}))
    sets = [word for each in ("training.epochs=1", *words) for word in ("--set", each)]
    run = subprocess.run(
        ["sh", FOLDER / f"{table}.sh", data / "features.h5", data / "gt.json", tmp_path / "out", *sets],
        env={
            "PATH": f"{tmp_path}:/usr/bin:/bin",
            "PYTHONPATH": str(FOLDER.parents[1]),
            "OMP_NUM_THREADS": "1",
            "DETECTIONS": str(found),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert [line.split("  ")[0] for line in lines[1:]] == titles
    assert lines[-1].endswith(last)
