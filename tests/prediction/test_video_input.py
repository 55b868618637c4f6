"""Videos straight to proposals: as extract and predict one after the other, and refused where features do not fit."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from extraction.short_videos import write_video
from safetensors.torch import save_file
from training_runs import Listener

from taltool.data.checkpoint_header import read_checkpoint_header
from taltool.data.hdf5_features import FeatureFile
from taltool.data.memory_features import MemoryFeatures
from taltool.errors import DataError, PartialFailure, UsageError
from taltool.evaluation.evaluate import evaluate
from taltool.experiment.checkpoint import load_checkpoint, save_checkpoint
from taltool.extraction.extract import extract
from taltool.extraction.settings import ExtractionSettings
from taltool.postprocessing.nms import nms
from taltool.prediction.compatibility import record_of_streams
from taltool.prediction.predict import predict
from taltool.training.train import train

SETTINGS = {"stride": 8, "set_": ["backbone.short_side=48", "backbone.grids=[1, 2]"]}
LENGTHS = {"a": 120, "b/c": 60, "b/d": 200, "e": 30, "f": 90}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos, their features, a ground truth of three of them, and two models trained on these three."""
    folder = tmp_path_factory.mktemp("videos")
    for seed, (video_id, length) in enumerate(LENGTHS.items()):
        write_video(folder / "videos" / f"{video_id}.mp4", length, seed)
    extract(folder / "videos", output=folder / "feats.h5", jobs=1, **SETTINGS)  # type: ignore[arg-type]
    database = {
        video_id: {
            "duration": length / 25,
            "subset": subset,
            "annotations": [{"segment": [length / 100, length / 50], "label": label}],
        }
        for (video_id, length), subset, label in zip(
            LENGTHS.items(), ["training", "training", "training", "validation", "validation"], "xyxyx", strict=True
        )
    }
    (folder / "gt.json").write_text(json.dumps({"database": database}))
    for model, select in (("tsa-tal", "last"), ("afsd", "loss")):
        train(
            folder / "feats.h5",
            folder / "gt.json",
            model=model,
            output=folder / f"{model}.safetensors",
            set_=["training.epochs=1", "prediction.min_score=0"],
            select=select,
            validation_subset="validation" if select == "loss" else None,
        )
    return folder


@pytest.fixture
def run(folder: Path, tmp_path: Path) -> Callable[..., bytes]:
    """`predict` of the videos, or of what else is named, to the bytes that it writes."""

    def run(*inputs: Any, **options: Any) -> bytes:
        output = tmp_path / "p.jsonl"
        options = {"model": folder / "tsa-tal.safetensors", "jobs": 1, "provenance": False} | options
        predict(*(inputs or (folder / "videos",)), output=output, **options)
        return output.read_bytes()

    return run


@pytest.mark.slow
@pytest.mark.parametrize("model", ["tsa-tal", "afsd"])
@pytest.mark.parametrize("jobs", [1, 2])
def test_videos_give_what_their_features_give(folder: Path, run: Callable[..., bytes], model: str, jobs: int) -> None:
    of = partial(run, model=folder / f"{model}.safetensors")
    expected = of(folder / "feats.h5")
    assert expected.count(b"\n") == len(LENGTHS) + 2
    assert max(len(json.loads(line).get("scores", ())) for line in expected.splitlines()) > 10
    assert of(jobs=jobs) == expected


def test_files_lists_and_patterns_are_mixed(folder: Path, run: Callable[..., bytes], tmp_path: Path) -> None:
    videos = folder / "videos"
    (tmp_path / "list.txt").write_text(f"{videos / 'e.mp4'}\n")
    found = run(videos / "a.mp4", tmp_path / "list.txt", videos / "**" / "d.mp4")
    assert [json.loads(line)["video_id"] for line in found.splitlines()[1:-1]] == ["a", "b/d", "e"]


def test_what_is_found_in_a_video_depends_on_no_other(folder: Path, run: Callable[..., bytes]) -> None:
    whole = run(folder / "feats.h5").splitlines()
    for options in ({"subset": "validation", "ground_truth": folder / "gt.json"}, {"shard": "2/2"}):
        for given in (folder / "feats.h5", folder / "videos"):
            part = run(given, **options).splitlines()
            assert 3 <= len(part) < len(whole)
            assert set(part[1:-1]) < set(whole)


def test_features_are_forgotten_once_they_were_seen(run: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    most, add = [0], MemoryFeatures.add

    def counting(self: MemoryFeatures, video: Any) -> None:
        add(self, video)
        most[0] = max(most[0], len(self._videos))

    monkeypatch.setattr(MemoryFeatures, "add", counting)
    run()
    assert most == [1]


def test_a_video_that_breaks_is_named_and_the_others_are_written(
    folder: Path, run: Callable[..., bytes], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes((folder / "videos" / "a.mp4").read_bytes()[:300])
    listener = Listener()
    with pytest.raises(PartialFailure, match="1 of 6 videos failed: broken; the others are written"):
        run(folder / "videos", broken, reporter=listener)
    ids = [json.loads(line)["video_id"] for line in (tmp_path / "p.jsonl").read_bytes().splitlines()[1:-1]]
    assert ids == list(LENGTHS)
    assert any(f"video 'broken' ({broken}):" in heard for heard in listener.heard)
    with pytest.raises(DataError, match="no video could be predicted"):
        run(broken)


@pytest.mark.slow
def test_nms_is_that_of_the_model(folder: Path, run: Callable[..., bytes], tmp_path: Path) -> None:
    run()
    settings = load_checkpoint(str(folder / "tsa-tal.safetensors")).experiment.nms
    nms(
        tmp_path / "p.jsonl",
        output=tmp_path / "n.jsonl",
        method=settings.method.value,
        sigma=settings.sigma,
        min_score=settings.min_score,
        voting=settings.voting,
        top_k=5,
        provenance=False,
    )
    assert settings.sigma is not None
    expected, found = (
        [json.loads(line) for line in text.splitlines()[1:]]
        for text in ((tmp_path / "n.jsonl").read_bytes(), run(nms=True, top_k=5))
    )
    # Sums of voting begin elsewhere where other videos stand before one.
    for ours, theirs in zip(found, expected, strict=True):
        assert np.array(ours.pop("segments", [])) == pytest.approx(np.array(theirs.pop("segments", [])), abs=1e-12)
        assert ours == theirs
    assert len(expected[0]["scores"]) == 5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"stride": 4}, "stride 4 instead of 8"),
        ({"set_": ["backbone.short_side=64", "backbone.grids=[1, 2]"]}, "config.short_side 64 instead of 48"),
        ({"fps": 12.5}, "fps 12.5 instead of none"),
    ],
)
def test_features_cut_otherwise_are_refused_with_both_sides(
    folder: Path, run: Callable[..., bytes], tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    other = tmp_path / "other.h5"
    extract(folder / "videos" / "a.mp4", output=other, jobs=1, **SETTINGS | options)
    message = rf"other\.h5 has other features than .*tsa-tal\.safetensors was trained on: {said}; .*--force"
    with pytest.raises(DataError, match=message):
        run(other)
    listener = Listener()
    assert run(other, force=True, reporter=listener).count(b"\n") == 3
    assert any(said in heard for heard in listener.heard)


def test_other_weights_and_another_backbone_are_refused(
    folder: Path, run: Callable[..., bytes], tmp_path: Path
) -> None:
    other = tmp_path / "other.h5"
    extract(folder / "videos" / "e.mp4", output=other, jobs=1, **SETTINGS)  # type: ignore[arg-type]
    made = json.loads(h5py.File(other)["/"].attrs["settings"])
    networks = made | {"backbone": "tsn", "config": {}, "streams": ["rgb"], "weights": ["sha256:" + "0" * 64]}
    checkpoint = with_header(folder / "tsa-tal.safetensors", tmp_path / "tsn.safetensors", extraction=networks)
    with pytest.raises(DataError, match="trained on: backbone hog3d instead of tsn; extract"):
        run(other, model=checkpoint)
    with h5py.File(other, "r+") as file:
        file.attrs["settings"] = json.dumps(networks | {"weights": ["sha256:" + "1" * 64]})
    with pytest.raises(DataError, match=r"weights\.rgb sha256:1+\.\.\. instead of sha256:0+\.\.\."):
        run(other, model=checkpoint)
    with pytest.raises(UsageError, match=r"made with weights sha256:0+ \(rgb\); name their file: --weights FILE"):
        run(model=checkpoint)


def test_number_types_and_the_first_frame_may_differ(folder: Path, run: Callable[..., bytes], tmp_path: Path) -> None:
    other = tmp_path / "other.h5"
    extract(folder / "videos" / "a.mp4", output=other, jobs=1, dtype="float16", offset=4, **SETTINGS)  # type: ignore[arg-type]
    listener = Listener()
    run(other, reporter=listener)
    assert not any("other" in heard for heard in listener.heard)


def with_header(checkpoint: Path, output: Path, **changes: Any) -> Path:
    """A copy of a checkpoint with another header."""
    loaded = load_checkpoint(str(checkpoint))
    save_checkpoint(output, loaded.model.state_dict(), replace(loaded.header, **changes), loaded.statistics)
    return output


def test_what_cannot_be_compared_is_told_once(folder: Path, run: Callable[..., bytes], tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.h5"
    with h5py.File(folder / "feats.h5") as ours, h5py.File(foreign, "w") as theirs:
        ours.copy("a", theirs)
    silent = with_header(folder / "tsa-tal.safetensors", tmp_path / "silent.safetensors", extraction={})
    for given, model, culprit in (
        (foreign, folder / "tsa-tal.safetensors", foreign),
        (folder / "feats.h5", silent, silent),
        (foreign, silent, foreign),
    ):
        listener = Listener()
        run(given, model=[model, model], reporter=listener)
        assert [f"{culprit} does not say how its features were made" in heard for heard in listener.heard] == [True]
    with pytest.raises(UsageError, match=r"silent\.safetensors does not say how the features .* were made"):
        run(model=silent)


def test_videos_of_another_pace_are_told_at_the_end(folder: Path, run: Callable[..., bytes], tmp_path: Path) -> None:
    slow = with_header(folder / "tsa-tal.safetensors", tmp_path / "m.safetensors", clock={"seconds_per_snippet": 2.0})
    listener = Listener()
    run(folder / "videos" / "a.mp4", folder / "videos" / "e.mp4", model=slow, reporter=listener)
    said = "in 2 of 2 videos snippets are 0.4 s apart, .* trained on 2 s; expect worse detections in a, e"
    assert re.search(said, listener.heard[-1])


def test_several_videos_and_one_file_of_subtitles_are_refused_before_any_work(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taltool.prediction.video_input.outcomes", None)
    with pytest.raises(UsageError, match=r"x\.vtt: several videos, .*: give -o FOLDER/"):
        predict(folder / "videos", model=folder / "tsa-tal.safetensors", output=tmp_path / "x.vtt", jobs=1)


def test_features_and_videos_are_not_mixed(folder: Path, run: Callable[..., bytes]) -> None:
    with pytest.raises(UsageError, match=r"feats\.h5 is no video, but there are videos beside it"):
        run(folder / "feats.h5", folder / "videos")
    with pytest.raises(UsageError, match=r"a second feature file; join them: taltool convert .* -o all\.h5"):
        run(folder / "feats.h5", folder / "feats.h5")
    with pytest.raises(UsageError, match="are about features, these are videos"):
        run(stride=4)
    with pytest.raises(UsageError, match="are about videos"):
        run(folder / "feats.h5", images_fps=25)


def test_a_checkpoint_tells_how_its_features_were_made_and_what_it_has_seen(folder: Path) -> None:
    with FeatureFile(str(folder / "feats.h5")) as file:
        expected = json.loads(file.attributes["settings"])
    for model, selected in (("tsa-tal", []), ("afsd", ["e", "f"])):
        header = read_checkpoint_header(str(folder / f"{model}.safetensors"))
        assert header.extraction == expected
        assert (expected["backbone"], expected["stride"], expected["config"]["short_side"]) == ("hog3d", 8, 48)
        assert header.seen == {"trained_on": ["a", "b/c", "b/d"], "selected_on": selected}


def test_proposals_tell_what_their_models_have_seen(folder: Path, run: Callable[..., bytes]) -> None:
    models = [folder / "tsa-tal.safetensors"]
    written = run(model=models, provenance=True)
    step = json.loads(written.splitlines()[0])["taltool"]["provenance"][-1]
    assert (step["trained_on"], step["selected_on"], step["videos"]) == (["a", "b/c", "b/d"], [], 5)


def test_a_number_of_training_videos_is_told(folder: Path, run: Callable[..., bytes], tmp_path: Path) -> None:
    listener = Listener()
    run(model=folder / "afsd.safetensors", provenance=True)
    counts = {}
    for subset in (None, "validation"):
        report = evaluate(
            folder / "gt.json", tmp_path / "p.jsonl", subset=subset or "training,validation", reporter=listener
        )
        seen = report.results[0].seen
        counts[subset] = (seen.trained_on, seen.selected_on)
    assert counts == {None: (3, 2), "validation": (0, 2)}
    assert "3 of 5 evaluated videos were trained on (afsd.safetensors)" in "".join(listener.heard)


def test_a_training_goes_on_from_what_its_first_weights_had_seen(folder: Path, tmp_path: Path) -> None:
    train(
        folder / "feats.h5",
        folder / "gt.json",
        model="tsa-tal",
        output=tmp_path / "more.safetensors",
        subset="validation",
        init=folder / "tsa-tal.safetensors",
        set_=["training.epochs=0", *same_network(folder)],
    )
    assert read_checkpoint_header(str(tmp_path / "more.safetensors")).seen["trained_on"] == [
        "a",
        "b/c",
        "b/d",
        "e",
        "f",
    ]


def same_network(folder: Path) -> list[str]:
    """What makes a network of the same size as that of the fixture."""
    header = read_checkpoint_header(str(folder / "tsa-tal.safetensors"))
    model = header.configuration["model"]
    return [f"model.{name}={json.dumps(value)}" for name, value in model.items()]


@pytest.mark.slow
def test_streams_that_a_network_does_not_use_are_not_computed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"set_": ["backbone.short_side=32", "backbone.crop=32"], "stride": 16, "window": 8}
    both, video = tmp_path / "both.h5", folder / "videos" / "a.mp4"
    extract(video, output=both, backbone="tsn", stream="both", weights="random", flow="dis", jobs=1, **small)
    model = tmp_path / "rgb.safetensors"
    truth = {"database": {"a": {"duration": 4.8, "annotations": [{"segment": [1, 2], "label": "x"}]}}}
    (tmp_path / "gt.json").write_text(json.dumps(truth))
    train(both, tmp_path / "gt.json", model="tsa-tal", output=model, streams="rgb", set_=["training.epochs=1"])
    outputs = [tmp_path / "h5.jsonl", tmp_path / "video.jsonl"]
    predict(both, model=model, output=outputs[0], provenance=False)
    monkeypatch.setattr("taltool.extraction.encoder.Flow", None)
    predict(video, model=model, output=outputs[1], provenance=False, jobs=1)
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_streams_that_are_not_wanted_are_left_out_of_a_record() -> None:
    snippets: dict[str, Any] = {"window": 16, "stride": 4, "fps": "own"}
    both = ExtractionSettings.of("i3d", stream="both", weights=["random"])
    for stream in ("rgb", "flow"):
        alone = ExtractionSettings.of("i3d", stream=stream, weights=["random"])  # type: ignore[arg-type]
        assert record_of_streams(json.loads(both.record()), [stream]) == json.loads(alone.record())
    for every in ([], ["rgb", "flow"], ["audio"]):
        assert record_of_streams(json.loads(both.record()), every) == json.loads(both.record())
    several = json.loads(ExtractionSettings.of("i3d,hog3d,tsn", stream="both", weights=["random"], **snippets).record())
    alone = ExtractionSettings.of("hog3d", **snippets)
    assert record_of_streams(several, ["hog3d"]) == json.loads(alone.record()) | {"precision": "float32"}
    two = ExtractionSettings.of("i3d,hog3d", stream="both", weights=["random"], **snippets)
    assert record_of_streams(several, ["hog3d", "i3d-flow"]) == json.loads(two.record())
    for every in ([], ["hog3d", "i3d-rgb", "tsn-rgb"], ["audio"]):
        assert record_of_streams(several, every) == several


@pytest.mark.parametrize("name", ["nodir/x.vtt", "nodir/x.csv", "nodir/x.jsonl"])
def test_where_nothing_can_be_written_is_told_before_any_work(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("taltool.prediction.video_input.outcomes", None)
    with pytest.raises(DataError, match="cannot write there: No such file or directory"):
        predict(folder / "videos" / "a.mp4", model=folder / "tsa-tal.safetensors", output=tmp_path / name, jobs=1)


@pytest.mark.parametrize("name", ["x.jsonl", "x.vtt", "x.json"])
def test_what_was_there_stays_where_every_video_fails(folder: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / name).write_text("before")
    with pytest.raises(DataError, match="no video could be predicted; the first: video 'empty'"):
        predict(tmp_path / "empty.mp4", model=folder / "tsa-tal.safetensors", output=tmp_path / name, jobs=1)
    assert (tmp_path / name).read_text() == "before"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"extraction": "garbage"}, "its header says extraction 'garbage'; expected a table"),
        ({"extraction": {"backbone": "hog3d"}}, "its record of the extraction does not say 'dtype'"),
        ({"stride": "x"}, "its record of the extraction says stride 'x'"),
        ({"streams": 5}, "its record of the extraction says streams 5"),
        ({"config": None}, "its record of the extraction says config None"),
        ({"seen": ["a"]}, r"its header says seen \['a'\]; expected a table"),
        ({"seen": {"trained_on": 5}}, "its header says trained_on 5; expected a list of video ids"),
        ({"later": 1}, "its header says 'later', which this version of taltool does not know"),
    ],
)
def test_a_header_that_says_nonsense_is_refused_by_name(
    folder: Path, run: Callable[..., bytes], tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    own = load_checkpoint(str(folder / "tsa-tal.safetensors"))
    text = json.loads(own.header.metadata()["taltool"])
    inside = {name: value for name, value in changes.items() if name in ("stride", "streams", "config")}
    text |= {"extraction": text["extraction"] | inside} if inside else changes
    odd = tmp_path / "odd.safetensors"
    save_file(own.model.state_dict(), odd, metadata={"taltool": json.dumps(text)})
    for given in (folder / "feats.h5", folder / "videos"):
        with pytest.raises(DataError, match=rf"odd\.safetensors: {said}"):
            run(given, model=odd)
