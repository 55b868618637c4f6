"""What a suppression may be told: the methods, their parameters, and which of them each method has."""

import math
from dataclasses import dataclass
from enum import StrEnum

from taltool.errors import UsageError


class Method(StrEnum):
    """How a picked candidate b lowers the score s of a remaining one, o being their tIoU, T the threshold.

    hard: removed if o > T. soft_linear: s * (1 - o) if o > T. soft_gaussian: s * exp(-o^2 / sigma) if o > T.
    soft_width: the same with T = t1 + (t2 - t1) * length(b) / duration of the video (BSN and BMN, Soft-NMS).
    """

    hard = "hard"
    soft_linear = "soft-linear"
    soft_gaussian = "soft-gaussian"
    soft_width = "soft-width"


_DEFAULT_TIOU = {Method.hard: 0.5, Method.soft_linear: 0.5, Method.soft_gaussian: 0.0, Method.soft_width: 0.5}
_DEFAULT_SIGMA = {Method.soft_gaussian: 0.5, Method.soft_width: 0.4}
_DEFAULT_TIOU_WIDE = {Method.soft_width: 0.9}


@dataclass(frozen=True)
class Suppression:
    """The settings of one suppression. None means: the method's default, or no limit.

    tiou is T (t1 of soft-width), tiou_wide its t2, sigma the Gaussian's (BMN's and mmaction2's alpha). min_score:
    what ends below it is dropped. pre_top_k candidates of a video enter, top_k leave, top_k_per_class of each class.
    agnostic: classes suppress each other. dedup: of exact copies (segment and label) only the best enters. voting:
    the tIoU from which on candidates vote on the boundaries of what is kept; see `taltool.ops.nms_voting`.
    """

    method: Method = Method.soft_gaussian
    tiou: float | None = None
    sigma: float | None = None
    tiou_wide: float | None = None
    min_score: float | None = None
    top_k: int | None = None
    top_k_per_class: int | None = None
    pre_top_k: int | None = None
    agnostic: bool = False
    dedup: bool = False
    voting: float | None = None

    def __post_init__(self) -> None:
        """Check every value. Raises UsageError naming the setting, or one that the method does not have."""
        for name in ("tiou", "tiou_wide", "voting"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise UsageError(f"--{name.replace('_', '-')} {value}: expected a tIoU between 0 and 1")
        if self.sigma is not None and not 0 < self.sigma < math.inf:
            raise UsageError(f"--sigma {self.sigma}: expected a positive number")
        for name in ("top_k", "top_k_per_class", "pre_top_k"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"--{name.replace('_', '-')} {value}: expected at least 1")
        if self.sigma is not None and self.method not in _DEFAULT_SIGMA:
            raise UsageError(f"--sigma belongs to soft-gaussian and soft-width, not to {self.method.value}")
        if self.tiou_wide is not None and self.method not in _DEFAULT_TIOU_WIDE:
            raise UsageError(f"--tiou-wide belongs to soft-width, not to {self.method.value}")

    @property
    def threshold(self) -> float:
        """T, or t1 of soft-width."""
        return _DEFAULT_TIOU[self.method] if self.tiou is None else self.tiou

    @property
    def wide_threshold(self) -> float:
        """t2 of soft-width."""
        return _DEFAULT_TIOU_WIDE[self.method] if self.tiou_wide is None else self.tiou_wide

    @property
    def width(self) -> float:
        """The Gaussian's sigma."""
        return _DEFAULT_SIGMA[self.method] if self.sigma is None else self.sigma

    @property
    def floor(self) -> float:
        """The least score that is kept."""
        return -math.inf if self.min_score is None else self.min_score
