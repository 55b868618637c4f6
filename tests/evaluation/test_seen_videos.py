"""Numbers on videos that a model was trained on: the provenance of proposals says so, and every report repeats it."""

import json
from pathlib import Path
from typing import Any

import pytest
from project import Run

from taltool.data.convert import convert
from taltool.data.proposals import ProposalReader
from taltool.errors import DataError
from taltool.evaluation.diagnose import diagnose
from taltool.evaluation.evaluate import evaluate
from taltool.postprocessing.fuse import fuse
from taltool.postprocessing.label import label
from taltool.postprocessing.nms import nms
from taltool.reporting import Reporter

VIDEOS = [f"v{n}" for n in range(8)]


class Listener(Reporter):
    """Remembers the warnings, without the file that each begins with."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message.partition(": ")[2])


def step(model: str, **seen: Any) -> dict[str, Any]:
    """What `predict` adds to the chain of its proposals."""
    return {"tool": "taltool", "command": "taltool predict", "inputs": [{"name": "f.h5"}, {"name": model}], **seen}


def stream(path: Path, *steps: dict[str, Any], videos: list[str] = VIDEOS) -> Path:
    """A detection in each of the videos, after these steps."""
    facts = {"kind": "proposals", "version": 1, "videos": len(videos), "classes": ["run"], "provenance": steps}
    rows = [
        {"video_id": key, "duration": 9, "proposals": [{"segment": [1, 2], "score": 0.5, "label": "run"}]}
        for key in videos
    ]
    lines = [{"taltool": facts}, *rows, {"end": {"videos": len(videos)}}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """v0 to v5 are for training, v6 and v7 for validation."""
    database = {
        key: {
            "subset": "training" if n < 6 else "validation",
            "duration": 9,
            "annotations": [{"segment": [1, 2], "label": "run"}],
        }
        for n, key in enumerate(VIDEOS)
    }
    (tmp_path / "gt.json").write_text(json.dumps({"database": database}))
    return tmp_path / "gt.json"


BOTH = "training,validation"
TRAINED = step("m.safetensors", trained_on=VIDEOS[:6], selected_on=["v6"])


def test_videos_that_were_trained_on_are_counted_and_warned_of(tmp_path: Path, truth: Path) -> None:
    listener = Listener()
    path = stream(tmp_path / "p.jsonl", TRAINED)
    (found,) = evaluate(truth, path, subset=BOTH, reporter=listener).results
    assert (found.seen.trained_on, found.seen.selected_on, found.seen.videos) == (6, 1, 8)
    assert listener.warnings == [
        "6 of 8 evaluated videos were trained on (m.safetensors): their number is no test",
        "1 of 8 evaluated videos chose the epoch (m.safetensors): their number is no test",
    ]
    assert diagnose(truth, path, subset=BOTH).files[0].seen == found.seen


def test_only_videos_that_are_evaluated_count(tmp_path: Path, truth: Path) -> None:
    listener = Listener()
    path = stream(tmp_path / "p.jsonl", step("m.safetensors", trained_on=VIDEOS[:6], selected_on=[]))
    (found,) = evaluate(truth, path, reporter=listener).results
    assert (found.seen.trained_on, found.seen.selected_on) == (0, 0)
    assert not any("trained on" in each for each in listener.warnings)


def test_what_the_provenance_does_not_say_is_unknown(tmp_path: Path, truth: Path) -> None:
    (found,) = evaluate(truth, stream(tmp_path / "p.jsonl", step("m.safetensors")), subset=BOTH).results
    assert (found.seen.trained_on, found.seen.selected_on) == (None, None)


@pytest.mark.slow
def test_the_report_has_the_counts(tmp_path: Path, truth: Path, taltool: Run) -> None:
    path = stream(tmp_path / "p.jsonl", TRAINED)
    for command in ("evaluate", "diagnose"):
        done = taltool(command, truth, path, "--subset", BOTH, "--format", "json")
        assert json.loads(done.stdout)["predictions"]["seen"] == {"trained_on": 6, "selected_on": 1}
        assert b"warning: " + bytes(path) + b": 6 of 8 evaluated videos were trained on (m.safetensors)" in done.stderr
        assert b"6 of 8 evaluated videos were trained on" in taltool(command, truth, path, "--subset", BOTH).stdout
        head, row, *_ = taltool(command, truth, path, "--subset", BOTH, "--format", "csv").stdout.decode().splitlines()
        cells = dict(zip(head.split(","), row.replace('"training,validation"', "both").split(","), strict=True))
        assert (cells["trained_on"], cells["selected_on"]) == ("6", "1")


def test_it_travels_through_every_command(tmp_path: Path, truth: Path) -> None:
    place = tmp_path.joinpath
    other = step("n.safetensors", trained_on=["v5", "v7"])
    stream(place("p.jsonl"), TRAINED)
    stream(place("q.jsonl"), other)
    nms(place("p.jsonl"), output=place("kept.jsonl"))
    convert(place("kept.jsonl"), output=place("kept.json"))
    convert(place("kept.json"), output=place("again.jsonl"))
    fuse(place("again.jsonl"), place("q.jsonl"), output=place("fused.json"))
    with ProposalReader(str(place("fused.json"))) as reader:
        assert sum("trained_on" in each for each in reader.provenance) == 2
    (found,) = evaluate(truth, place("fused.json"), subset=BOTH).results
    # v0 to v5, and v7 of the other model.
    assert (found.seen.trained_on, found.seen.selected_on) == (7, 1)
    assert found.seen.models == ("m.safetensors", "n.safetensors")
    stream(place("bare.jsonl"))
    label(place("bare.jsonl"), detections=place("q.jsonl"), replace=True, output=place("labelled.jsonl"))
    assert evaluate(truth, place("labelled.jsonl"), subset=BOTH).results[0].seen.trained_on == 2


def test_streams_behind_each_other_have_seen_what_each_has(tmp_path: Path, truth: Path) -> None:
    first = stream(tmp_path / "p.jsonl", step("m.safetensors", trained_on=["v0", "v1"]), videos=VIDEOS[:4])
    second = stream(tmp_path / "q.jsonl", step("n.safetensors", trained_on=["v1", "v2"]), videos=VIDEOS[4:])
    (tmp_path / "both.jsonl").write_bytes(first.read_bytes() + second.read_bytes())
    assert evaluate(truth, tmp_path / "both.jsonl", subset=BOTH).results[0].seen.trained_on == 3


def test_weights_that_are_fitted_on_training_videos_are_warned_of(tmp_path: Path, truth: Path) -> None:
    listener = Listener()
    paths = [stream(tmp_path / "p.jsonl", TRAINED), stream(tmp_path / "q.jsonl", step("n.safetensors"))]
    fuse(*paths, fit=truth, subset=BOTH, output=tmp_path / "f.jsonl", reporter=listener)
    assert listener.warnings == [
        "6 of 8 fitted videos were trained on (m.safetensors): the weights favour what was learnt",
        "1 of 8 fitted videos chose the epoch (m.safetensors): the weights favour what was learnt",
    ]


@pytest.mark.parametrize("ids", [7, "v0", [1, 2]])
def test_a_list_of_videos_that_is_none_is_refused(tmp_path: Path, truth: Path, ids: Any) -> None:
    path = stream(tmp_path / "p.jsonl", step("m.safetensors", trained_on=ids))
    with pytest.raises(DataError, match=r"p\.jsonl: provenance: trained_on must be a list of video ids"):
        evaluate(truth, path)


def test_only_annotated_leaves_out_what_nobody_annotated(tmp_path: Path, truth: Path, taltool: Run) -> None:
    """One instance in each of v6 and v7, found; z comes first with a better score, which costs half the precision."""
    path = stream(tmp_path / "p.jsonl", videos=["v6", "v7", "y", "z"])
    path.write_text(path.read_text().replace('"z", "duration": 9, "proposals": [{"segment": [1, 2], "score": 0.5', (
        '"z", "duration": 9, "proposals": [{"segment": [1, 2], "score": 0.9'
    )))  # fmt: skip
    listener = Listener()
    usual = evaluate(truth, path, tiou=0.5, reporter=listener)
    # z, then v6, v7: precision 1/2, 2/3 at recall 1/2, 1; made non-increasing, 2/3 everywhere.
    assert usual.metrics["average_mAP"] == pytest.approx(2 / 3)
    assert listener.warnings == [
        "counted as false positives: 2 detections in 2 videos that the ground truth does not have "
        "(--only-annotated leaves them out)"
    ]
    done = taltool("evaluate", truth, path, "--tiou", "0.5", "--only-annotated", "--format", "json")
    found = json.loads(done.stdout)
    assert (found["metrics"]["average_mAP"], found["only_annotated"]) == (1.0, True)
    assert found["predictions"]["left_out"] == {"unknown_videos": {"videos": 2, "detections": 2}}
    assert b"left out: 2 detections of unknown videos (2 videos)" in done.stderr
    assert diagnose(truth, path, only_annotated=True).files[0].average_map == 1.0
