"""The list of the papers' tables and figures: it is whole, its rows are settings, and every script of it runs."""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from forked_taltool import serving
from plugin.tiny_data import TinyData, write_tiny_data, write_tiny_frames
from project import PROJECT

from taltool.data.checkpoint_header import read_checkpoint_header
from taltool.experiment.configuration import build, override_layer, preset_layer
from taltool.models import MODELS

FOLDER = PROJECT / "examples" / "reproduce"
# A row of the list: table or figure, the script or a dash, what it shows or why there is none.
ROW = re.compile(
    r"^\| (?P<what>(?:Supplement, )?(?:Table|Figure) \w+) \| (?P<script>-|\[.*?\]\(.*?\)) \| (?P<about>.*) \|$"
)
SCRIPTS = sorted(path for path in FOLDER.glob("*.sh") if path.name != "rows.sh")


def numbered(kind: str, last: int) -> set[str]:
    return {f"{kind} {number}" for number in range(1, last + 1)}


# Counted in the papers, AFSD's supplement included.
PAPERS = {
    "AFSD": {"Table 1", *(f"Table 2{part}" for part in "abcdef"), "Table 3"}
    | numbered("Figure", 4)
    | numbered("Supplement, Table", 3)
    | numbered("Supplement, Figure", 3),
    "AMNet": numbered("Table", 5) | numbered("Figure", 7),
    "GSMT": numbered("Table", 14) | numbered("Figure", 12),
    "MGNet": numbered("Table", 8) | numbered("Figure", 7),
    "TSA-TAL": numbered("Table", 2) | numbered("Figure", 3),
}


def listed() -> dict[str, list[re.Match[str]]]:
    """The rows of the list below the heading of each paper."""
    sections = re.split(r"^## ", (FOLDER / "README.md").read_text(), flags=re.MULTILINE)[1:]
    rows = {each.split("\n")[0].split(" (")[0]: [ROW.match(line) for line in each.splitlines()] for each in sections}
    return {paper: [row for row in found if row] for paper, found in rows.items() if any(found)}


def test_every_table_and_figure_is_listed_once() -> None:
    found = listed()
    assert {paper: sorted(row["what"] for row in rows) for paper, rows in found.items()} == {
        paper: sorted(wanted) for paper, wanted in PAPERS.items()
    }


def test_every_script_is_listed_and_every_listed_script_is_there() -> None:
    rows = [row for found in listed().values() for row in found]
    named = {name for row in rows for name in re.findall(r"\]\((.*?)\)", row["script"])}
    assert named == {script.name for script in SCRIPTS}


def test_what_has_no_script_has_a_reason() -> None:
    for rows in listed().values():
        for row in rows:
            assert row["script"] != "-" or len(row["about"].split()) >= 3, row["what"]


def test_the_counts_of_the_list_are_those_of_its_rows() -> None:
    rows = [row for found in listed().values() for row in found]
    run = sum(row["script"] != "-" for row in rows)
    said = re.search(r"(\d+) tables and figures; (\d+) have a script", (FOLDER / "README.md").read_text())
    assert said
    assert (int(said[1]), int(said[2])) == (len(rows), run)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_rows_are_settings_of_the_model(script: Path) -> None:
    text = script.read_text()
    found = re.search(r"^model=(\S+) preset=(\S+)", text, re.MULTILINE)
    assert found
    model_class = MODELS.load(found[1])
    preset = preset_layer(found[2], model_class.presets, found[1])
    build(found[1], model_class.Config, [preset])
    for line in text.splitlines():
        words = re.findall(r"--set ([\w.]+=[^\s'\"$]+)", line)
        layers = [override_layer(each, model_class.Config) for each in words]
        build(found[1], model_class.Config, [preset, *layers])


# Settings at which a network is tiny.
TINY = {
    "afsd": "model.width=32 model.groups=8 model.levels=3",
    "amnet": "model.width=16 model.heads=2 model.levels=3 training.batch_size=4",
    "bmn": "model.groups=1 model.base_width=8 model.width=8 model.proposal_width=8 model.map_width=8 "
    "training.batch_size=4",
    "gsmt": "model.width=8 model.mask_width=8 training.batch_size=4",
    "mgnet": "model.width=16 model.head_width=8 model.proposal_width=16 model.feature_width=8 training.batch_size=4",
    "tsa-tal": "model.width=32 model.groups=8 training.batch_size=4",
}


# The same from pixels.
TINY_FRAMES = {
    "afsd": f"{TINY['afsd']} model.crop=32 model.backbone_divisor=16 sampling.length=64 sampling.train_stride=32 "
    "sampling.test_stride=32",
    "tsa-tal": f"{TINY['tsa-tal']} model.crop=32 model.backbone_divisor=16 model.positions=25 sampling.length=32 "
    "sampling.train_stride=16 sampling.test_stride=32",
}


@pytest.fixture(scope="session")
def commands() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as place:
        yield place


def tiny(folder: Path, subsets: Mapping[str, str], write: Callable[[Path], TinyData] = write_tiny_data) -> TinyData:
    """The tiny data in a new folder, its subsets called otherwise."""
    folder.mkdir()
    data = write(folder)
    document = json.loads(data.truth.read_text())
    for entry in document["database"].values():
        entry["subset"] = subsets[entry["subset"]]
    data.truth.write_text(json.dumps(document))
    return data


def printed(script: Path, commands: Path, folder: Path, operands: list[Path], **environment: str) -> list[str]:
    """The lines that a script prints when every network is tiny and learns for one epoch."""
    found = re.search(r"^model=(\S+)", script.read_text(), re.MULTILINE)
    assert found
    small = (TINY_FRAMES if environment.get("INPUT") == "frames" else TINY)[found[1]]
    sets = [word for each in ("training.epochs=1", *small.split()) for word in ("--set", each)]
    run = subprocess.run(
        ["sh", script, *operands, *sets],
        cwd=folder,
        env={"PATH": f"{commands}:{os.environ['PATH']}", "PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"}
        | {"MPLCONFIGDIR": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def scores_of_videos(truth: Path, place: Path) -> Path:
    """A file for `label --classifier`: scores of the two classes for each video."""
    videos = json.loads(truth.read_text())["database"]
    place.write_text(json.dumps({"results": {name: {"jump": 0.6, "run": 0.4} for name in videos}}))
    return place


def true_detections(truth: Path, place: Path) -> Path:
    """The instances of a ground truth as the detections of a detector that is never wrong."""
    videos = json.loads(truth.read_text())["database"]
    found = {name: [{**each, "score": 1.0} for each in video["annotations"]] for name, video in videos.items()}
    place.write_text(json.dumps({"results": found}))
    return place


def some_rows(script: Path) -> str:
    """The first and the last row of a script that is rows and nothing else: the others differ by settings alone."""
    body = script.read_text().partition('rows.sh"')[2]
    names, lines = re.findall(r"^row (\S+)", body, re.MULTILINE), [line for line in body.splitlines() if line]
    is_plain = all(re.match(r"row |#", line) for line in lines)
    return f"{names[0]} {names[-1]}" if is_plain and names else ""


ONE_DATA_SET = [script for script in SCRIPTS if script.stem != "gsmt-table10"]


@pytest.mark.slow
@pytest.mark.parametrize("script", ONE_DATA_SET, ids=lambda script: script.stem)
def test_a_script_runs_on_anybodys_data(script: Path, commands: Path, tmp_path: Path) -> None:
    is_thumos = re.search(r"^model=\S+ preset=thumos14", script.read_text(), re.MULTILINE)
    first, second = ("validation", "testing") if is_thumos else ("training", "validation")
    data = tiny(tmp_path / "data", {"training": first, "validation": second})
    lines = printed(
        script,
        commands,
        tmp_path,
        [data.features, data.truth, tmp_path / "out"],
        FIXED=str(data.features),
        C3D=str(data.features),
        BMN=" ".join(f"--set {each}" for each in ("training.epochs=1 sampling.length=16 " + TINY["bmn"]).split()),
        CLASSIFIER=str(scores_of_videos(data.truth, tmp_path / "classes.json")),
        DETECTIONS=str(true_detections(data.truth, tmp_path / "found.json")),
        ROWS=(rows := some_rows(script)),
    )
    assert len(lines) == 1 + len(set(rows.split())) if rows else len(lines) > 1
    for line in lines[1:]:
        assert not re.search(r"\bnan\b|[{}]", line)
    pictures = [line for line in lines if line.endswith((".png", ".svg"))]
    assert all((tmp_path / each).stat().st_size for each in pictures)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "afsd-table1",
        "afsd-table2d",
        "afsd-table3",
        "afsd-supplement-table1",
        "afsd-supplement-figure2",
        "afsd-supplement-figure3",
        "tsatal-table1",
        "tsatal-table2",
    ],
)
def test_a_script_runs_from_pixels(name: str, commands: Path, tmp_path: Path) -> None:
    script = FOLDER / f"{name}.sh"
    is_thumos = re.search(r"^model=\S+ preset=thumos14", script.read_text(), re.MULTILINE)
    first, second = ("validation", "testing") if is_thumos else ("training", "validation")
    data = tiny(tmp_path / "data", {"training": first, "validation": second}, write_tiny_frames)
    operands = [data.features, data.truth, tmp_path / "out"]
    lines = printed(script, commands, tmp_path, operands, INPUT="frames", FIXED=str(data.features))
    assert len(lines) > 1
    for line in lines:
        assert not re.search(r"\bnan\b|[{}]", line)
    pictures = [line for line in lines if line.endswith((".png", ".svg"))]
    assert all((tmp_path / each).stat().st_size for each in pictures)
    checkpoints = list((tmp_path / "out").glob("*.safetensors"))
    assert {read_checkpoint_header(str(each)).configuration["model"]["input"] for each in checkpoints} == {"frames"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "preset", "subset"),
    [
        ("afsd-table2d", "activitynet13", "validation"),
        ("gsmt-table2", "activitynet13-adam", "validation"),
        ("gsmt-figure8", "thumos14-adam", "testing"),
        ("mgnet-table2", "code", "validation"),
    ],
)
def test_a_variant_of_the_preset_runs_too(name: str, preset: str, subset: str, commands: Path, tmp_path: Path) -> None:
    """Other models beside it have no such variant, `nms` no suppression of its name, and AFSD's code one class only."""
    first = {"testing": "validation", "validation": "training"}[subset]
    data = tiny(tmp_path / "data", {"training": first, "validation": subset})
    classes = scores_of_videos(data.truth, tmp_path / "classes.json")
    operands = [data.features, data.truth, tmp_path / "out"]
    beside = "training.epochs=1 sampling.length=16 " + TINY["bmn"]
    words = {"PRESET": preset, "CLASSIFIER": str(classes), "BMN": " ".join(f"--set {each}" for each in beside.split())}
    assert len(printed(FOLDER / f"{name}.sh", commands, tmp_path, operands, **words)) > 1


@pytest.mark.slow
def test_a_split_without_the_data_sets_test_videos_is_measured_on_its_validation_videos(
    commands: Path, tmp_path: Path
) -> None:
    data = write_tiny_data(tmp_path)
    ids = list(json.loads(data.truth.read_text())["database"])
    (tmp_path / "splits.json").write_text(json.dumps({"a": {"training": ids[:8], "validation": ids[8:]}}))
    operands = [data.features, data.truth, tmp_path / "out"]
    printed(FOLDER / "tsatal-table1.sh", commands, tmp_path, operands, SPLIT=str(tmp_path / "splits.json:a"))
    assert json.loads((tmp_path / "out" / "full.jsonl.json").read_text())["subset"] == "validation"


@pytest.mark.slow
def test_two_data_sets_are_crossed_over_their_common_classes(commands: Path, tmp_path: Path) -> None:
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
    script = FOLDER / "gsmt-table10.sh"
    lines = printed(script, commands, tmp_path, [*operands, tmp_path / "shared.csv", tmp_path / "out"])
    assert [line.split("  ")[0] for line in lines[1:]] == ["ActivityNet -> THUMOS14", "THUMOS14 -> ActivityNet"]
    reports = [json.loads((tmp_path / "out" / f"{name}-across.jsonl.json").read_text()) for name in ("anet", "thumos")]
    assert [report["subset"] for report in reports] == ["testing", "validation"]
    assert [report["ground_truth"]["classes"] for report in reports] == [2, 2]
