"""Scripts that reproduce tables of the models: rows ask for settings that exist, and some tables run."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from plugin.tiny_data import write_tiny_data

from taltool.experiment.configuration import build, override_layer, preset_layer
from taltool.models import MODELS

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "reproduce"
KINDS = ("amnet-*", "gsmt-table*", "mgnet-table*", "tsatal-table*")
SCRIPTS = sorted(path for kind in KINDS for path in FOLDER.glob(f"{kind}.sh"))


def test_every_table_with_rows_of_its_own_has_a_script() -> None:
    assert {script.stem for script in SCRIPTS} >= {f"gsmt-table{n}" for n in (1, *range(4, 15))}
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
    rows = [line for line in text.splitlines() if line.startswith(("row ", "fit "))]
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
            "gsmt-table6",
            ["training.batch_size=8"],
            ["GSMT (full)", "GSMT + ground-truth class", "GSMT + ground-truth mask"],
            "61.0 47.0",
        ),
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
    data = shared / "data" / "salads50"
    lines = printed(table, tmp_path, [data / "features.h5", data / "gt.json", tmp_path / "out"], words)
    assert [line.split("  ")[0] for line in lines[1:]] == titles
    assert lines[-1].endswith(last)


def printed(table: str, folder: Path, operands: list[Path], words: list[str]) -> list[str]:
    """The lines that a table's script prints when every network learns for one epoch."""
    (folder / "taltool").write_text(f'#!/bin/sh\nexec {sys.executable} -m taltool "$@"\n')
    (folder / "taltool").chmod(0o755)
    found = folder / "found.json"  # Where proposals get their classes.
    found.write_text(json.dumps({"results": true_detections(operands[1])}))
    sets = [word for each in ("training.epochs=1", *words) for word in ("--set", each)]
    run = subprocess.run(
        ["sh", FOLDER / f"{table}.sh", *operands, *sets],
        env={
            "PATH": f"{folder}:/usr/bin:/bin",
            "PYTHONPATH": str(FOLDER.parents[1]),
            "OMP_NUM_THREADS": "1",
            "DETECTIONS": str(found),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


@pytest.mark.slow
def test_two_data_sets_are_crossed_over_their_common_classes(tmp_path: Path) -> None:
    """Table 10; each data set has a name of its own for running, and a class that the other lacks."""
    operands = []
    for name, subsets, runs in (("anet", "training validation", "Running"), ("thumos", "validation testing", "Run")):
        (tmp_path / name).mkdir()
        data = write_tiny_data(tmp_path / name)
        text = data.truth.read_text().replace('"run"', f'"{runs}"')
        database = json.loads(text)["database"]
        for number, entry in enumerate(database.values()):
            entry["subset"] = subsets.split()[number % 2]
            entry["annotations"].append({"label": f"of {name} alone", "segment": [0.0, 1.0]})
        data.truth.write_text(json.dumps({"database": database}))
        operands += [data.features, data.truth]
    (tmp_path / "shared.csv").write_text("label,new_label\njump,jump\nRunning,run\nRun,run\n")
    words = ["training.batch_size=4", "model.width=8", "model.mask_width=8"]
    lines = printed("gsmt-table10", tmp_path, [*operands, tmp_path / "shared.csv", tmp_path / "out"], words)
    assert [line.split("  ")[0] for line in lines[1:]] == ["ActivityNet -> THUMOS14", "THUMOS14 -> ActivityNet"]
    reports = [json.loads((tmp_path / "out" / f"{name}-across.jsonl.json").read_text()) for name in ("anet", "thumos")]
    assert [report["subset"] for report in reports] == ["testing", "validation"]
    assert [report["ground_truth"]["classes"] for report in reports] == [2, 2]
