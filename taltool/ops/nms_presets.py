"""The suppression of each paper, as rows of facts.

Where a paper names no value, the row holds that of the system that it declares as its baseline, and says so. A
"threshold" that a paper quotes is what its own code does with the number, which often is sigma.
"""

from dataclasses import dataclass

from taltool.errors import UsageError
from taltool.ops.nms_settings import Method, Suppression
from taltool.registry import did_you_mean

GAUSSIAN, WIDTH, HARD = Method.soft_gaussian, Method.soft_width, Method.hard


@dataclass(frozen=True)
class Preset:
    """Settings, and where they are from."""

    settings: Suppression
    source: str


def _soft(sigma: float, **others: object) -> Suppression:
    return Suppression(GAUSSIAN, sigma=sigma, **others)  # type: ignore[arg-type]


def _width(low: float, high: float, sigma: float) -> Suppression:
    return Suppression(WIDTH, tiou=low, tiou_wide=high, sigma=sigma, top_k=100, agnostic=True)


PRESETS = {
    "afsd-thumos14": Preset(
        _soft(0.5, min_score=0.001, top_k_per_class=5000),
        "AFSD, supplement (its 'tIoU threshold' is sigma) and code: top 5,000 per class, floor 0.001",
    ),
    "afsd-activitynet13": Preset(
        _soft(0.85, min_score=1e-9, top_k=5000, agnostic=True), "AFSD, supplement and code: one class, then labels"
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
    "mgnet-thumos14": Preset(
        Suppression(GAUSSIAN, tiou=0.65, sigma=0.75, top_k=2300, agnostic=True),
        "MGNet, Soft-NMS threshold 0.65; sigma of its code",
    ),
    "mgnet-thumos14-nms": Preset(Suppression(HARD, tiou=0.65, top_k=2300, agnostic=True), "MGNet, NMS rows"),
    "mgnet-activitynet13": Preset(
        Suppression(GAUSSIAN, tiou=0.8, sigma=0.75, top_k=100, agnostic=True),
        "MGNet, Soft-NMS threshold 0.8; sigma of its code",
    ),
    "mgnet-activitynet13-code": Preset(
        _width(0.65, 0.9, 0.75), "MGNet and DBG, public code: threshold 0.65 + 0.25 * width"
    ),
    "tsa-tal-thumos14": Preset(_soft(0.5, min_score=0.001, top_k=200), "TSA-TAL gives no values: AFSD's sigma"),
    "tsa-tal-activitynet12": Preset(_soft(0.85, min_score=0.001, top_k=100), "TSA-TAL gives no values: AFSD's sigma"),
    "bsn-activitynet13": Preset(_width(0.65, 0.9, 0.75), "BSN: alpha 0.75, thresholds 0.65 and 0.9"),
    "bmn-activitynet13": Preset(_width(0.5, 0.9, 0.4), "BMN, public code: alpha 0.4, thresholds 0.5 and 0.9"),
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
