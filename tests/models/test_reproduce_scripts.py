"""Scripts that reproduce tables of AMNet, GSMT and TSA-TAL: rows ask for settings that exist, and one table runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from taltool.engine.configuration import build, override_layer, preset_layer
from taltool.models import MODELS

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "reproduce"
SCRIPTS = sorted(path for kind in ("amnet-*", "gsmt-table*", "tsatal-table*") for path in FOLDER.glob(f"{kind}.sh"))


def test_every_table_with_rows_of_its_own_has_a_script() -> None:
    assert {script.stem for script in SCRIPTS} >= {f"gsmt-table{n}" for n in (1, 4, 5, 7, 8, 9, 12, 13, 14)}
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


@pytest.mark.slow
def test_a_table_runs_on_anybodys_data(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "taltool").write_text(f'#!/bin/sh\nexec {sys.executable} -m taltool "$@"\n')
    (tmp_path / "taltool").chmod(0o755)
    data = shared / "data" / "salads50"
    words = ["--set", "training.epochs=1", "--set", "training.batch_size=8"]
    run = subprocess.run(
        ["sh", FOLDER / "gsmt-table4.sh", data / "features.h5", data / "gt.json", tmp_path / "out", *words],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "PYTHONPATH": str(FOLDER.parents[1]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert [line.split("  ")[0] for line in lines[1:]] == ["1D CNN", "MS-TCN", "Transformer"]
    assert lines[3].endswith("56.0 36.2")
