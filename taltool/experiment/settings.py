"""The settings of an experiment, typed and frozen; a model's own settings stand beside them as section `model`."""

from dataclasses import dataclass, field
from typing import Any, Literal

from taltool.ops.nms_settings import Suppression

_SHORTEST_POSITION = 1e-3  # Seconds.


@dataclass(frozen=True)
class SamplingSettings:
    """How a feature sequence becomes the (C, T) samples that a network sees. Lengths and strides are in snippets.

    For a model that learns from frames a snippet is a frame.

    window: sliding windows of `length` (a shorter video is zero padded at its end); with `window_seconds` windows of so
    many seconds, linearly resampled to `length` positions, whatever the distance of a video's snippets: all lengths
    and strides here are then in positions of length window_seconds / length;
    rescale: the whole video linearly resampled to `length`;
    pad: the whole video, cropped at random to `length` in training, padded to the model's length multiple in use.
    """

    resize: Literal["window", "rescale", "pad"] = "window"  # See above.
    length: int = 64  # Of a sample.
    window_seconds: float = 0.0  # 0 = off: a position is a snippet.
    train_stride: int = 8  # From one training window to the next.
    test_stride: int = 32  # The same in validation and prediction.
    # An instance belongs to a window when at least this share of it lies inside; it is then clipped to the window.
    min_ioa: float = 0.5
    # So it does, too, when it covers at least this share of the window; 0 = off.
    min_covered: float = 0.0
    # A training window must hold one instance completely.
    require_whole: bool = True
    # Streams of the feature file to use, by name and in this order; none = all channels as they stand.
    streams: tuple[str, ...] = ()
    # channel: shift and scale each channel to mean 0, deviation 1 over the training videos (kept in the checkpoint).
    normalize: Literal["none", "channel"] = "none"
    # Training videos by their coverage, the share of the video that an instance of it covers on average; 0 = off.
    drop_coverage: float = 0.0  # Left out from this coverage on,
    repeat_coverage: float = 0.0  # twice in an epoch below this one.
    # Training augmentations.
    jitter: float = 0.0  # Random shift of window starts, in snippets.
    jitter_useful: bool = False  # Only to where the window still holds what a training window must.
    feature_dropout: float = 0.0  # Probability with which a channel is zeroed for the whole sample.
    feature_noise: float = 0.0  # Standard deviation of Gaussian noise, in units of each channel's own deviation.
    time_dropout: float = 0.0  # Probability with which a snippet is zeroed.
    # Play features faster or slower, by a factor drawn anew for each sample between 1 / time_stretch and time_stretch
    # (evenly in its logarithm); 1 = as they are.
    time_stretch: float = 1.0
    # Mix the features of each sample with those of another one, and show the instances of both: the shares are drawn
    # from Beta(mixup, mixup), the larger one being the sample's own; 0 = off, 1.5 as for pictures. On 50 Salads, videos
    # full of actions, it cost AFSD and AMNet eight points of average mAP.
    mixup: float = 0.0

    def __post_init__(self) -> None:
        _demand(min(self.length, self.train_stride, self.test_stride) >= 1, "lengths and strides must be at least 1")
        _demand(
            self.window_seconds >= 0 and (not self.window_seconds or self.resize == "window"),
            'window_seconds must not be negative, and is for resize = "window"; 0 = off',
        )
        _demand(
            not self.window_seconds or self.window_seconds >= self.length * _SHORTEST_POSITION,
            f"window_seconds makes positions shorter than {_SHORTEST_POSITION} s; raise it, or lower length",
        )
        shares = (self.min_ioa, self.min_covered)
        _demand(min(shares) >= 0 and max(shares) <= 1, "min_ioa and min_covered must lie between 0 and 1")
        _demand(min(self.drop_coverage, self.repeat_coverage) >= 0, "coverages must not be negative")
        _demand(0 <= self.feature_dropout < 1, "feature_dropout must lie in [0, 1)")
        _demand(0 <= self.time_dropout < 1, "time_dropout must lie in [0, 1)")
        _demand(self.time_stretch >= 1, "time_stretch must be at least 1; 1 = off")
        _demand(
            self.time_stretch == 1 or self.resize != "rescale",
            'time_stretch has no meaning where resize = "rescale" gives every video the same length',
        )
        amounts = (self.jitter, self.feature_noise, self.mixup)
        _demand(min(amounts) >= 0, "jitter, feature_noise and mixup must not be negative")

    @property
    def is_resampled(self) -> bool:
        """Whether positions are others than the snippets of the feature file."""
        return self.resize == "rescale" or self.window_seconds > 0


@dataclass(frozen=True)
class TrainingSettings:
    """The optimisation. `learning_rate` is that of one update over `batch_size` samples."""

    epochs: int = 16  # Passes over the training samples; 0, with --init, keeps the weights.
    batch_size: int = 1  # Samples of one update, over all processes and parts.
    # Parts in which a batch passes through the network, one after the other: less memory, the same update.
    accumulation: int = 1
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"  # adamw decays weights apart from the gradient.
    learning_rate: float = 1e-5  # At the top of the schedule.
    weight_decay: float = 1e-3  # L2 penalty (adam, sgd) or decoupled decay (adamw).
    # Norms, biases and scalars decay too (the papers that use Adam), or only matrices and filters (AdamW recipes).
    decay_everything: bool = True
    # Where the model's authors give a layer a decay of its own, take that.
    decay_by_layer: bool = False
    momentum: float = 0.9  # For sgd only.
    schedule: Literal["constant", "cosine", "step"] = "constant"  # Of the learning rate, after the warm-up.
    warmup_epochs: float = 0.0  # Over so many epochs the learning rate rises linearly from 0.
    step_epochs: int = 10  # schedule = step: after each so many epochs
    step_factor: float = 0.1  # the rate is multiplied by this.
    clip_norm: float = 0.0  # Gradient norm, 0 = off, as in all five papers; settings fitted to the data clip at 1.
    ema_decay: float = 0.0  # Exponential moving average of the weights, 0 = off.
    # bfloat16, float16: matrix products in that (autocast), weights and losses in float32; float16 scales its losses.
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    # Which epoch becomes the checkpoint: lowest validation loss, highest validation mAP, or the last one.
    select: Literal["loss", "map", "last"] = "last"
    # Share of the training videos held out for the selection when no validation subset is named; `last` holds out none.
    holdout: float = 0.1
    validate_every: int = 1  # Epochs.
    # Thresholds over which `select = "map"` averages.
    select_tious: tuple[float, ...] = (0.3, 0.4, 0.5, 0.6, 0.7)

    def __post_init__(self) -> None:
        _demand(self.epochs >= 0, "epochs must not be negative; 0, with --init, keeps the weights")
        whole = (self.batch_size, self.accumulation, self.step_epochs, self.validate_every)
        _demand(min(whole) >= 1, "batch_size, accumulation, step_epochs, validate_every must be at least 1")
        _demand(self.learning_rate > 0, "learning_rate must be positive")
        _demand(min(self.weight_decay, self.clip_norm, self.warmup_epochs) >= 0, "negative decay, norm or warm-up")
        _demand(0 <= self.ema_decay < 1, "ema_decay must lie in [0, 1)")
        _demand(0 <= self.holdout < 1, "holdout must lie in [0, 1)")
        _demand(len(self.select_tious) > 0, "select_tious must name a threshold")


@dataclass(frozen=True)
class PredictionSettings:
    """What a network's candidates must pass before they are written: floor of the score, number per video (0 = all).

    Candidates that end where their window does, while the video goes on, are what a window shows of an action that goes
    on too; a neighbouring window may show the whole. Their scores are first multiplied by `cut_factor`; 1 = as they
    are, as in the papers.

    average_windows: average what overlapping windows say of the same snippets, and decode the video as a whole, instead
    of each window by itself. For models that can (gsmt); nothing is cut then. time_stretches: average that also with
    what they say of the video when its features are resampled to so many times its length, say 0.8 and 1.25.
    """

    min_score: float = 0.01  # Candidates below it are dropped.
    top_k: int = 5000  # So many of the best are kept for each video.
    cut_factor: float = 1.0  # Factor on scores of candidates that a window cuts; see above.
    average_windows: bool = False  # Average overlapping windows before decoding; gsmt only.
    time_stretches: tuple[float, ...] = ()  # Further lengths, as factors, that average_windows averages.

    def __post_init__(self) -> None:
        _demand(0 <= self.cut_factor <= 1, "cut_factor must lie in [0, 1]")
        _demand(all(each > 0 for each in self.time_stretches), "time_stretches must be above 0")
        _demand(self.average_windows or not self.time_stretches, "time_stretches need average_windows = true")


@dataclass(frozen=True)
class Experiment:
    """Everything that defines a training run; stored in the checkpoint."""

    model_name: str
    model: Any
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    prediction: PredictionSettings = field(default_factory=PredictionSettings)
    # The suppression behind `select = "map"`.
    nms: Suppression = field(default_factory=Suppression)


def _demand(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)
