"""Backbones on small pictures, so that tests are quick."""

import dataclasses
from collections.abc import Iterable

import numpy as np
import pytest
from _pytest.mark.structures import ParameterSet
from numpy.typing import NDArray

from taltool.backbones import BACKBONES
from taltool.backbones.contract import Backbone, Stream, is_quick_on_cpu

# Where a network allows it, its pictures are this small (pixels).
SIDE = 64
# Networks whose layers have a fixed size.
_WHOLE = ("c3d",)
# Networks that take seconds for a snippet: the quick suite asks their names, sizes and errors only.
_LARGE = ("c3d", "r2plus1d")
# Networks that come in packages.
_PACKAGES = {"efficientnet-lite0": "efficientnet_lite_pytorch"}


needs_bf16 = pytest.mark.skipif(not is_quick_on_cpu("bf16"), reason="this processor has no bfloat16 instructions")


def computing(names: Iterable[str]) -> list[ParameterSet]:
    """The names as parameters of a test that has each network compute; those of the large ones are slow."""
    return [pytest.param(name, marks=[pytest.mark.slow] * (name in _LARGE)) for name in names]


def made(name: str, stream: Stream = "rgb", **settings: object) -> Backbone:
    """The backbone with its defaults but for the size of pictures and these settings; random weights."""
    if name in _PACKAGES:
        pytest.importorskip(_PACKAGES[name])
    kind: type[Backbone] = BACKBONES.load(name)
    names = {field.name for field in dataclasses.fields(kind.Config)}
    small = {} if name in _WHOLE or "crop" not in names else dict.fromkeys(names & {"crop", "short_side"}, SIDE)
    return kind(dataclasses.replace(kind.Config(), **small | settings), stream)


def pictures(backbone: Backbone, length: int, seed: int = 0) -> NDArray[np.uint8]:
    """Noise in the size that the backbone asks for."""
    height, width = backbone.frame_format.size(48, 64)
    colours = {"flow": (2,), "gray": (), "rgb": (3,)}
    kind = "flow" if backbone.stream == "flow" else backbone.frame_format.pixels
    return np.random.default_rng(seed).integers(0, 256, (length, height, width, *colours[kind]), np.uint8)
