"""`taltool info`: the facts of every kind of file."""

from pathlib import Path

import numpy as np
import orjson
import pytest
from project import Run
from safetensors.numpy import save_file

from taltool.cli.commands.info import table
from taltool.data.checkpoint_header import CheckpointHeader
from taltool.inspection.info import info


def test_ground_truth(shared: Path) -> None:
    facts = info(str(shared / "data/thumos14_gt.json")).facts
    # The counts that the data set's page states.
    assert facts["subsets"] == {
        "testing": {"videos": 213, "instances": 3358, "classes": 20},
        "validation": {"videos": 200, "instances": 3007, "classes": 20},
    }
    assert facts["hours"] == pytest.approx(11.61 + 12.82, abs=0.01)
    assert (facts["seconds_per_instance"]["min"], facts["seconds_per_instance"]["max"]) == pytest.approx((0.2, 118.1))
    assert facts["instances_of_class"]["CliffDiving"] == 143 + 217


def test_features(shared: Path) -> None:
    facts = info(str(shared / "data/salads50/features.h5")).facts
    assert (facts["videos"], facts["channels"], facts["snippets"]) == (50, [28], 16596)
    assert facts["snippets_per_video"]["min"] == 212
    assert facts["clock"] == {"fps 30, stride 30, window 30, offset 0": "50 videos"}


def test_proposals(shared: Path) -> None:
    facts = info(str(shared / "data/peer_outputs/thumos14_scnn_nms0.4.json")).facts
    assert (facts["videos"], facts["proposals"], facts["classes"]) == (212, 24244, 20)
    assert sum(facts["proposals_of_class"].values()) == 24244


def test_quantiles_of_scores(tmp_path: Path) -> None:
    rows = "".join(f"v,0,1,{score}\n" for score in (4, 0, 1, 3, 2))
    (tmp_path / "x.csv").write_text("video_id,start,end,score\n" + rows)
    assert info(str(tmp_path / "x.csv")).facts["score"] == {"min": 0, "25%": 1, "median": 2, "75%": 3, "max": 4}


def checkpoint(folder: Path) -> Path:
    header = CheckpointHeader(
        "afsd", {"model": {"width": 3}}, ["Dive"], 28, 64, {}, {"fps": 30.0}, {"seed": 1}, [{"tool": "t"}]
    )
    tensors = {"a": np.zeros((2, 3), np.float32), "b": np.zeros(5, np.float16)}
    save_file(tensors, folder / "m.safetensors", metadata=header.metadata())
    return folder / "m.safetensors"


def test_checkpoint(tmp_path: Path) -> None:
    found = info(str(checkpoint(tmp_path)))
    facts = found.facts
    assert (found.kind, facts["model"], facts["classes"], facts["channels"]) == ("checkpoint", "afsd", ["Dive"], 28)
    assert (facts["tensors"], facts["parameters"], facts["number_types"]) == (2, 11, {"F32": 1, "F16": 1})
    assert facts["provenance"] == [{"tool": "t"}]


def test_metrics(tmp_path: Path) -> None:
    losses = [0.9, 0.4, 0.6]
    lines = [orjson.dumps({"epoch": n + 1, "validation": {"loss": loss}}) for n, loss in enumerate(losses)]
    (tmp_path / "m.metrics.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    found = info(str(tmp_path / "m.metrics.jsonl"))
    facts = found.facts
    assert (found.kind, facts["rows"], facts["last"]["epoch"], facts["best_validation_loss"]) == (
        "metrics",
        3,
        3,
        0.4,
    )


def test_one_json_object_per_line_and_file(taltool: Run, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("video_id,start,end,label\nv,1,2,a\n")
    done = taltool("info", "--format", "json", checkpoint(tmp_path), tmp_path / "x.csv")
    assert [orjson.loads(line)["kind"] for line in done.stdout.splitlines()] == ["checkpoint", "annotations"]


def test_table_shows_facts_and_the_chain_of_steps(taltool: Run) -> None:
    step = b'{"tool":"taltool","version":"9","time":"2026","command":"taltool predict x"}'
    stream = (
        b'{"taltool":{"kind":"proposals","version":1,"provenance":[' + step + b"]}}\n"
        b'{"video_id":"v","proposals":[{"segment":[1,3],"score":0.5,"label":"Dive"}]}\n{"end":{"videos":1}}\n'
    )
    assert taltool("info", stdin=stream).stdout.decode() == (
        "-: proposals\n"
        "  videos                1\n"
        "  proposals             1\n"
        "  proposals per video   min 1  25% 1  median 1  75% 1  max 1\n"
        "  classes               1\n"
        "  proposals of class    Dive 1\n"
        "  videos with duration  0\n"
        "  seconds per proposal  min 2  25% 2  median 2  75% 2  max 2\n"
        "  score                 min 0.5  25% 0.5  median 0.5  75% 0.5  max 0.5\n"
        "  provenance\n"
        "    2026  taltool 9  taltool predict x\n"
    )


def test_a_result_names_kind_and_counts(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("video_id,start,end,label\nv,1,2,a\nv,2,3,b\n")
    found = info(str(tmp_path / "x.csv"))
    assert repr(found) == f"FileInfo({tmp_path}/x.csv: annotations, videos 1, instances 2, classes 2)"


def test_long_lists_are_cut_in_the_table_only() -> None:
    lines = table({"file": "x", "kind": "k", "many": {f"class {n}": n for n in range(50)}})
    assert lines[-1].strip() == "... 20 more (--format json shows all)"
