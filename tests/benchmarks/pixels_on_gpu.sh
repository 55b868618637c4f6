#!/bin/sh
# AFSD from pixels on a GPU, in under ten minutes: sh tests/benchmarks/pixels_on_gpu.sh [FOLDER]
# Extracts frames, trains on them and predicts on the GPU and on the processor, whose detections have to agree to 1e-3;
# makes a training step at full size in float32 and bfloat16, and tells time and memory; then frames a second in
# inference (the paper: 3,259 on a GTX 1080 Ti, 4,057 on a V100). DEVICE=cpu runs it on a processor, but for bfloat16.
set -eu
cd "$(dirname "$0")/../.."
data=${1:-$(mktemp -d)} device=${DEVICE:-cuda}

python examples/make_videos.py "$data"
taltool extract "$data/videos" --backbone frames --fps 10 --set backbone.height=72 --set backbone.width=72 \
    -o "$data/frames.h5"
taltool train --model afsd "$data/frames.h5" "$data/gt.json" --device "$device" --set model.backbone_divisor=8 \
    --set training.epochs=2 -o "$data/afsd.safetensors"
for where in "$device" cpu; do
    taltool predict --model "$data/afsd.safetensors" "$data/frames.h5" --device "$where" --top-k 0 --min-score 0 \
        -o "$data/$where.jsonl"
done
python - "$data" "$device" <<'PYTHON'
import sys
import time
from pathlib import Path

import numpy as np
import torch

from taltool.data.proposals import ProposalReader
from taltool.models.afsd.model import AFSD, AFSDConfig
from taltool.models.contract import Batch, Targets

folder, device = Path(sys.argv[1]), sys.argv[2]
worst, videos = 0.0, 0
with ProposalReader(str(folder / f"{device}.jsonl")) as ours, ProposalReader(str(folder / "cpu.jsonl")) as theirs:
    for one, other in zip(ours, theirs, strict=True):
        # Sorted, numbers that differ by a little do so by no more than they did in pairs.
        for numbers in (lambda found: found.scores, lambda found: found.segments.T):
            worst = max(worst, float(np.abs(np.sort(numbers(one)) - np.sort(numbers(other))).max()))
        videos += 1
print(f"{videos} videos, predicted on {device} and on the processor: scores and ends (s) differ by at most {worst:.1e}")
assert worst < 1e-3

torch.manual_seed(0)
clip = torch.randint(0, 256, (1, 3, 256, 96, 96), dtype=torch.uint8, device=device)
targets = Targets([torch.tensor([[40.0, 90.0], [150.0, 170.0]])], [torch.tensor([1, 3])])
batch = Batch(clip, torch.ones(1, 256, dtype=torch.bool, device=device), targets, ["drawn"], [20.0], [20.0])
for precision in (None,) if device == "cpu" else (None, torch.bfloat16):
    network = AFSD(AFSDConfig(input="frames"), 3, 20, 256).to(device).train()
    optimizer = torch.optim.Adam([each for each in network.parameters() if each.requires_grad], 1e-5)
    losses = []
    for _ in range(2):  # The first warms up.
        if device != "cpu":
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        begun = time.perf_counter()
        with torch.autocast(torch.device(device).type, precision, enabled=precision is not None):
            loss = sum(network.training_loss(batch, "all").values())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(float(loss.detach()))
    memory = f", {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB" if device != "cpu" else ""
    print(f"a training step of 256 frames, {precision or torch.float32}: {time.perf_counter() - begun:.3f} s{memory}, "
          f"loss {losses[0]:.4f}, then {losses[1]:.4f}")
    assert all(map(np.isfinite, losses))
PYTHON
python tests/benchmarks/bench_afsd_frames.py --device "$device"
