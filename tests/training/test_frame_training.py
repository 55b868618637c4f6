"""Trainings on frames: they learn, end with the same bytes however they are run, and tell what they cost."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from plugin.tiny_data import TinyData, write_tiny_frames
from project import PROJECT, Run
from training_runs import PLUGIN, Listener, MakeTrainer, killed_after

from taltool.data.hdf5_features import FeatureFile
from taltool.data.proposals import ProposalReader
from taltool.errors import DataError, UsageError
from taltool.experiment.checkpoint import load_checkpoint, model_weights
from taltool.experiment.sampling import ChannelStatistics
from taltool.experiment.settings import PredictionSettings
from taltool.models.contract import Batch
from taltool.prediction.detector import make_detector
from taltool.prediction.predict import predict
from taltool.training.cross_validation import CrossValidation
from taltool.training.train import train

ENVIRONMENT = {"PYTHONPATH": os.pathsep.join([str(PROJECT), str(PLUGIN)]), "OMP_NUM_THREADS": "1"}
SHORT = ("epochs=3", "batch_size=3", "jitter=3.0", "select=last", "body_rate=0.1")


@pytest.mark.slow
def test_the_command_learns_from_a_frame_store_and_predicts_on_it(taltool: Run, tmp_path: Path) -> None:
    data = write_tiny_frames(tmp_path)
    words = ["-m", "tiny-frames", data.features, data.truth, "-o", tmp_path / "m.safetensors", "--set", "epochs=12"]
    trained = taltool("train", *words, env=ENVIRONMENT)
    assert trained.returncode == 0, trained.stderr
    log = [json.loads(line) for line in (tmp_path / "m.metrics.jsonl").read_text().splitlines()]
    assert sum(log[-1]["losses"].values()) < 0.5 * sum(log[0]["losses"].values())
    assert log[-1]["frames_per_second"] == pytest.approx(16 * log[-1]["samples_per_second"], rel=0.01)
    assert b" frames/s, at most " in trained.stderr

    predict = ["predict", "-m", tmp_path / "m.safetensors", data.features, "--ground-truth", data.truth, "--nms"]
    found = taltool(*predict, "--subset", "validation", env=ENVIRONMENT)
    assert found.returncode == 0, found.stderr
    scored = taltool("evaluate", data.truth, "-", "--format", "json", "--tiou", "0.5", stdin=found.stdout)
    assert json.loads(scored.stdout)["metrics"]["mAP@0.50"] > 0.5


def test_rgb_and_flow_networks_of_one_store_are_averaged(
    frame_trainer: MakeTrainer, tiny_frames: TinyData, tmp_path: Path
) -> None:
    models = [tmp_path / f"{stream}.safetensors" for stream in ("rgb", "flow")]
    for model in models:
        frame_trainer("epochs=1", "dropout=0.0", f"sampling.streams={model.stem}", output=str(model)).run()
    assert [model_weights(model)["body.weight"].shape[1] for model in models] == [12, 8]  # Of four quarters each.
    scores = []
    for name, chosen in (("rgb", models[:1]), ("flow", models[1:]), ("both", models)):
        predict(tiny_frames.features, model=chosen, output=tmp_path / f"{name}.jsonl", top_k=0, min_score=0.0)
        with ProposalReader(str(tmp_path / f"{name}.jsonl")) as proposals:
            scores.append(np.concatenate([np.sort(each.scores) for each in proposals]))
    rgb, flow, both = scores
    assert len(rgb) == len(both)
    assert not np.allclose(rgb, both)
    assert not np.allclose(flow, both)


def test_runs_with_several_seeds_are_measured_on_frames(tiny_frames: TinyData, tmp_path: Path) -> None:
    summary = train(
        tiny_frames.features,
        tiny_frames.truth,
        model="tiny-frames",
        output=tmp_path / "runs",
        set_=["epochs=10"],
        seeds=2,
        test_subset="validation",
    )
    assert isinstance(summary, CrossValidation)
    assert [run.videos for run in summary.runs] == [2, 2]
    assert summary.mean > 0.2


@pytest.mark.slow
def test_it_does_not_matter_who_makes_the_batches_or_that_a_run_was_killed(
    frame_trainer: MakeTrainer, tmp_path: Path
) -> None:
    ends = []
    for workers in (0, 1, 2):
        frame_trainer(*SHORT, output=str(tmp_path / f"{workers}.safetensors"), workers=workers).run()
        ends.append((tmp_path / f"{workers}.safetensors").read_bytes())
    wishes = {"output": str(tmp_path / "cut.safetensors"), "save_seconds": 0.0, "cache_bytes": 0}
    killed_after(frame_trainer(*SHORT, **wishes), 5)
    frame_trainer(*SHORT, **wishes).run(resume=True)
    assert {*ends, (tmp_path / "cut.safetensors").read_bytes()} == {ends[0]}


@pytest.mark.slow
def test_what_is_drawn_of_a_sample_depends_on_seed_epoch_and_place_alone(frame_trainer: MakeTrainer) -> None:
    def samples(batches: list[Batch]) -> list[bytes]:
        return [each.numpy().tobytes() for batch in batches for each in batch.features]

    one, three = (frame_trainer(f"batch_size={size}", "jitter=3.0").loader for size in (1, 3))
    shared = frame_trainer("batch_size=3", "jitter=3.0", workers=1, cache_bytes=1000).loader
    first = samples(list(one.batches(0)))
    made_elsewhere = list(shared.batches(0))
    shared.close()
    assert first == samples(list(three.batches(0))) == samples(made_elsewhere)
    features = made_elsewhere[0].features
    assert (features.dtype, features.is_shared(), features.shape) == (torch.uint8, True, (3, 5, 16, 24, 24))
    assert first == samples(list(one.batches(0)))
    assert first != samples(list(one.batches(1)))
    assert first != samples(list(frame_trainer("batch_size=1", "jitter=3.0", seed=1).loader.batches(0)))


def test_parts_of_a_batch_learn_what_the_batch_does(frame_trainer: MakeTrainer, tmp_path: Path) -> None:
    weights = []
    for parts in (1, 2):
        output = tmp_path / f"{parts}.safetensors"
        frame_trainer("epochs=2", "batch_size=4", "dropout=0.0", f"accumulation={parts}", output=str(output)).run()
        weights.append(model_weights(output))
    assert all(torch.allclose(weights[0][name], weights[1][name], atol=1e-5) for name in weights[0])


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_learns_too(frame_trainer: MakeTrainer, tmp_path: Path, precision: str) -> None:
    frame_trainer(f"precision={precision}", "epochs=20").run()
    log = [json.loads(line) for line in (tmp_path / "tiny.metrics.jsonl").read_text().splitlines()]
    assert sum(log[-1]["losses"].values()) < 0.6 * sum(log[0]["losses"].values())


def test_frames_are_never_read_for_statistics(frame_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ChannelStatistics, "measure", None)
    frame_trainer(*SHORT)
    with pytest.raises(UsageError, match=r"sampling.normalize = channel with a model that learns from frames"):
        frame_trainer("normalize=channel")


def test_cost_is_told_of_frames_only(frame_trainer: MakeTrainer, trainer: MakeTrainer, tmp_path: Path) -> None:
    for make, told in ((frame_trainer, True), (trainer, False)):
        listener = Listener()
        make("epochs=1", reporter=listener).run()
        (record,) = map(json.loads, (tmp_path / "tiny.metrics.jsonl").read_text().splitlines())
        assert ("frames_per_second" in record, "peak_memory_gib" in record) == (told, told)
        assert ("frames/s" in listener.told[-1], "frames/s, at most" in listener.heard[-1]) == (told, told)
        if told:
            assert record["peak_memory_gib"] > 0.05  # Python and torch alone hold more.


def test_features_for_a_model_of_frames_are_refused_with_the_mend(
    frame_trainer: MakeTrainer, trainer: MakeTrainer, tiny: TinyData, tmp_path: Path
) -> None:
    mend = r"make a file of them \(taltool extract --backbone frames\), or --set model.input=features"
    with pytest.raises(UsageError, match=rf"'v\d\d' has features, and this tiny-frames learns from frames: {mend}"):
        trainer(model="tiny-frames")
    frame_trainer("epochs=1").run()
    with pytest.raises(
        UsageError, match=r"has features, and .*tiny.safetensors learns from frames: extract as for its"
    ):
        predict(tiny.features, model=tmp_path / "tiny.safetensors", output=tmp_path / "x.jsonl")


def test_frames_for_a_model_of_features_are_refused_with_the_mend(
    frame_trainer: MakeTrainer, trainer: MakeTrainer, tiny_frames: TinyData, tmp_path: Path
) -> None:
    mend = r"give it features \(taltool extract --backbone NAME\)"
    with pytest.raises(UsageError, match=rf"'v\d\d' has frames, and this tiny learns from features: {mend}$"):
        frame_trainer(model="tiny")
    with pytest.raises(
        UsageError, match=rf"this tiny-frames learns from features: {mend}, or --set model.input=frames"
    ):
        frame_trainer("model.input=features")
    trainer("epochs=1").run()
    with pytest.raises(
        UsageError, match=r"has frames, and .*tiny.safetensors learns from features: extract as for its"
    ):
        predict(tiny_frames.features, model=tmp_path / "tiny.safetensors", output=tmp_path / "x.jsonl")


def test_clips_go_one_by_one_where_nothing_is_said(
    frame_trainer: MakeTrainer, trainer: MakeTrainer, tiny_frames: TinyData, tiny: TinyData, tmp_path: Path
) -> None:
    for make, data, expected in ((frame_trainer, tiny_frames, 1), (trainer, tiny, 8)):
        run = make("epochs=1", "select=map")
        assert run.validation is not None
        assert run.validation.at_a_time_for_map == (8 if expected == 8 else run.settings.batch_size)
        run.run()
        with FeatureFile(str(data.features)) as file:
            checkpoint = load_checkpoint(str(tmp_path / "tiny.safetensors"))
            detector = make_detector([checkpoint], file, PredictionSettings(), "cpu", 0)
            assert detector.usual_batch_size == expected


def test_pictures_smaller_than_the_crop_are_refused_before_training(frame_trainer: MakeTrainer) -> None:
    with pytest.raises(DataError, match=r"frames of 32 x 32, and the model sees squares of 33"):
        frame_trainer("crop=33")


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(frame_trainer: MakeTrainer, tiny_frames: TinyData, tmp_path: Path) -> None:
    settings = ("batch_size=5", "epochs=3", "dropout=0.0", "select=last", "jitter=2.0")
    frame_trainer(*settings).run()
    output = tmp_path / "both.safetensors"
    files = [str(tiny_frames.features), str(tiny_frames.truth), "-o", str(output)]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launcher, "-m", "taltool", "train", "-m", "tiny-frames", *files, *(f"--set={each}" for each in settings)],
        env=os.environ | ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("frames/s, at most") == 1
    alone, together = model_weights(tmp_path / "tiny.safetensors"), model_weights(output)
    assert all(torch.allclose(alone[name], together[name], rtol=0, atol=1e-5) for name in alone)


def test_a_body_of_its_own_rate_moves_by_it_and_a_frozen_one_stays(frame_trainer: MakeTrainer) -> None:
    moved = {}
    for rate in (1.0, 0.1, 0.0):
        run = frame_trainer("epochs=1", "optimizer=sgd", "clip_norm=0.0", "warmup_epochs=0", f"body_rate={rate}")
        before = run.model.body.weight.detach().clone()  # type: ignore[union-attr, operator]
        work = [(next(run.loader.batches(0)), run.loader.partition.micro_batches(run.loader.places(0))[0])]
        torch.manual_seed(0)
        run.updater.update(work, 0, 0.1)
        moved[rate] = (run.model.body.weight.detach() - before).numpy()  # type: ignore[union-attr, operator]
    assert np.abs(moved[1.0]).max() > 1e-5
    np.testing.assert_allclose(moved[0.1], 0.1 * moved[1.0], rtol=1e-3, atol=1e-7)
    assert not moved[0.0].any()
