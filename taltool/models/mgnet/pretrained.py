"""Weights of MGNet that its authors' code trained: their names of tensors in ours (two streams, preset `code`)."""

from collections.abc import Iterator, Mapping

from torch import Tensor

from taltool.errors import DataError

STREAMS = 2
# Modules of one stream outside its transformers; {n} is its number, from 1 in their names and from 0 in ours. The
# boundary's modules count on behind those of the action: {m}.
STREAM = {
    "DSBNet.mask_Tr{n}_conv_1.0": "encoders.{s}.auxiliary.hidden.conv",
    "DSBNet.mask_Tr{n}_conv_2.0": "encoders.{s}.auxiliary.output",
    "DSBNet.mask_conv{n}_1.0": "encoders.{s}.convs.first.conv",
    "DSBNet.mask_conv{n}_2.0": "encoders.{s}.convs.second.conv",
    "DSBNet.mask_conv{n}_3.0": "mask_heads.heads.{s}",
    "DSBNet.Tr{n}_conv_1.0": "fused.{s}.action.reduce.conv",
    "DSBNet.Tr{n}_conv_2.0": "guided_action.{s}",
    "DSBNet.Tr{m}_conv_1.0": "fused.{s}.boundary.reduce.conv",
    "DSBNet.Tr{m}_conv_2.0": "guided_boundary.{s}",
    "DSBNet.conv{n}_1.0": "fused.{s}.local.first.conv",
    "DSBNet.conv{n}_2.0": "fused.{s}.local.second.conv",
    "DSBNet.conv{n}_3.0": "action_heads.heads.{s}",
    "DSBNet.conv{m}_3.0": "boundary_heads.heads.{s}",
}
# Heads on the sum of both streams, and the dense heads.
SHARED = {
    "DSBNet.mask_conv3.0": "mask_heads.heads.2",
    "DSBNet.conv3_1.0": "action_heads.heads.2",
    "DSBNet.conv3_2.0": "boundary_heads.heads.2",
    "PropFeatGen.conv3d.0": "boundary.points",
    "ACRNet.conv2d.0.0": "completeness.enter",
    "ACRNet.conv2d.2.0": "completeness.rest.hidden",
    "ACRNet.conv2d.4.0": "completeness.rest.output",
    "TBCNet.conv2d.0.0": "boundary.enter",
    "TBCNet.conv2d.2.0": "boundary.rest.hidden",
    "TBCNet.conv2d.4.0": "boundary.rest.output",
}
BLOCK = {
    "norm1": "block.norms.0",
    "norm2": "block.norms.1",
    "mlp.fc1": "block.expand",
    "mlp.fc2": "block.contract",
    "attn.start_k": "attention.keys.0",
    "attn.end_k": "attention.keys.1",
    "attn.start_norm": "attention.key_norms.0",
    "attn.end_norm": "attention.key_norms.1",
    "attn.proj.0": "join.layer.conv",
    "attn.fusion_block.channel_trans.downsample": "join.layer.shortcut",
    "attn.fusion_block.channel_trans.conv1": "join.layer.first.conv",
    "attn.fusion_block.channel_trans.conv2": "join.layer.second.conv",
}
# Layers that they hold as one, and what ours are called in the order of their rows.
JOINT = {"attn.qkv": ("query", "keys.0", "value"), "attn.qv": ("query", "value")}
# Fixed sines.
IGNORED = "pos_embed.pos_table"


def from_authors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of `MGNet` with preset `code` from a state of the authors' network (prefix `module.` allowed).

    Raises DataError, naming the tensor, for one that their network does not have.
    """
    depth = len({name.split(".blocks.")[1].split(".")[0] for name in state if ".blocks." in name})
    single, joint = dict(_modules(depth)), dict(_joint_modules(depth))
    places = {f"DSBNet.{kind}_ViT{s + 1}.pos_embed": f"fused.{s}.{kind}.embed.place.table" for s, kind in _guided()}
    ours: dict[str, Tensor] = {}
    for name, value in state.items():
        plain = name.removeprefix("module.")
        module, _, kind = plain.rpartition(".")
        if plain in places:
            ours[places[plain]] = value.squeeze(0).T
        elif module in joint:
            ours |= dict(zip(joint[module], value.chunk(len(joint[module])), strict=True))
        elif module in single:
            ours[f"{single[module]}.{kind}"] = value.flatten(1) if _is_dense(plain) else value
        elif not plain.endswith(IGNORED):
            raise DataError(f"tensor '{name}' is not part of the authors' MGNet")
    return ours


def _is_dense(name: str) -> bool:
    """Whether a convolution of theirs is a linear layer of ours."""
    return not name.startswith("DSBNet.") and name.endswith("weight")


def _guided() -> list[tuple[int, str]]:
    return [(stream, kind) for stream in range(STREAMS) for kind in ("action", "boundary")]


def _blocks(depth: int) -> Iterator[tuple[str, str]]:
    """Their and our prefix of every transformer block, FMG's last layer of attention apart."""
    for stream in range(STREAMS):
        yield f"DSBNet.mask_ViT{stream + 1}.blocks.0.", f"encoders.{stream}."
    for stream, kind in _guided():
        for layer in range(depth):
            yield f"DSBNet.{kind}_ViT{stream + 1}.blocks.{layer}.", f"fused.{stream}.{kind}.layers.{layer}."


def _modules(depth: int) -> Iterator[tuple[str, str]]:
    """Their and our name of every module that is one in both."""
    yield from SHARED.items()
    for stream in range(STREAMS):
        numbers = {"s": stream, "n": stream + 1, "m": stream + 1 + STREAMS}
        yield from ((theirs.format(**numbers), our.format(**numbers)) for theirs, our in STREAM.items())
        yield f"DSBNet.mask_ViT{stream + 1}.blocks.0.attn.proj", f"encoders.{stream}.project"
    transformers = [(f"mask_ViT{s + 1}", f"encoders.{s}") for s in range(STREAMS)]
    transformers += [(f"{kind}_ViT{s + 1}", f"fused.{s}.{kind}") for s, kind in _guided()]
    for theirs, our in transformers:
        yield f"DSBNet.{theirs}.patch_embed.proj", f"{our}.embed.project"
        yield f"DSBNet.{theirs}.norm", f"{our}.norm"
    for prefix, own_prefix in _blocks(depth):
        yield from ((prefix + theirs, own_prefix + our) for theirs, our in BLOCK.items())


def _joint_modules(depth: int) -> Iterator[tuple[str, list[str]]]:
    """Their name of every joint layer, and the names of our tensors that it holds."""
    for prefix, own_prefix in _blocks(depth):
        for theirs, parts in JOINT.items():
            yield prefix + theirs, [f"{own_prefix}attention.{part}.weight" for part in parts]
