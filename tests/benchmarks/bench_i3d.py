"""Speed of I3D on one clip, against the public PyTorch I3D as its users run it, in the same run.

    OMP_NUM_THREADS=1 python tests/benchmarks/bench_i3d.py [pytorch_i3d.py] [--clips N] [--compile] [--device cuda]

pytorch_i3d.py is that file of github.com/piergiaj/pytorch-i3d, which is not part of this project; without it our own
network, neither folded nor laid out channels last, stands for it. Both get the same random weights. A round times every
way once, the fastest of its rounds counts, so that other work on the machine disturbs all alike. The clips are the
snippets of one video at every 4 frames: "neighbours" is our network on all of them as `extract` runs it on processors,
where they share the first convolution. With more threads than one our network is timed in two ways: all threads on one
clip, and, as `extract` does, every thread on clips of its own. Rates are told in clips (16 x 224 x 224, 55.6 GFLOP) and
against what a matrix product of that number type reaches here; where torch's matrix products are slow (MKL on
processors that are not Intel's), convolutions by oneDNN are well above it.
"""

import argparse
import importlib.util
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from taltool.backbones.contract import Computing, is_quick_on_cpu
from taltool.backbones.i3d import I3D

_GFLOP = 55.6
_SIDE = 4096
_FRAMES, _STRIDE = 16, 4
_TYPES = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
Way = Callable[[], Any]


def weights() -> dict[str, Tensor]:
    """Weights of the public checkpoint's names for which no layer's output dies out."""
    state = I3D(I3D.Config(output="logits")).network.state_dict()
    torch.manual_seed(0)
    for name, value in state.items():
        if name.endswith(("running_mean", "bn.bias")):
            nn.init.uniform_(value, -0.1, 0.1)
        elif name.endswith(("running_var", "bn.weight")):
            nn.init.uniform_(value, 0.9, 1.1)
    return state


def public_network(path: str, state: dict[str, Tensor]) -> Any:
    """The network of the public file, as its script uses it."""
    spec = importlib.util.spec_from_file_location("pytorch_i3d", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network: Any = module.InceptionI3d(400, in_channels=3)
    network.load_state_dict(state)
    return network.train(False)


def plain_way(path: str | None, state: dict[str, Tensor], pixels: Tensor) -> Way:
    """Features by the public network, or by ours without anything done to it, without gradients."""
    if path is None:
        backbone = I3D(I3D.Config())
        backbone.load(state, "benchmark")
        network = backbone.network.to(pixels.device)
        return lambda: network(pixels)
    public = public_network(path, state).to(pixels.device)
    return lambda: public.extract_features(pixels).flatten(1)


def our_way(state: dict[str, Tensor], computing: Computing, pixels: Tensor) -> Way:
    """Features by our network, prepared in this way; one clip at a time on processors."""
    backbone = I3D(I3D.Config())
    backbone.load(state, "benchmark")
    backbone.prepare(computing)
    batches = pixels.to(memory_format=torch.channels_last_3d).split(1 if computing.device == "cpu" else len(pixels))
    return lambda: torch.cat([backbone.features(batch) for batch in batches])


def neighbours_way(state: dict[str, Tensor], computing: Computing, frames: Tensor) -> Way:
    """Features by our network of all snippets of a video (1, 3, T, H, W), which share what they can."""
    backbone = I3D(I3D.Config())
    backbone.load(state, "benchmark")
    backbone.prepare(computing)
    network: Any = backbone.network
    volume = frames.to(_TYPES[computing.precision], memory_format=torch.channels_last_3d)

    def way() -> Tensor:
        with torch.inference_mode():
            return torch.cat([row.float() for row in network.forward_clips(volume, _FRAMES, _STRIDE)])

    return way


def seconds(way: Way) -> float:
    """How long one call takes, on a GPU until it is done."""
    begun = time.perf_counter()
    way()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def seconds_together(way: Way, threads: int) -> float:
    """How long one of `threads` calls takes that are made at once, each with one thread."""
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        list(pool.map(lambda _: None, range(threads)))
        return seconds(lambda: list(pool.map(lambda _: way(), range(2 * threads)))) / (2 * threads)


def matrix_rate(precision: str, device: str) -> float:
    """GFLOP/s of one large matrix product."""
    one = torch.rand(_SIDE // 2, _SIDE, device=device).to(_TYPES[precision])
    other = torch.rand(_SIDE, _SIDE // 2, device=device).to(_TYPES[precision])
    taken = min(seconds(lambda: one @ other) for _ in range(4))
    return 2 * _SIDE * (_SIDE // 2) ** 2 / taken / 1e9


def main(options: argparse.Namespace) -> None:
    """Print seconds a clip, ratios and agreement of every way."""
    state = weights()
    length = _FRAMES + _STRIDE * (options.clips - 1)
    frames = torch.rand(1, 3, length, 224, 224, generator=torch.Generator().manual_seed(1)) * 2 - 1
    frames = frames.to(options.device)
    pixels = torch.cat([frames[:, :, _STRIDE * n :][:, :, :_FRAMES] for n in range(options.clips)])
    named = "public" if options.public else "plain, ours"
    ways = {named: plain_way(options.public, state, pixels)}
    precisions = [each for each in _TYPES if each == "float32" or options.device != "cpu" or is_quick_on_cpu(each)]
    for precision in precisions:
        for compiled in [False, True] if options.compile else [False]:
            computing = Computing(options.device, precision, compiled)  # type: ignore[arg-type]
            ways[f"{precision}{' compiled' if compiled else ''}"] = our_way(state, computing, pixels)
        if options.device == "cpu":
            ways[f"{precision}, neighbours"] = neighbours_way(state, Computing(precision=precision), frames)  # type: ignore[arg-type]
    with torch.no_grad():
        features = {name: way() for name, way in ways.items()}
        threads = 1 if options.device != "cpu" else torch.get_num_threads()
        together = {f"{name}, on every thread": name for name in ways if threads > 1 and name != named}
        features |= {name: features[own] for name, own in together.items()}
        best = {name: float("inf") for name in [*ways, *together]}
        for _ in range(options.rounds):
            for name, way in ways.items():
                best[name] = min(best[name], seconds(way) / options.clips)
            for name, own in together.items():
                best[name] = min(best[name], seconds_together(ways[own], threads) / options.clips)
                torch.set_num_threads(threads)
    rates = {precision: matrix_rate(precision, options.device) for precision in precisions}
    for name, taken in best.items():
        difference = float((features[name] - features[named]).abs().max())
        cosine = float(torch.cosine_similarity(features[name], features[named]).min())
        share = _GFLOP / taken / rates[name.split()[0].rstrip(",") if name != named else "float32"]
        print(
            f"{name:36} {taken:7.4f} s/clip  {best[named] / taken:5.2f} x  {share:4.0%} of a matrix product's rate  "
            f"largest difference {difference:.1e}  cosine {cosine:.6f}"
        )


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("public", nargs="?", type=lambda path: str(Path(path).resolve(strict=True)))
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


if __name__ == "__main__":
    main(options())
