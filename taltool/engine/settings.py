"""The settings of an experiment, typed and frozen; a model's own settings stand beside them as section `model`."""

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class SamplingSettings:
    """How a feature sequence becomes the (C, T) samples that a network sees. Lengths and strides are in snippets.

    window: sliding windows of `length` (a shorter video is zero padded at its end);
    rescale: the whole video linearly resampled to `length`;
    pad: the whole video, cropped at random to `length` in training, padded to the model's length multiple in use.
    """

    resize: Literal["window", "rescale", "pad"] = "window"
    length: int = 64
    train_stride: int = 8
    test_stride: int = 32
    # An instance belongs to a window when at least this share of it lies inside; it is then clipped to the window.
    min_ioa: float = 0.5
    # A training window must hold one instance completely.
    require_whole: bool = True
    # Training augmentations.
    jitter: float = 0.0  # Random shift of window starts, in snippets.
    feature_dropout: float = 0.0  # Probability with which a channel is zeroed for the whole sample.
    feature_noise: float = 0.0  # Standard deviation of Gaussian noise, in units of each channel's own deviation.


@dataclass(frozen=True)
class TrainingSettings:
    """The optimisation. `learning_rate` is that of one update over `batch_size` samples."""

    epochs: int = 16
    batch_size: int = 1
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: float = 1e-5
    weight_decay: float = 1e-3
    # Norms, biases and scalars decay too (the papers that use Adam), or only matrices and filters (AdamW recipes).
    decay_everything: bool = True
    momentum: float = 0.9  # For sgd only.
    schedule: Literal["constant", "cosine", "step"] = "constant"
    warmup_epochs: float = 0.0
    step_epochs: int = 10
    step_factor: float = 0.1
    clip_norm: float = 1.0  # Gradient norm, 0 = off.
    ema_decay: float = 0.0  # Exponential moving average of the weights, 0 = off.
    # Which epoch becomes the checkpoint: lowest validation loss, highest validation mAP, or the last one.
    select: Literal["loss", "map", "last"] = "loss"
    # Share of the training videos held out for the selection when no validation subset is named.
    holdout: float = 0.1
    validate_every: int = 1  # Epochs.


@dataclass(frozen=True)
class PredictionSettings:
    """What a network's candidates must pass before they are written: floor of the score, number per video (0 = all)."""

    min_score: float = 0.01
    top_k: int = 5000


@dataclass(frozen=True)
class Experiment:
    """Everything that defines a training run; stored in the checkpoint."""

    model_name: str
    model: Any
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    prediction: PredictionSettings = field(default_factory=PredictionSettings)
