"""The fixtures `tiny` and `trainer`, and those of frames."""

from training_runs import frame_trainer, tiny, tiny_frames, trainer  # noqa: F401
