"""The settings of a suppression: methods, their parameters and which of them each method has, and presets of papers.

The presets are the only place where a paper's suppression is told: `taltool nms --preset` and the models' own presets
(section `nms`, by `preset_section`) take it from here.
"""

import math
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, TypeVar

from taltool.errors import UsageError
from taltool.registry import did_you_mean

Choice = TypeVar("Choice", bound=StrEnum)


class Method(StrEnum):
    """How a picked candidate b lowers the score s of a remaining one, o being their tIoU, T the threshold.

    hard: removed if o > T. soft_linear: s * (1 - o) if o > T. soft_gaussian: s * exp(-o^2 / sigma) if o > T; both are
    of Soft-NMS (Bodla et al., 2017), whose Gaussian has no threshold, which is T = 0, the default.
    soft_width: the same with T = t1 + (t2 - t1) * length(b) / duration of the video (BSN and BMN, Soft-NMS).
    """

    hard = "hard"
    soft_linear = "soft-linear"
    soft_gaussian = "soft-gaussian"
    soft_width = "soft-width"


_DEFAULT_TIOU = {Method.hard: 0.5, Method.soft_linear: 0.5, Method.soft_gaussian: 0.0, Method.soft_width: 0.5}
_DEFAULT_SIGMA = {Method.soft_gaussian: 0.5, Method.soft_width: 0.4}
_DEFAULT_TIOU_WIDE = {Method.soft_width: 0.9}
_LIMITS = ("top_k", "top_k_per_class", "pre_top_k")


@dataclass(frozen=True)
class Suppression:
    """The settings of one suppression. None means: the method's default, or no limit.

    tiou is T (t1 of soft-width), tiou_wide its t2, sigma the Gaussian's (BMN's and mmaction2's alpha). min_score:
    what ends below it is dropped. pre_top_k candidates of a video enter, top_k leave, top_k_per_class of each class.
    agnostic: classes suppress each other. dedup: of exact copies (segment and label) only the best enters. voting:
    the tIoU from which on candidates vote on the boundaries of what is kept; see `taltool.ops.nms_voting`.
    """

    method: Method = Method.soft_gaussian  # How overlap lowers a score.
    tiou: float | None = None  # T: above this overlap a candidate is lowered.
    sigma: float | None = None  # Width of the Gaussian of the soft methods.
    tiou_wide: float | None = None  # soft-width: T of a candidate as long as the video.
    min_score: float | None = None  # What ends below this score is dropped.
    top_k: int | None = None  # So many of each video leave.
    top_k_per_class: int | None = None  # So many of each class of a video leave.
    pre_top_k: int | None = None  # So many of each video enter.
    agnostic: bool = False  # Classes suppress each other.
    dedup: bool = False  # Of exact copies only the best enters.
    voting: float | None = None  # tIoU from which candidates vote on the boundaries of what is kept.

    def __post_init__(self) -> None:
        """Check every value. Raises UsageError naming the setting, or one that the method does not have."""
        for name in ("tiou", "tiou_wide", "voting"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise UsageError(f"--{name.replace('_', '-')} {value}: expected a tIoU between 0 and 1")
        if self.sigma is not None and not 0 < self.sigma < math.inf:
            raise UsageError(f"--sigma {self.sigma}: expected a positive number")
        if self.min_score is not None and not math.isfinite(self.min_score):
            raise UsageError(f"--min-score {self.min_score}: expected a finite number")
        for name in _LIMITS:
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


@dataclass(frozen=True)
class Preset:
    """Settings, and where they are from."""

    settings: Suppression
    source: str


def _soft(sigma: float, **others: Any) -> Suppression:
    return Suppression(Method.soft_gaussian, sigma=sigma, **others)


def _width(low: float, high: float, sigma: float) -> Suppression:
    return Suppression(Method.soft_width, tiou=low, tiou_wide=high, sigma=sigma, top_k=100, agnostic=True)


PRESETS = {
    "afsd-thumos14": Preset(
        _soft(0.5, min_score=0.001, top_k_per_class=5000),
        "AFSD, section 4.1 (its 'tIoU threshold' is sigma) and code: top 5,000 per class, floor 0.001",
    ),
    "afsd-activitynet13": Preset(
        _soft(0.85, min_score=1e-9, top_k=5000, agnostic=True), "AFSD, section 4.1 and code: one class, then labels"
    ),
    "afsd-thumos14-paper": Preset(_soft(0.5, min_score=0.001, top_k_per_class=5000), "AFSD, section 4.1; as the code"),
    "afsd-activitynet13-paper": Preset(
        _soft(0.85, min_score=1e-9, top_k_per_class=5000), "AFSD, section 4.1, on classes of its own; as the code"
    ),
    "amnet-thumos14": Preset(
        _soft(0.5, min_score=0.001, pre_top_k=2000, top_k=200), "AMNet gives no values: AFSD's sigma, its baseline"
    ),
    "amnet-activitynet13": Preset(
        _soft(0.85, min_score=0.001, pre_top_k=2000, top_k=100, agnostic=True), "AMNet gives no values: AFSD's sigma"
    ),
    "gsmt-thumos14": Preset(_soft(0.4, pre_top_k=200, dedup=True), "GSMT, '0.4' as sigma; 200 candidates, no copies"),
    "gsmt-activitynet13": Preset(
        _soft(0.6, pre_top_k=200, dedup=True), "GSMT, '0.6' as sigma; 200 candidates, no copies"
    ),
    "gsmt-activitynet12": Preset(
        _soft(0.6, pre_top_k=200, dedup=True), "GSMT has ActivityNet 1.3 only; its values there"
    ),
    "gsmt-tags": Preset(
        _soft(0.6, top_k=100), "GSMT, public code: 100 detections; its 0.6 as sigma, its own formula raises scores"
    ),
    "mgnet-thumos14": Preset(
        _soft(0.75, tiou=0.65, top_k=2300, agnostic=True),
        "MGNet, Soft-NMS threshold 0.65; sigma of its code",
    ),
    "mgnet-thumos14-nms": Preset(
        Suppression(Method.hard, tiou=0.65, top_k=2300, agnostic=True),
        "MGNet, NMS rows; threshold and number of its code",
    ),
    "mgnet-activitynet13": Preset(
        _soft(0.75, tiou=0.8, top_k=100, agnostic=True),
        "MGNet, Soft-NMS threshold 0.8; sigma of its code",
    ),
    "mgnet-activitynet13-code": Preset(
        _width(0.65, 0.9, 0.75), "MGNet and DBG, public code: threshold 0.65 + 0.25 * width"
    ),
    "tsa-tal-thumos14": Preset(_soft(0.5, min_score=0.001, top_k=200), "TSA-TAL gives no values: AFSD's sigma"),
    "tsa-tal-activitynet12": Preset(_soft(0.85, min_score=0.001, top_k=100), "TSA-TAL gives no values: AFSD's sigma"),
    "tsa-tal-activitynet13": Preset(_soft(0.85, min_score=0.001, top_k=100), "TSA-TAL gives no values: AFSD's sigma"),
    "bsn-activitynet13": Preset(_width(0.65, 0.9, 0.75), "BSN: alpha 0.75, thresholds 0.65 and 0.9"),
    "bmn-activitynet13": Preset(_width(0.5, 0.9, 0.4), "BMN, public code: alpha 0.4, thresholds 0.5 and 0.9"),
    "bmn-thumos14": Preset(
        _soft(0.3, min_score=0.0001, top_k=200, agnostic=True, voting=0.95),
        "OpenTAD, bmn/thumos_tsn: BMN and its code have ActivityNet only",
    ),
    "actionformer-thumos14": Preset(
        _soft(0.5, min_score=0.001, pre_top_k=2000, top_k=200), "ActionFormer, thumos_i3d (no voting when class-wise)"
    ),
    "actionformer-activitynet13": Preset(
        _soft(0.75, min_score=0.001, pre_top_k=2000, top_k=100, agnostic=True, voting=0.9), "ActionFormer, anet_tsp"
    ),
}


def preset(name: str) -> Preset:
    """The preset `name`. Raises UsageError, with the known names, for another."""
    if name not in PRESETS:
        known = list(PRESETS)
        raise UsageError(f"--preset {name}: no such preset{did_you_mean(name, known)} (there are: {', '.join(known)})")
    return PRESETS[name]


def preset_section(name: str) -> dict[str, Any]:
    """The preset `name` as the section `nms` of a model's preset: plain values, without those of the defaults."""
    settings = preset(name).settings
    values = {each.name: getattr(settings, each.name) for each in fields(settings)}
    differing = {key: value for key, value in values.items() if value != getattr(Suppression, key)}
    return {"method": settings.method.value} | {k: v for k, v in differing.items() if k != "method"}


def resolve(preset_name: str | None, **options: Any) -> Suppression:
    """The settings of a preset (None: the defaults) with `options`, fields of Suppression, in place of its own.

    An option that is None stays as the preset has it; a limit (top_k, ...) of 0 is none, whatever the preset says.
    Raises UsageError for an unknown preset or method, and where options do not fit each other.
    """
    chosen = {name: value for name, value in options.items() if value is not None}
    chosen |= {name: None for name in _LIMITS if chosen.get(name) == 0}
    if "method" in chosen:
        chosen["method"] = choice(Method, chosen["method"], "--method")
    base = Suppression() if preset_name is None else preset(preset_name).settings
    if chosen.get("method", base.method) is not base.method:
        # The preset's thresholds belong to its own method.
        base = replace(base, method=Method.soft_gaussian, tiou=None, tiou_wide=None, sigma=None)
    return replace(base, **chosen)


def choice(kind: type[Choice], name: str, option: str) -> Choice:
    """The member of `kind` called `name`. Raises UsageError, naming `option` and the known names, for another."""
    known = [member.value for member in kind]
    if name not in known:
        raise UsageError(f"{option} {name}: no such choice{did_you_mean(name, known)} (there are: {', '.join(known)})")
    return kind(name)
