"""Several folds and seeds: what is measured, how it is averaged, and what is refused."""

import json
import statistics
from pathlib import Path
from typing import Any

import pytest
from plugin.tiny_data import TinyData
from training_runs import Listener

from taltool.errors import DataError, UsageError
from taltool.training.cross_validation import CrossValidation, read_folds
from taltool.training.train import train


def repeated(
    tiny: TinyData,
    folder: Path,
    folds: Path | None = None,
    seeds: int = 1,
    **wishes: Any,
) -> CrossValidation:
    paths = str(tiny.features), str(tiny.truth)
    named = {"model": "tiny", "set_": ["epochs=1"], "output": str(folder), "provenance": False}
    summary = train(*paths, folds=str(folds) if folds else None, seeds=seeds, **named, **wishes)
    assert isinstance(summary, CrossValidation)
    return summary


def write_folds(path: Path) -> Path:
    ids = [f"v{number:02}" for number in range(12)]
    parts = {f"f{k}": {"training": [i for i in ids if int(i[1:]) % 2 != k], "validation": ids[k::2]} for k in range(2)}
    path.write_text(json.dumps(parts))
    return path


def test_folds_weigh_the_same_and_seeds_are_averaged_within_them(tiny: TinyData, tmp_path: Path) -> None:
    summary = repeated(tiny, tmp_path / "runs", write_folds(tmp_path / "splits.json"), seeds=2)
    assert [(run.fold, run.seed) for run in summary.runs] == [("f0", 0), ("f0", 1), ("f1", 0), ("f1", 1)]
    reached = [run.average_mAP for run in summary.runs]
    means = [(reached[0] + reached[1]) / 2, (reached[2] + reached[3]) / 2]
    assert summary.mean == pytest.approx(sum(means) / 2)
    assert summary.spread == pytest.approx(statistics.stdev(means))
    assert [(run.videos, run.instances) for run in summary.runs] == [(6, 12)] * 4
    written = json.loads((tmp_path / "runs" / "summary.json").read_text())
    assert written["mean"] == summary.mean
    assert (tmp_path / "runs" / "f1-seed1" / "tiny.safetensors").exists()


def test_a_class_that_only_the_test_videos_have_counts_as_not_found(tiny: TinyData, tmp_path: Path) -> None:
    plain = repeated(tiny, tmp_path / "plain")
    truth = json.loads(tiny.truth.read_text())
    truth["database"]["v03"]["annotations"].append({"segment": [4.0, 6.0], "label": "swim"})
    tiny.truth.write_text(json.dumps(truth))
    found = repeated(tiny, tmp_path / "more")
    assert found.runs[0].instances == plain.runs[0].instances + 1
    assert found.mean == pytest.approx(plain.mean * 2 / 3)


def test_measuring_on_videos_that_are_trained_on_is_refused(tiny: TinyData, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="9 of its videos are trained on"):
        repeated(tiny, tmp_path / "runs", test_subset="training")


def test_measuring_on_the_videos_that_choose_the_epoch_is_refused(tiny: TinyData, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="3 of its videos"):
        repeated(tiny, tmp_path / "runs", validation_subset="validation")


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "..", "", "a/b"])
def test_a_fold_whose_name_leads_to_another_folder_is_refused(name: str, tiny: TinyData, tmp_path: Path) -> None:
    splits = tmp_path / "splits.json"
    splits.write_text(json.dumps({"f0": {}, name: {}}))
    with pytest.raises(DataError, match=r"splits\.json: split '.*' cannot be the name of a file or folder; rename it"):
        read_folds(str(splits), str(tiny.truth))


def test_a_file_of_folds_that_holds_no_splits_is_refused(tiny: TinyData, tmp_path: Path) -> None:
    wrong = tmp_path / "splits.json"
    wrong.write_text("[1]")
    with pytest.raises(DataError, match="expected splits"):
        read_folds(str(wrong), str(tiny.truth))
    with pytest.raises(DataError, match="no such file"):
        read_folds(str(tmp_path / "absent.json"), str(tiny.truth))


def subsets_of(tiny: TinyData, folder: Path, parts: dict[str, list[str]], **wishes: Any) -> tuple[list[str], Listener]:
    """On which subset a preset for THUMOS14 trains and is measured with these folds, and what was said."""
    splits, listener = folder / "splits.json", Listener()
    splits.write_text(json.dumps({"f0": parts}))
    summary = train(
        tiny.features,
        tiny.truth,
        model="tsa-tal",
        preset="thumos14",
        folds=splits,
        set_=["training.epochs=1", "model.width=32", "model.groups=8", "sampling.length=16", "sampling.train_stride=8"],
        output=folder / "runs",
        reporter=listener,
        **wishes,
    )
    assert isinstance(summary, CrossValidation)
    trained_on = next(
        each.split(" videos to train on")[0].split(", ")[-1] for each in listener.heard if "to train" in each
    )
    return [trained_on, summary.subset], listener


def test_the_training_subset_of_a_split_wins_over_that_of_the_presets_data_set(tiny: TinyData, tmp_path: Path) -> None:
    ids = [f"v{number:02}" for number in range(12)]
    ours = {"training": ids[:8], "validation": ids[8:]}
    found, listener = subsets_of(tiny, tmp_path, ours)
    assert found == ["8", "validation"]
    assert sum("--subset validation would take that" in each for each in listener.heard) == 1
    found, listener = subsets_of(tiny, tmp_path, ours, subset="validation", test_subset="training")
    assert found == ["4", "training"]
    assert not any("would take that" in each for each in listener.heard)


def test_the_subsets_of_the_data_set_are_taken_where_the_split_has_no_training_subset(
    tiny: TinyData, tmp_path: Path
) -> None:
    ids = [f"v{number:02}" for number in range(12)]
    found, listener = subsets_of(tiny, tmp_path, {"validation": ids[:8], "testing": ids[8:]})
    assert found == ["8", "testing"]
    assert not any("would take that" in each for each in listener.heard)


def test_training_on_validation_beside_training_videos_is_told(tiny: TinyData, tmp_path: Path) -> None:
    truth = json.loads(tiny.truth.read_text())
    for number, entry in enumerate(truth["database"].values()):
        entry["subset"] = "training" if number % 2 else "validation"
    tiny.truth.write_text(json.dumps(truth))
    listener = Listener()
    small = ["training.epochs=1", "model.width=32", "model.groups=8", "sampling.length=16", "sampling.train_stride=8"]
    words = {"model": "tsa-tal", "preset": "thumos14", "set_": small, "output": tmp_path / "x.safetensors"}
    train(tiny.features, tiny.truth, reporter=listener, **words)  # type: ignore[arg-type]
    assert sum("--subset training would take those" in each for each in listener.heard) == 1
