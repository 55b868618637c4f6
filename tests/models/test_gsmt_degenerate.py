"""GSMT learns finite weights from any input, in every precision, whatever is switched on."""

from typing import Any

import pytest
import torch
from degenerate import AUTOCAST, CASES, CHANNELS, HARD_CASES, assert_learns, assert_learns_from

from taltool.models.gsmt.config import PRESETS
from taltool.models.gsmt.model import GSMT, GSMTConfig

SWITCHES: dict[str, dict[str, Any]] = {
    "paper": {},
    "columns": {"mask_axis": "column"},
    "fallback": {"l2_mode": "fallback"},
    "bce": {"mask_loss": "bce"},
    "both": {"mask_loss": "both"},
    "cnn1d": {"embedding": "cnn1d"},
    "mstcn": {"embedding": "mstcn"},
    "learned places": {"pos_enc": "learned"},
    "sine places": {"pos_enc": "sin"},
    "relative": {"mask_head": "relative", "mask_reach": 2},
    "external": {"classifier": "external"},
    "no masks": {"mask_branch": False},
    "code": PRESETS["tags"]["model"],
    "separate": {"lr_head": "separate"},
}


def model(length: int, **switches: Any) -> GSMT:
    torch.manual_seed(0)
    return GSMT(GSMTConfig(**{"heads": 2, "mask_width": 8, "mstcn_layers": 3} | switches), CHANNELS, 4, length)


@pytest.mark.parametrize("switches", SWITCHES)
@pytest.mark.parametrize("case", CASES)
def test_losses_and_gradients_are_finite_on(case: str, switches: str) -> None:
    assert_learns_from(model(CASES[case].length, **SWITCHES[switches]), case)


@pytest.mark.parametrize("autocast", AUTOCAST)
@pytest.mark.parametrize("switches", SWITCHES)
@pytest.mark.parametrize("case", HARD_CASES)
def test_losses_and_gradients_are_finite_under_autocast_on(case: str, switches: str, autocast: str) -> None:
    assert_learns_from(model(CASES[case].length, **SWITCHES[switches]), case, autocast)


@pytest.mark.parametrize("autocast", [None, *AUTOCAST])
def test_losses_and_gradients_are_finite_on_saturated_answers(autocast: str | None) -> None:
    network = model(10)
    with torch.no_grad():
        network.class_head.last.bias.copy_(torch.tensor([500.0, -500, -500, -500, -500]))
    features = 1e3 * torch.randn(1, CHANNELS, 10, generator=torch.Generator().manual_seed(10))
    assert_learns(network, features, torch.tensor([[2.0, 6.0], [7.0, 9.0]]), autocast)
