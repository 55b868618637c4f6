"""Weights of AFSD on features that others trained: OpenTAD's names of tensors in ours."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from taltool.errors import DataError

BLOCK = {"0.conv1d": "conv", "1": "norm"}
FRAME_BLOCK = {f"{3 * i + j}{suffix}": f"blocks.{i}.{part}" for i in range(3) for j, suffix, part in (
    (0, ".conv1d", "conv"), (1, "", "norm"))}  # fmt: skip
TOWER = {"loc": "location", "conf": "class"}
LAYER = {"cur_point_conv": "current", "lr_conv": "sensitive", "roi_conv": "roi", "proposal_conv": "merge"}
HEAD = {
    "rpn_head.loc_head": "coarse.distance_head",
    "rpn_head.conf_head": "coarse.class_head",
    "roi_head.prop_loc_head": "refinement.offset_head",
    "roi_head.prop_conf_head": "refinement.class_head",
    "roi_head.center_head": "quality_head",
}


def _our_module(module: str) -> str | None:
    """Our name of one of OpenTAD's modules, None if AFSD on features has no such module."""
    if module.removesuffix(".conv1d") in HEAD:
        return HEAD[module.removesuffix(".conv1d")]
    if match := re.fullmatch(r"neck\.pyramids\.(\d+)\.(0\.conv1d|1)", module):
        level = int(match[1])
        return f"pyramid.{f'reductions.{level - 1}' if level else 'projection'}.{BLOCK[match[2]]}"
    if match := re.fullmatch(r"neck\.deconv\.(\d\.conv1d|\d)", module):
        return f"refinement.frame_stack.{FRAME_BLOCK[match[1]]}" if match[1] in FRAME_BLOCK else None
    if match := re.fullmatch(r"rpn_head\.(loc|conf)_tower\.(\d)\.(0\.conv1d|1)", module):
        return f"coarse.{TOWER[match[1]]}_tower.blocks.{match[2]}.{BLOCK[match[3]]}"
    if match := re.fullmatch(r"roi_head\.(loc|conf)_proposal_branch\.(\w+)\.(0\.conv1d|1)", module):
        return f"refinement.{TOWER[match[1]]}_branch.{LAYER[match[2]]}.{BLOCK[match[3]]}"
    return None


def from_opentad(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of `AFSD` with default switches from a state of OpenTAD's AFSD on features (prefix `module.` allowed).

    Raises DataError, naming the tensor, for one that this network does not have.
    """
    ours: dict[str, Tensor] = {}
    scales: dict[int, Tensor] = {}
    for name, value in state.items():
        plain = name.removeprefix("module.")
        if match := re.fullmatch(r"rpn_head\.scales\.(\d+)\.scale", plain):
            scales[int(match[1])] = value.reshape(1)
            continue
        module, _, kind = plain.rpartition(".")
        renamed = _our_module(module)
        if renamed is None:
            raise DataError(f"tensor '{name}' is not part of OpenTAD's AFSD on features")
        ours[f"{renamed}.{kind}"] = value
    return ours | {"coarse.scales": torch.cat([scales[level] for level in sorted(scales)])}
