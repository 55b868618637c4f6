"""The contributors' page cannot rot: its examples are run by their paths and as a package, its picture is the house."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from fractions import Fraction
from pathlib import Path
from textwrap import dedent

import pytest
from plugin.tiny_data import write_tiny_data
from project import PROJECT
from test_layout import HEIGHTS
from video.numbered_videos import write

README = (PROJECT / "README.md").read_text(encoding="utf-8")
PAGE = (PROJECT / ".github/CONTRIBUTING.md").read_text(encoding="utf-8")
# The file that a section is about, its code, and the commands that use it.
SECTIONS = {
    file: (code, commands)
    for file, code, commands in re.findall(
        r"^### [\w ]+: `(\w+\.py)`\n.*?^```python\n(.*?)^```\n\n```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL
    )
}
COMMAND = "prune.py"
ENTRIES = [file for file in SECTIONS if file != COMMAND]
(PACKAGE,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
# The tests that take an example up by themselves once its package is installed.
CONTRACTS = {
    "point_detector.py": ["tests/models/test_contract.py"],
    "motion_energy.py": ["tests/backbones/test_backbone_contract.py"],
    "spans.py": ["tests/data/test_formats.py"],
    "f1.py": ["tests/ops/test_metric_contract.py"],
}


@pytest.fixture
def folder(tmp_path: Path, data: Path) -> Path:
    """Where a user stands: features, annotations, videos and detections."""
    shutil.copytree(data, tmp_path / "user")
    return tmp_path / "user"


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_tiny_data(folder).features.rename(folder / "feats.h5")
    (folder / "videos").mkdir()
    for name in ("a", "b"):
        write(folder / f"videos/{name}.mp4", [Fraction(n, 25) for n in range(40)])
    lines = ['{"video_id":"v03","proposals":[{"segment":[1,4],"score":0.9,"label":"jump"}]}']
    lines += ['{"video_id":"v07","proposals":[{"segment":[1,2],"score":0.5,"label":"jump"}]}']
    (folder / "found.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def ran(script: str, folder: Path, *path: Path) -> str:
    """What a script of the page prints, with `taltool` of this checkout and these folders before it."""
    # Two jobs: the processes that extract are given the word for the backbone too.
    settings = os.environ | {"PYTHONPATH": ":".join(map(str, [*path, PROJECT])), "TALTOOL_JOBS": "2"}
    text = f'set -eo pipefail\ntaltool() {{ {sys.executable} -m taltool "$@"; }}\n{script}'
    done = subprocess.run(["bash", "-c", text], cwd=folder, env=settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed the examples by the pyproject.toml that the page shows."""
    pytest.importorskip("setuptools", minversion="70.1")  # Older ones make no wheel by themselves.
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("package")
    (source / "pyproject.toml").write_text(PACKAGE)
    for file in ENTRIES:
        (source / file).write_text(SECTIONS[file][0])
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", *offline, "--target", target, "."]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def assert_done(file: str, printed: str, folder: Path) -> None:
    """What the commands of a section must have brought about."""
    if file == "point_detector.py":
        assert float(printed.split()[-1]) > 30  # average mAP in percent: it has learnt where the actions are.
    elif file == "motion_energy.py":
        assert re.search(r"motion-energy +0, 39\n", printed), printed
    elif file == "spans.py":
        assert (folder / "found.spans").read_text() == "spans\nv03\t1.0\t4.0\t0.9\nv07\t1.0\t2.0\t0.5\n"
        assert [json.loads(line).get("scores") for line in (folder / "best.jsonl").open()] == [None, [0.9], [0.5], None]
    else:  # Two detections, six instances: both find one at 0.3 and 0.4, 2 * 2 / (2 + 6), then one does.
        assert re.search(r"^found\.jsonl( +50\.00){2}( +25\.00){3}$", printed, re.MULTILINE), printed


def test_every_kind_has_an_example() -> None:
    assert list(SECTIONS) == ["point_detector.py", "motion_energy.py", "spans.py", "f1.py", COMMAND]
    names = [name for points in tomllib.loads(PACKAGE)["project"]["entry-points"].values() for name in points]
    assert names == list(map(named, ENTRIES))
    assert [file for file in ENTRIES if f'.register("{named(file)}")\n' not in SECTIONS[file][0]] == []


def named(file: str) -> str:
    """The name that a file has in a folder of taltool."""
    return file.removesuffix(".py").replace("_", "-")


@pytest.mark.slow
@pytest.mark.parametrize("file", ENTRIES)
def test_an_example_is_used_by_its_path(file: str, folder: Path) -> None:
    code, commands = SECTIONS[file]
    (folder / file).write_text(code)
    assert f"./{file}" in commands
    assert_done(file, ran(commands, folder), folder)


@pytest.mark.slow
@pytest.mark.parametrize("file", ENTRIES)
def test_an_example_is_used_by_its_name_where_its_package_is_installed(file: str, folder: Path, package: Path) -> None:
    # A checkpoint says of which model it is.
    commands = SECTIONS[file][1].replace(f"predict --model ./{file} ", "predict ").replace(f"./{file}", named(file))
    assert_done(file, ran(commands, folder, package), folder)


def test_blank_lines_of_the_format_do_not_count(folder: Path) -> None:
    (folder / "spans.py").write_text(SECTIONS["spans.py"][0])
    (folder / "blank.spans").write_text("\n \nspans\n\nv03\t1.0\t4.0\t0.9\n\n")
    rows = ran("taltool convert --from ./spans.py blank.spans --to csv", folder)
    assert rows == "video_id,start,end,score\nv03,1.0,4.0,0.9\n"
    (folder / "blank.spans").write_text("\nspans\nv03\t1.0\n")
    refused = ran("taltool convert --from ./spans.py blank.spans --to csv 2>&1 || true", folder)
    assert "blank.spans:3: expected VIDEO, START, END and SCORE, found 'v03\t1.0'" in refused


def test_the_format_can_be_given_labels_as_the_page_says(folder: Path) -> None:
    code = SECTIONS["spans.py"][0]
    assert "`video.names.names[number] for number in video.labels`" in PAGE
    code = code.replace("in zip(video.segments.tolist(),", "in zip(video.segments.tolist(), video.labels,", 1)
    code = code.replace("for (start, end), value in", "for (start, end), number, value in", 1)
    code = code.replace("\\t{value}\\n", "\\t{value}\\t{video.names.names[number]}\\n", 1)
    code = code.replace("!= 4", "!= 5", 1).replace("where=where)\n", "where=where, label=fields[4])\n", 1)
    assert "Row(..., label=fields[4])" in PAGE
    (folder / "spans.py").write_text(code)
    rows = ran(
        "taltool convert --to ./spans.py found.jsonl -o a.spans && taltool convert --from ./spans.py a.spans --to csv",
        folder,
    )
    assert rows == "video_id,start,end,label,score\nv03,1.0,4.0,jump,0.9\nv07,1.0,2.0,jump,0.5\n"


@pytest.mark.slow
def test_what_is_installed_is_refused_by_its_path(folder: Path, package: Path) -> None:
    (folder / "f1.py").write_text(SECTIONS["f1.py"][0])
    refused = ran("taltool evaluate --metric ./f1.py gt.json found.jsonl 2>&1 || true", folder, package)
    assert "there is a metric named 'f1' already" in refused


@pytest.mark.slow
@pytest.mark.parametrize("file", CONTRACTS)
def test_the_tests_that_the_page_names_take_an_example_up(file: str, package: Path) -> None:
    section = PAGE[PAGE.index(f"`{file}`\n") :].partition("\n### ")[0]
    for tests in CONTRACTS[file]:
        assert f"`{tests}`" in section
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests, "-k", named(file)]
        settings = os.environ | {"PYTHONPATH": f"{package}:{PROJECT}"}
        done = subprocess.run(command, cwd=PROJECT, env=settings, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
        assert " passed" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("file", ENTRIES)
def test_an_example_is_found_by_its_name_in_the_home_that_the_page_names(file: str, tmp_path: Path) -> None:
    (home,) = re.findall(rf"Home:\s`(taltool/[\w/]+/{file})`", PAGE)
    shutil.copytree(PROJECT / "taltool", tmp_path / "taltool", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / home).write_text(SECTIONS[file][0])
    package = home.rpartition("/")[0].replace("/", ".")
    program = (
        f"import {package} as package\nfrom taltool.registry import Registry\n"
        "(registry,) = [each for each in vars(package).values() if isinstance(each, Registry)]\n"
        f"assert {named(file)!r} in registry.names()\nprint(registry.load({named(file)!r}).__module__)"
    )
    settings = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=settings, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{package}.{Path(file).stem}"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this project with the command of the page, its manual page and its mention in README."""
    copy = tmp_path_factory.mktemp("tree")
    for each in ("taltool", "man", "tests"):
        shutil.copytree(PROJECT / each, copy / each, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", copy)
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    name = COMMAND.removesuffix(".py")
    (copy / "README.md").write_text(f"{readme}\n`{name}`\n", encoding="utf-8")
    (copy / "taltool/cli/commands" / COMMAND).write_text(SECTIONS[COMMAND][0])
    made = subprocess.run([sys.executable, "man/generate.py"], cwd=copy, capture_output=True, text=True, check=True)
    assert set(made.stdout.split()) == {"man/man1/taltool.1", f"man/man1/taltool-{name}.1"}
    return copy


@pytest.mark.slow
def test_the_command_is_used(tree: Path, folder: Path) -> None:
    commands = SECTIONS[COMMAND][1]
    assert "average_mAP" in ran(commands, folder, tree) or "average" in ran(commands, folder, tree)
    kept = ran(commands.partition(" | ")[0], folder, tree)
    assert '"segments":[[1.0,4.0]]' in kept
    assert '"segments":[]' in kept


@pytest.mark.slow
def test_the_tests_that_the_page_names_take_the_command_up(tree: Path) -> None:
    section = PAGE[PAGE.index(f"`{COMMAND}`\n") :].partition("\n### ")[0]
    for tests in ("tests/cli/test_not_finite.py", "tests/test_man.py", "tests/test_layout.py"):
        assert f"`{tests}`" in section
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests, "-k", "prune"]
        settings = os.environ | {"PYTHONPATH": str(tree)}
        done = subprocess.run(command, cwd=tree, env=settings, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
        assert " passed" in done.stdout


def test_the_picture_is_the_house() -> None:
    rows = re.findall(r"^ {4} ?(\d+)  (\w+) +\S", PAGE, re.MULTILINE)
    heights = [int(height) for height, _ in rows]
    assert heights == sorted(heights, reverse=True)
    assert {name: int(height) for height, name in rows} == HEIGHTS


def test_a_request_goes_through_what_the_page_says() -> None:
    rows = re.findall(r"^ {4}([\w/]+\.py) +(\w+)  +\w", PAGE, re.MULTILINE)
    assert rows[0] == ("cli/main.py", "main")
    assert len(rows) > 4
    for file, name in rows:
        tree = ast.parse((PROJECT / "taltool" / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, (file, name)


def test_the_call_of_a_stage_does_what_its_command_does(folder: Path) -> None:
    (call,) = re.findall(r"^```python\n(from (?:.|\n)*?)^```", PAGE, re.MULTILINE)
    settings = os.environ | {"PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-c", call]
    done = subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, check=True)
    assert done.stdout
    (words,) = re.findall(r"`(taltool nms .*?)`", PAGE)
    by_call = (folder / "best.jsonl").read_text().splitlines()
    ran(words, folder)
    assert (folder / "best.jsonl").read_text().splitlines()[1:] == by_call[1:]  # But for the provenance.


def test_the_calls_on_the_front_page_run(folder: Path) -> None:
    (calls,) = re.findall(r"^    from taltool(?:.|\n)*?\n\n    nms(?:.|\n)*?$\n(?!    )", README, re.MULTILINE)
    (folder / "found.jsonl").rename(folder / "raw.jsonl")
    settings = os.environ | {"PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-c", dedent(calls)]
    done = subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, check=True)
    assert 0 <= float(done.stdout) <= 1


@pytest.mark.slow
def test_every_file_that_is_named_exists() -> None:
    files = set(re.findall(r"`((?:taltool|tests|man)/[\w/.]+|\w+\.\w+)`", PAGE))
    examples = {file for file in files if Path(file).stem in {Path(each).stem for each in SECTIONS}}
    assert len(files) > len(examples) > 5
    assert [file for file in sorted(files - examples) if not list(PROJECT.rglob(file))] == []


def test_every_example_is_short_and_formatted(tmp_path: Path) -> None:
    for file, (code, _) in SECTIONS.items():
        (tmp_path / file).write_text(code)
        assert len(code.splitlines()) <= 80
    for command in (["check", "--ignore", "D"], ["format", "--check"]):
        words = [sys.executable, "-m", "ruff", *command, "--config", PROJECT / "pyproject.toml", tmp_path]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
