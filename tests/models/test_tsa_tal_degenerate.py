"""TSA-TAL learns finite weights from any input, in every precision, whatever is switched on."""

from typing import Any

import pytest
import torch
from degenerate import AUTOCAST, CASES, CHANNELS, HARD_CASES, assert_learns_from

from taltool.models.tsa_tal.model import TSATAL, TSATALConfig

SWITCHES: dict[str, dict[str, Any]] = {
    "paper": {},
    **{f"tsa {kind}": {"tsa": kind} for kind in ("none", "m_only", "am", "bm")},
    **{f"a {mode}": {"a_mode": mode} for mode in ("none", "same")},
    **{f"b {mode}": {"b_mode": mode} for mode in ("soft", "similarity")},
    "four heads": {"tsa_heads": 4},
    "no pyramid": {"tpp": "none"},
    **{f"actionness {how}": {"actionness_to_tpp": how} for how in ("mul", "off")},
    "warming up": {"tsa_warmup": 10},
}


def model(length: int, **switches: Any) -> TSATAL:
    torch.manual_seed(0)
    return TSATAL(TSATALConfig(**{"width": 32, "groups": 4, "tsa_warmup": 0} | switches), CHANNELS, 3, length)


@pytest.mark.parametrize("switches", SWITCHES)
@pytest.mark.parametrize("case", CASES)
def test_losses_and_gradients_are_finite_on(case: str, switches: str) -> None:
    assert_learns_from(model(CASES[case].length, **SWITCHES[switches]), case)


@pytest.mark.parametrize("autocast", AUTOCAST)
@pytest.mark.parametrize("switches", SWITCHES)
@pytest.mark.parametrize("case", HARD_CASES)
def test_losses_and_gradients_are_finite_under_autocast_on(case: str, switches: str, autocast: str) -> None:
    assert_learns_from(model(CASES[case].length, **SWITCHES[switches]), case, autocast)
