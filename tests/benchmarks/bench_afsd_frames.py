"""Frames a second of AFSD from pixels in inference, beside a plain torch network of the same weights.

    python tests/benchmarks/bench_afsd_frames.py [--device cuda] [--frames 256] [--clips 1] [--rounds 5]

The plain way computes I3D, where nearly all of the time goes, by torch's own functions: pad, conv3d, batch_norm, relu,
max_pool3d. Ours is the network as `predict` loads it, in float32 and, on GPUs, by autocast in bfloat16, both with its
filters laid out as they come and channels last. Ways take turns, times are medians; on a processor one thread computes.
The paper (Table 3) says 3,259 frames a second on a GTX 1080 Ti and 4,057 on a V100, for colours at 96 x 96.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taltool.models.afsd.frames import FramePyramid
from taltool.models.afsd.model import AFSD, AFSDConfig
from taltool.models.contract import Outputs

_CROP = 96
_POOLS = {
    "Conv3d_2b_1x1": ((1, 3, 3), (1, 2, 2)),
    "Mixed_3b": ((1, 3, 3), (1, 2, 2)),
    "Mixed_4b": ((3, 3, 3), (2, 2, 2)),
    "Mixed_5b": ((2, 2, 2), (2, 2, 2)),
}
_UNITS = ("Conv3d_1a_7x7", "Conv3d_2b_1x1", "Conv3d_2c_3x3")
_BLOCKS = ("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c")

Way = Callable[[], Outputs]


def padded(volume: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """Zeros around a volume, as TensorFlow's "same" padding lays them."""
    zeros: list[int] = []
    for size, width, step in zip(volume.shape[2:], kernel, stride, strict=True):
        total = max((-(-size // step) - 1) * step + width - size, 0)
        zeros = [total // 2, total - total // 2, *zeros]
    return F.pad(volume, zeros)


def plain_end_points(state: Mapping[str, Tensor], volume: Tensor, names: Collection[str]) -> dict[str, Tensor]:
    """The end points of I3D with the weights `state`."""

    def unit(name: str, volume: Tensor, stride: tuple[int, ...] = (1, 1, 1)) -> Tensor:
        weight = state[f"{name}.conv3d.weight"]
        volume = F.conv3d(padded(volume, tuple(weight.shape[2:]), stride), weight, stride=stride)
        kinds = ("running_mean", "running_var", "weight", "bias")
        return F.relu(F.batch_norm(volume, *(state[f"{name}.bn.{kind}"] for kind in kinds), eps=0.001))

    def pool(volume: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
        return F.max_pool3d(padded(volume, kernel, stride), kernel, stride)

    found = {}
    for name in (*_UNITS, *(f"Mixed_{block}" for block in _BLOCKS)):
        if name in _POOLS:
            volume = pool(volume, *_POOLS[name])
        if name in _UNITS:
            volume = unit(name, volume, (2, 2, 2) if name == _UNITS[0] else (1, 1, 1))
        else:
            branches = [unit(f"{name}.b0", volume)]
            branches += [unit(f"{name}.b{n}b", unit(f"{name}.b{n}a", volume)) for n in (1, 2)]
            volume = torch.cat([*branches, unit(f"{name}.b3b", pool(volume, (3, 3, 3), (1, 1, 1)))], dim=1)
        if name in names:
            found[name] = volume
    return found


def network(frames: int, device: str) -> AFSD:
    """The network for THUMOS14 with running statistics that are not those of a new one."""
    torch.manual_seed(0)
    model = AFSD(AFSDConfig(input="frames"), 3, 20, frames)
    for name, value in model.state_dict().items():
        if name.endswith(("running_mean", "bn.bias")):
            value.uniform_(-0.1, 0.1)
        elif name.endswith(("running_var", "bn.weight")):
            value.uniform_(0.9, 1.1)
    return model.to(device).eval()


def plain_way(model: AFSD, clips: Tensor, mask: Tensor) -> Way:
    """The network with I3D by torch's own functions."""
    own = copy.deepcopy(model)
    assert isinstance(own.pyramid, FramePyramid)
    state = own.pyramid.backbone.state_dict()
    own.pyramid.backbone.end_points = lambda volume, names: plain_end_points(state, volume, names)  # type: ignore[method-assign]

    def way() -> Outputs:
        with torch.no_grad():
            return own(clips, mask)

    return way


def our_way(model: AFSD, clips: Tensor, mask: Tensor, precision: torch.dtype, is_channels_last: bool) -> Way:
    """The network as it predicts."""
    own = copy.deepcopy(model)
    own.prepare_inference()
    layout = torch.channels_last_3d if is_channels_last else torch.contiguous_format
    for module in own.modules():
        if isinstance(module, nn.Conv3d):
            module.to(memory_format=layout)  # type: ignore[call-overload]
    is_half = precision != torch.float32

    def way() -> Outputs:
        with torch.inference_mode(), torch.autocast(clips.device.type, precision) if is_half else nullcontext():
            return own(clips, mask)

    return way


def seconds(way: Way) -> float:
    """How long one call takes, on a GPU until it is done."""
    begun = time.perf_counter()
    way()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def main(options: argparse.Namespace) -> None:
    """Print seconds, frames a second, ratios and agreement of every way."""
    if options.device == "cpu":
        torch.set_num_threads(1)
    shape = (options.clips, 3, options.frames, _CROP, _CROP)
    clips = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    clips = clips.to(options.device)
    mask = torch.ones(options.clips, options.frames, dtype=torch.bool, device=options.device)
    model = network(options.frames, options.device)
    precisions = {"float32": torch.float32} | ({} if options.device == "cpu" else {"bfloat16": torch.bfloat16})
    ways = {"plain torch, float32": plain_way(model, clips, mask)}
    for name, precision in precisions.items():
        for is_channels_last in (False, True):
            layout = ", channels last" if is_channels_last else ""
            ways[f"ours, {name}{layout}"] = our_way(model, clips, mask, precision, is_channels_last)
    said = {name: way() for name, way in ways.items()}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, way in ways.items():
            taken[name].append(seconds(way))
    expected = said["plain torch, float32"]
    first = statistics.median(taken["plain torch, float32"])
    for name, times in taken.items():
        median = statistics.median(times)
        difference = max(float((said[name][key] - expected[key]).abs().max()) for key in ("logits", "refined_logits"))
        print(
            f"{name:32} {median:8.4f} s  {options.clips * options.frames / median:8.0f} frames/s  "
            f"{first / median:5.2f} x  largest difference of logits {difference:.1e}"
        )


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--frames", type=int, default=256)
    parser.add_argument("--clips", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main(options())
