"""Weights that others trained: the names of their tensors in ours.

Known are the authors' checkpoints, of THUMOS14 and of ActivityNet, which learn from frames; OpenTAD's AFSD on features,
whose modules have mostly the same names; and the Inception-I3D that the authors begin with, which is a part of AFSD.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from taltool.errors import DataError

# The beginning of the names of I3D's tensors in AFSD from frames.
BACKBONE = "pyramid.backbone."
# The same in the authors' code, and of all other tensors there.
_THEIR_BACKBONE, _THEIR_REST = "backbone._model.", "coarse_pyramid_detection."
# The first tensor of the public I3D.
_I3D_STEM = "Conv3d_1a_7x7.conv3d.weight"

# What `converted` knows.
KINDS = (
    "of AFSD's authors: model.input=frames (ActivityNet: as the preset has it)",
    "of OpenTAD's AFSD on features: model.input=features",
    "of I3D alone (rgb_imagenet.pt): model.input=frames, model.backbone_divisor=1",
)

BLOCK = {"0.conv1d": "conv", "0.conv3d": "conv", "1": "norm"}
FRAME_BLOCK = {f"{3 * i + j}{suffix}": f"blocks.{i}.{part}" for i in range(3) for j, suffix, part in (
    (0, ".conv1d", "conv"), (1, "", "norm"))}  # fmt: skip
TOWER = {"loc": "location", "conf": "class"}
LAYER = {"cur_point_conv": "current", "lr_conv": "sensitive", "roi_conv": "roi", "proposal_conv": "merge"}
HEAD = {
    "loc_head": "coarse.distance_head",
    "conf_head": "coarse.class_head",
    "prop_loc_head": "refinement.offset_head",
    "prop_conf_head": "refinement.class_head",
    "center_head": "quality_head",
}


def converted(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state that others trained with our names, any other as it is; `module.` may stand before every name.

    Raises DataError, naming the tensor, for one of these networks with a tensor that AFSD does not have.
    """
    bare = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    if any("rpn_head." in name for name in bare):
        return from_opentad(bare)
    if any(name.startswith(_THEIR_REST) for name in bare):
        return _from_authors(bare)
    if _I3D_STEM in bare:
        return {BACKBONE + name: tensor for name, tensor in bare.items()}
    return dict(state)


def from_opentad(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of `AFSD` with default switches from a state of OpenTAD's AFSD on features.

    Raises DataError, naming the tensor, for one that this network does not have.
    """
    pyramid = ["projection", *(f"reductions.{number}" for number in range(len(state)))]
    return _renamed(state, r"(neck|rpn_head|roi_head)\.", pyramid, "OpenTAD's AFSD on features")


def _from_authors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of `AFSD` from frames from the authors' own."""
    backbone = {
        BACKBONE + name.removeprefix(_THEIR_BACKBONE): tensor
        for name, tensor in state.items()
        if name.startswith(_THEIR_BACKBONE)
    }
    rest = {name: tensor for name, tensor in state.items() if not name.startswith(_THEIR_BACKBONE)}
    # For THUMOS14 two levels are of maps of I3D, for ActivityNet one.
    pyramid = ["fine"] if f"{_THEIR_REST}pyramids.1.0.conv3d.weight" in rest else []
    pyramid += ["coarse.projection", *(f"coarse.reductions.{number}" for number in range(len(state)))]
    return backbone | _renamed(rest, re.escape(_THEIR_REST), pyramid, "the authors' AFSD")


def _renamed(state: Mapping[str, Tensor], prefix: str, pyramid: list[str], whose: str) -> dict[str, Tensor]:
    """The tensors with our names; pyramid has those of the blocks of its levels, prefix is a regular expression."""
    ours: dict[str, Tensor] = {}
    scales: dict[int, Tensor] = {}
    for name, value in state.items():
        plain = re.sub(f"^{prefix}", "", name)
        if match := re.fullmatch(r"(?:scales|loc_heads)\.(\d+)\.scale", plain):
            scales[int(match[1])] = value.reshape(1)
            continue
        module, _, kind = plain.rpartition(".")
        renamed = _our_module(module, pyramid) if plain != name else None
        if renamed is None:
            raise DataError(f"tensor '{name}' is not part of {whose}")
        # A convolution over all cells of a volume is a projection of their channels.
        ours[f"{renamed}.{kind}"] = value.flatten(1)[..., None] if value.ndim == 5 else value
    return ours | {"coarse.scales": torch.cat([scales[level] for level in sorted(scales)])} if scales else ours


def _our_module(module: str, pyramid: list[str]) -> str | None:
    """Our name of one of their modules, None if AFSD has no such module."""
    if module.removesuffix(".conv1d") in HEAD:
        return HEAD[module.removesuffix(".conv1d")]
    if match := re.fullmatch(r"pyramids\.(\d+)\.(0\.conv[13]d|1)", module):
        return f"pyramid.{pyramid[int(match[1])]}.{BLOCK[match[2]]}"
    if match := re.fullmatch(r"deconv\.(\d\.conv1d|\d)", module):
        return f"refinement.frame_stack.{FRAME_BLOCK[match[1]]}" if match[1] in FRAME_BLOCK else None
    if match := re.fullmatch(r"(loc|conf)_tower\.(\d)\.(0\.conv1d|1)", module):
        return f"coarse.{TOWER[match[1]]}_tower.blocks.{match[2]}.{BLOCK[match[3]]}"
    if match := re.fullmatch(r"(loc|conf)_proposal_branch\.(\w+)\.(0\.conv1d|1)", module):
        return f"refinement.{TOWER[match[1]]}_branch.{LAYER[match[2]]}.{BLOCK[match[3]]}" if match[2] in LAYER else None
    return None
