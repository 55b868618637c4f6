"""A checkpoint as the code of MGNet's authors saves it, through `train --init` and `predict`: their proposals."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from golden_weights import drawn_weights, golden_answers
from project import Run
from torch import Tensor

from taltool.data.clock import FeatureClock
from taltool.data.hdf5_features import FeatureWriter, VideoFeatures

LENGTH, SECONDS = 100, 250.0
Weights = dict[str, Tensor]


@pytest.fixture(scope="module")
def authors() -> Weights:
    return drawn_weights("mgnet_authors_keys.json")


@pytest.fixture
def data(tmp_path: Path) -> tuple[Path, Path]:
    """The golden input as the features of two videos, and a ground truth that a training accepts."""
    values = np.random.default_rng(13).standard_normal((2, 400, LENGTH)).astype(np.float32)
    with FeatureWriter(str(tmp_path / "f.h5"), streams={"rgb": (0, 200), "flow": (200, 400)}) as writer:
        for number, video in enumerate(values):
            writer.write(VideoFeatures(f"v{number}", video.T, FeatureClock.covering(LENGTH, SECONDS), {}))
    instance = {"segment": [50.0, 100.0], "label": "any"}
    video = {"duration": SECONDS, "subset": "training", "annotations": [instance]}
    (tmp_path / "gt.json").write_text(json.dumps({"database": {"v0": video, "v1": video}}))
    return tmp_path / "f.h5", tmp_path / "gt.json"


def fused_scores() -> np.ndarray:
    """P^c_ij times the means of P^s over j >= i and of P^e over i <= j, from the authors' maps: (2, T, T)."""
    maps, upper = golden_answers("mgnet_authors_anet.npz"), np.triu(np.ones((LENGTH, LENGTH)))
    start = (maps["start"] * upper).sum(2) / upper.sum(1)
    end = (maps["end"] * upper).sum(1) / upper.sum(0)
    return maps["iou"] * start[:, :, None] * end[:, None, :]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "saved"),
    [
        ("plain.pth", lambda weights: weights),
        ("checkpoint.ckpt", lambda weights: {"model": weights, "optimizer": {"state": {}}, "epoch": 7}),
        ("parallel.pt", lambda weights: {"state_dict": {f"module.{name}": value for name, value in weights.items()}}),
    ],
)
def test_the_authors_checkpoint_gives_the_authors_proposals(
    file: str,
    saved: Callable[[Weights], object],
    authors: Weights,
    data: tuple[Path, Path],
    tmp_path: Path,
    taltool: Run,
) -> None:
    features, truth = data
    torch.save(saved(authors), tmp_path / file)
    where = {"cwd": tmp_path}
    words = ("train", "--model", "mgnet", "--preset", "code", "--init", file, "--set", "training.epochs=0")
    trained = taltool(*words, features, truth, "-o", "ours.safetensors", **where)
    assert trained.returncode == 0, trained.stderr.decode()
    predicted = taltool("predict", "--model", "ours.safetensors", features, **where)
    assert predicted.returncode == 0, predicted.stderr.decode()
    videos = [record for line in predicted.stdout.splitlines() if "video_id" in (record := json.loads(line))]
    assert [video["video_id"] for video in videos] == ["v0", "v1"]
    for video, wanted in zip(videos, fused_scores(), strict=True):
        segments = np.array(video["segments"]) * (LENGTH / SECONDS)
        scores = np.array(video["scores"])
        first, last = np.rint(segments[:, 0]).astype(int), np.rint(segments[:, 1]).astype(int) - 1
        np.testing.assert_allclose(segments, np.stack([first, last + 1], axis=1), atol=1e-6)
        assert len(set(zip(first.tolist(), last.tolist(), strict=True))) == LENGTH * (LENGTH + 1) // 2
        np.testing.assert_allclose(scores, wanted[first, last], rtol=1e-3, atol=1e-6)
        assert (np.diff(scores) <= 0).all()
