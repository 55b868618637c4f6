#!/bin/sh
# AFSD, Table 3: frames a second of a clip of 256 (THUMOS14), pictures of 96 x 96 as in the paper (3259 on a GTX 1080 Ti,
# 4057 on a V100). INPUT=frames measures the network whole, on colours; else that on features, and I3D in front of it, here
# with random weights. DEVICE from the environment (default: cpu) computes. `python3` has to be the one that has taltool.
# sh examples/reproduce/afsd-table3.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# With the FOLDER of afsd-table2f.sh its network is taken.
set -eu
model=afsd preset=thumos14 streams=rgb metrics='frames/s'
. "$(dirname "$0")/rows.sh"

fit both "$@"
python3 - "$out/both${streams:+-$streams}.safetensors" "${DEVICE:-cpu}" <<'PYTHON'
import statistics
import sys
import time

import torch

from taltool.experiment.checkpoint import load_checkpoint
from taltool.nn.clips.inception_i3d import InceptionI3D

path, device = sys.argv[1:]
network = load_checkpoint(path, device)
length, channels = network.experiment.sampling.length, network.header.channels
mask = torch.ones(1, length, dtype=torch.bool, device=device)
wanted = type(network.model).frames_wanted(network.experiment.model)


def seconds(work, times):
    """The median of how long `work` takes, after one call to warm up."""
    taken = []
    for _ in range(times + 1):
        started = time.perf_counter()
        with torch.inference_mode():
            work()
        if device != "cpu":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken[1:])


if wanted is not None:
    frames = length
    clip = torch.randint(0, 256, (1, channels, frames, wanted.crop, wanted.crop), dtype=torch.uint8, device=device)
    measured = [("from pixels", seconds(lambda: network.model(clip, mask), 3), "4057 (V100)")]
else:
    frames = length * network.experiment.model.frames_per_snippet
    features = torch.randn(1, channels, length, device=device)
    pictures = torch.randn(1, 3, frames, 96, 96, device=device)
    i3d = InceptionI3D(3).eval().to(device)
    head, body = seconds(lambda: network.model(features, mask), 20), seconds(lambda: i3d(pictures), 3)
    measured = [("on features", head, "-"), ("I3D and network", head + body, "4057 (V100)")]
where = torch.cuda.get_device_name(device) if device != "cpu" else f"cpu, {torch.get_num_threads()} threads"
for title, taken, paper in measured:
    print(f"{title + ', ' + where:34} {frames / taken:8.0f} |        {paper}")
PYTHON
