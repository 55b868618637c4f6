"""Measuring a network on held-out videos."""

import numpy as np
import pytest
import torch
from torch import Tensor
from training_runs import MakeTrainer

from taltool.errors import UsageError
from taltool.models.contract import Candidates, Model


def test_validation_losses_are_the_mean_over_windows_whatever_the_batch(trainer: MakeTrainer) -> None:
    found = []
    for batch_size in (1, 2, 7):
        run = trainer(f"batch_size={batch_size}", "holdout=0.4", "dropout=0.9")
        assert run.validation is not None
        assert len(run.validation.samples) > 7
        torch.manual_seed(batch_size)  # dropout must not matter
        found.append(run.validation.losses(run.model.eval()))
    for other in found[1:]:
        assert other == pytest.approx(found[0], rel=1e-5)


class Oracle:
    """Decodes the ground truth itself, with a false alarm of less confidence beside it."""

    def __init__(self, model: Model, score: float) -> None:
        self.model, self.score = model, score

    def __call__(self, outputs: dict[str, Tensor], mask: Tensor) -> list[Candidates]:
        # Every video has a jump at snippets 2..7 of its first window; the rest of the truth is left out.
        segments = torch.tensor([[2.0, 7.0], [9.0, 10.0]])
        scores, labels = torch.tensor([self.score, 0.5]), torch.tensor([0, 0])
        return [Candidates(segments, scores, labels) for _ in range(len(mask))]


@pytest.mark.parametrize(("score", "expected"), [(0.9, 0.5), (0.1, 0.25)])
def test_map_is_that_of_the_evaluation(trainer: MakeTrainer, score: float, expected: float) -> None:
    run = trainer("holdout=0.4", "resize=pad", "select=map", "nms.method=hard", "nms.tiou=0.5")
    assert run.validation is not None
    run.model.decode = Oracle(run.model, score)  # type: ignore[method-assign, assignment]
    # Class jump: AP 1 if each hit comes before the false alarms, else 1/2 (as many false alarms lie before).
    assert run.validation.mean_average_precision(run.model) == pytest.approx(expected)


def test_the_last_epoch_needs_no_held_out_videos(trainer: MakeTrainer) -> None:
    assert trainer("select=last").validation is None
    held = trainer("select=loss").validation
    assert held is not None
    assert len(held.videos) == 1


def test_a_named_validation_subset_is_used_and_the_training_kept_whole(trainer: MakeTrainer) -> None:
    run = trainer(validation_subset="validation")
    assert run.validation is not None
    assert [video.video_id for video in run.validation.videos] == ["v03", "v07", "v11"]
    assert len(run.loader.maker.instances) == 9


def test_a_validation_subset_that_is_trained_on_is_refused(trainer: MakeTrainer) -> None:
    with pytest.raises(UsageError, match="9 of its videos are trained on"):
        trainer(validation_subset="training")


def test_held_out_videos_are_not_trained_on(trainer: MakeTrainer) -> None:
    run = trainer("holdout=0.5")
    assert run.validation is not None
    held = {video.video_id for video in run.validation.videos}
    seen = {video_id for epoch in range(3) for batch in run.loader.batches(epoch) for video_id in batch.video_ids}
    assert len(held) == 4
    assert not held & seen
    assert np.all([video_id not in {"v03", "v07", "v11"} for video_id in held | seen])  # the test subset
