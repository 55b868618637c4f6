"""`nms`, `label` and `fuse` as a Python user calls them: what they return, and what they refuse before they write."""

import inspect
import json
from pathlib import Path

import numpy as np
import pytest

from taltool.cli.commands import fuse as fuse_command
from taltool.cli.commands import label as label_command
from taltool.cli.commands import nms as nms_command
from taltool.data.proposals import ProposalReader
from taltool.data.records import LabelVocabulary, VideoProposals
from taltool.errors import DataError, UsageError
from taltool.ops.nms_settings import PRESETS, Method, Suppression, resolve
from taltool.postprocessing.fuse import fuse
from taltool.postprocessing.label import label, labelled
from taltool.postprocessing.nms import nms, suppress_stream

STAGES = {nms: nms_command.nms, label: label_command.label, fuse: fuse_command.fuse}
# Options that only concern what is printed.
PRINTED = {"list_presets"}


def written(path: Path, *videos: tuple[str, list[list[object]]]) -> str:
    """A file of videos of (start, end, score, label or None)."""
    lines = []
    for video_id, rows in videos:
        proposals = [
            {"segment": [start, end], "score": score} | ({} if name is None else {"label": name})
            for start, end, score, name in rows
        ]
        lines.append(json.dumps({"video_id": video_id, "duration": 60.0, "proposals": proposals}))
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def scores(path: Path) -> dict[str, list[float]]:
    with ProposalReader(str(path)) as reader:
        return {video.video_id: video.scores.tolist() for video in reader}


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    first = [[0, 10, 0.9, "Run"], [0, 10, 0.8, "Run"], [20, 30, 0.7, "Jump"]]
    second = [[0, 10, 0.6, "Run"]]
    return written(tmp_path / "a", ("v", first), ("w", [])), written(tmp_path / "b", ("v", second))


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_has_its_commands_options_and_defaults(stage):
    command = inspect.signature(STAGES[stage]).parameters
    own = inspect.signature(stage).parameters
    assert list(own) == [name for name in command if name not in PRINTED]
    for name, parameter in own.items():
        operand, talk = name == "proposals", name == "reporter"
        assert (parameter.kind is inspect.Parameter.KEYWORD_ONLY) != operand
        assert talk or parameter.default == command[name].default


def test_nms_says_what_it_read_and_kept(files, tmp_path):
    done = nms(files[0], output=str(tmp_path / "out"), method="hard", top_k=1)
    assert (done.videos, done.proposals, done.kept) == (2, 3, 1)
    assert done.settings == Suppression(Method.hard, top_k=1)
    assert repr(done) == f"Suppressed(2 videos: 3 proposals -> 1 kept, {tmp_path / 'out'})"
    assert scores(tmp_path / "out") == {"v": [0.9], "w": []}


def test_label_says_what_it_made_and_left_out(files, tmp_path):
    bare = written(tmp_path / "p", ("v", [[0, 10, 0.5, None], [40, 50, 0.4, None]]), ("x", [[0, 1, 0.5, None]]))
    done = label(bare, output=str(tmp_path / "out"), detections=files[0], skip_missing=True, vote="best")
    assert (done.videos, done.proposals, done.detections, done.missing, done.unlabelled) == (2, 3, 1, 1, 1)
    assert repr(done).startswith("Labelled(2 videos: 3 proposals -> 1 detections, 1 videos missing, 1 proposals un")
    assert scores(tmp_path / "out") == {"v": [pytest.approx(0.45)], "x": []}


def test_fuse_says_what_it_fused_and_takes_weights_as_numbers_or_text(files, tmp_path):
    done = fuse(*files, output=str(tmp_path / "out"), weights=(1, 0.5), suppress=False, top_k=2)
    assert (done.videos, done.proposals, done.kept, done.missing) == (2, 4, 2, (0, 1))
    assert [source.weight for source in done.settings.sources] == [1, 0.5]
    assert done.average_map is None
    assert repr(done).startswith("Fused(2 videos: 4 proposals -> 2 kept, union with weights 1, 0.5, ")
    fuse(*files, output=str(tmp_path / "text"), weights="1,0.5", suppress=False, top_k=2)
    assert scores(tmp_path / "text") == scores(tmp_path / "out") == {"v": [0.9, 0.8], "w": []}


def test_fuse_returns_what_was_fitted(files, tmp_path):
    truth = {"duration": 60.0, "subset": "s", "annotations": [{"segment": [0, 10], "label": "Run"}]}
    (tmp_path / "gt.json").write_text(json.dumps({"database": {"v": truth}}))
    done = fuse(
        *files,
        output=str(tmp_path / "out"),
        fit=str(tmp_path / "gt.json"),
        map_tiou=[0.5],
        save_fit=str(tmp_path / "f"),
    )
    assert done.average_map == pytest.approx(1.0)
    assert "fitted to average mAP 1.00000" in repr(done)
    again = fuse(*files, output=str(tmp_path / "again"), weights=str(tmp_path / "f"))
    assert again.settings.sources == done.settings.sources
    assert scores(tmp_path / "again") == scores(tmp_path / "out")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda file, out: nms(file, output=out, method="soft"),
            "--method soft: no such choice .there are: hard, soft-linear",
        ),
        (lambda file, out: nms(file, output=out, method="hard", sigma=1.0), "--sigma belongs to"),
        (lambda file, out: nms(file, output=out, preset="nowhere"), "no such preset"),
        (lambda file, out: label(file, output=out), "one of both"),
        (lambda file, out: label(file, output=out, detections=file, top_k=0), "--top-k 0: expected at least 1"),
        (lambda file, out: label(file, output=out, detections=file, weight=1.5), "--weight 1.5: expected a number"),
        (lambda file, out: label(file, output=out, detections=file, combine="sum"), "--combine sum: no such choice"),
        (
            lambda file, out: label(file, output=out, detections=file, replace=True, keep_labels=True),
            "--keep-labels and --replace: labels stay, or give way",
        ),
        (lambda file, out: fuse(file, output=out), "at least two"),
        (lambda file, out: fuse(file, file, output=out, method="all"), "--method all: no such choice"),
        (lambda file, out: fuse(file, file, output=out, top_k=-1), "--top-k -1: expected 0 or more"),
        (lambda file, out: fuse(file, file, output=out, weights=[1, 0]), "expected positive numbers"),
        (lambda file, out: fuse(file, file, output=out, fit=file, map_tiou=[2.0]), "--map-tiou 2.0"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_written(call, said, files, tmp_path):
    with pytest.raises(UsageError, match=said):
        call(files[0], str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_options_win_over_a_preset_and_a_limit_of_0_takes_its_limit_away():
    assert resolve("afsd-thumos14", sigma=None) == PRESETS["afsd-thumos14"].settings
    assert resolve("afsd-thumos14", sigma=0.7, top_k_per_class=0).top_k_per_class is None
    assert resolve("afsd-thumos14", sigma=0.7).sigma == 0.7
    other = resolve("bmn-activitynet13", method=Method.hard)
    assert (other.method, other.tiou, other.tiou_wide, other.sigma, other.top_k) == (Method.hard, None, None, None, 100)


def test_videos_in_memory_are_suppressed_whatever_their_vocabularies():
    """Equal scores come in the order of the names, though "b" is number 0 in one vocabulary and 1 in the other."""
    segments, equal = np.array([[0.0, 10.0], [0.0, 10.0]]), np.array([0.5, 0.5])
    videos = [
        VideoProposals("v", segments, equal, np.array([0, 1]), LabelVocabulary(["b", "a"])),
        VideoProposals("w", segments, equal, np.array([0, 1]), LabelVocabulary(["a", "b"])),
        VideoProposals("x", segments, equal),
    ]
    for jobs in (1, 2):
        kept = list(suppress_stream(videos, Suppression(Method.hard), jobs))
        assert [video.video_id for video in kept] == ["v", "w", "x"]
        names = [None if video.labels is None else [video.names.names[n] for n in video.labels] for video in kept]
        assert names == [["a", "b"], ["a", "b"], None]


def test_a_fault_in_memory_names_the_video():
    good, bad = (
        VideoProposals(name, np.array([[0.0, 1.0]]), np.array([score])) for name, score in (("v", 1), ("w", -1))
    )
    with pytest.raises(DataError, match=r"^video 'w': score -1\.0 is negative, and soft-gaussian would raise it"):
        list(suppress_stream([good, bad], Suppression()))
    with pytest.raises(DataError, match=r"^video 'v' has no duration"):
        list(suppress_stream([good, bad], Suppression(Method.soft_width)))


def test_a_proposal_in_memory_becomes_detections_of_its_best_classes():
    video = VideoProposals("v", np.array([[0.0, 10.0]]), np.array([0.5]))
    found = labelled(video, np.array([[0.2, 0.0, 0.6]]), LabelVocabulary(["a", "b", "c"]), top_k=3)
    assert (found.labels.tolist(), found.scores.tolist()) == ([2, 0], [0.3, 0.1])


def test_proposals_that_become_equal_are_one_detection_the_best():
    """Three of one place, of two classes of their own, and one of another place, get the classes of the video."""
    segments = np.array([[0.0, 10.0], [5.0, 9.0], [0.0, 10.0], [0.0, 10.0]])
    own = LabelVocabulary(["Run", "Jump"])
    video = VideoProposals("v", segments, np.array([0.5, 0.25, 1.0, 0.75]), np.array([0, 0, 1, 0]), own)
    found = labelled(video, np.tile([0.5, 0.0, 0.25], (4, 1)), LabelVocabulary(["a", "b", "c"]), top_k=2)
    assert found.segments.tolist() == [[0, 10], [0, 10], [5, 9], [5, 9]]
    assert (found.labels.tolist(), found.scores.tolist()) == ([0, 2, 0, 2], [0.5, 0.25, 0.125, 0.0625])
