"""TSA-TAL's 12.8 seconds, from frames to the grid and back."""

from pathlib import Path

import numpy as np
import pytest
from plugin.tiny_data import write_tiny_data
from project import PROJECT
from training_runs import Listener

from taltool.data.clock import FeatureClock
from taltool.data.hdf5_features import FeatureFile, FeatureWriter, VideoFeatures
from taltool.data.proposals import ProposalReader
from taltool.experiment.batches import read_batch
from taltool.experiment.checkpoint import load_checkpoint
from taltool.experiment.configuration import build, preset_layer
from taltool.experiment.sampling import FeatureSource, cut_samples
from taltool.experiment.settings import SamplingSettings
from taltool.extraction.extract import extract
from taltool.models.tsa_tal.config import TSATALConfig
from taltool.models.tsa_tal.model import TSATAL
from taltool.prediction.predict import predict
from taltool.training.train import train

EXTRACTION_PRESET = "tsa-tal-thumos14"
SMALL = ("model.width=16", "model.groups=2", "training.epochs=1")


def preset_sampling() -> SamplingSettings:
    return build("tsa-tal", TSATALConfig, [preset_layer("thumos14", TSATAL.presets, "tsa-tal")]).sampling


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 s at 20 frames a second."""
    import runpy

    example = runpy.run_path(str(PROJECT / "examples" / "make_videos.py"))
    noise = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("videos") / "v.mp4"
    frames = (noise.integers(0, 256, (example["HEIGHT"], example["WIDTH"]), np.uint8) for _ in range(600))
    example["write_video"](path, frames)
    return path


@pytest.mark.parametrize(
    ("words", "snippets"), [({}, 285), ({"stride": 4}, 72), ({"stride": 4, "fps": "own"}, 147)], ids=str
)
def test_a_window_lasts_as_long_as_128_frames_at_10_a_second(
    video: Path, tmp_path: Path, words: dict[str, object], snippets: int
) -> None:
    """The preset of `extract` (10 frames a second, a snippet for each), then that of `train`; and at other strides."""
    made = {"preset": EXTRACTION_PRESET, "backbone": "hog3d", "stream": "rgb", "window": 16, "jobs": 1} | words
    extract(video, output=tmp_path / "f.h5", **made)  # type: ignore[arg-type]
    sampling = preset_sampling()
    with FeatureFile(str(tmp_path / "f.h5")) as file:
        assert file.shape("v")[0] == snippets
        source = FeatureSource(file, sampling)
        samples = cut_samples("v", source.length("v"), source.clock("v"), sampling, sampling.test_stride)
        truth = np.array([[3.0, 9.7]])
        batch = read_batch(source, samples[:1], [(truth, np.array([0]))], 1)
    first, second, *_ = samples
    begin, end = (float(first.clock.seconds(grid)) for grid in (0.0, 100.0))
    assert end - begin == pytest.approx(12.8, abs=1e-9)
    assert float(second.clock.seconds(0.0)) == pytest.approx(end)  # No frame is in two windows.
    assert batch.features.shape[2] == 100
    assert batch.mask.all()
    assert first.clock.seconds(batch.targets.segments[0].double().numpy()) == pytest.approx(truth, abs=1e-4)


def test_a_checkpoint_alone_knows_how_long_windows_last(tmp_path: Path) -> None:
    """Features that say the same at all times give the same detections, however densely they lie."""
    data = write_tiny_data(tmp_path)
    train(
        data.features,
        data.truth,
        model="tsa-tal",
        preset="thumos14",
        set_=SMALL,
        subset="training",
        output=tmp_path / "m.safetensors",
    )
    assert load_checkpoint(str(tmp_path / "m.safetensors")).experiment.sampling == preset_sampling()
    found, listener = [], Listener()
    for stride in (8, 2):
        path = tmp_path / f"{stride}.h5"
        clock = FeatureClock(fps=16, stride=stride, window=stride, duration=30)
        with FeatureWriter(str(path)) as writer:
            writer.write(VideoFeatures("v", np.ones((480 // stride, 6), np.float32), clock, {}))
        predict(path, model=tmp_path / "m.safetensors", output=tmp_path / "p.jsonl", min_score=0, reporter=listener)
        with ProposalReader(str(tmp_path / "p.jsonl")) as reader:
            [proposals] = reader
        found.append(proposals)
    dense, sparse = found
    assert len(dense) == len(sparse) > 0
    np.testing.assert_allclose(dense.segments, sparse.segments, atol=1e-4)
    np.testing.assert_allclose(dense.scores, sparse.scores, atol=1e-6)
    assert not [message for message in listener.heard if "snippets are" in message]
