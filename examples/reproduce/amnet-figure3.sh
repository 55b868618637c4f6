#!/bin/sh
# AMNet, Figure 3: what the Action Masking Encoder adds to a video's features (THUMOS14): the mean over the channels of
# the feature, of the mask and of their sum, at each snippet. VIDEO names the video; by default the first one is drawn.
# The means inside and outside of instances are of all videos of the subset; the paper says that the sum is "more
# salient around the action". It does not name its video.
# sh examples/reproduce/amnet-figure3.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# With the FOLDER of amnet-table2.sh its network is taken.
set -eu
model=amnet preset=thumos14
metrics='mAP@0.30 mAP@0.40 mAP@0.50 mAP@0.60 mAP@0.70 average_mAP'
. "$(dirname "$0")/rows.sh"

row full 'AME + GAM + MS' '76.7 73.1 66.8 57.2 42.7 63.3' "$@"
python3 - "$out/full.safetensors" "$out/full.jsonl" "$features" "$truth" "$out/figure3.png" "${VIDEO:-}" <<'PYTHON'
import sys
import numpy as np
import torch
from matplotlib import pyplot
from taltool.data.annotations import read_ground_truth
from taltool.data.hdf5_features import ClockOptions, FeatureFile
from taltool.data.proposals import ProposalReader
from taltool.experiment.checkpoint import load_checkpoint
from taltool.experiment.sampling import FeatureSource

weights, found, features, truth, picture, chosen = sys.argv[1:]
known, network = read_ground_truth(truth), load_checkpoint(weights)
with ProposalReader(found) as reader:
    videos = [video.video_id for video in reader]  # Those of the subset.
chosen = chosen or videos[0]
rows = ("feature", "mask", "masked feature")
inside, outside = [], []
with FeatureFile(features, ClockOptions(), known.durations) as file, torch.inference_mode():
    source = FeatureSource(file, network.experiment.sampling, network.statistics)
    for video in {chosen: None, **dict.fromkeys(videos)}:
        length, clock = source.length(video), source.clock(video)
        feature = torch.from_numpy(source.read(video, 0, length).copy()).T[None]  # (1, C, T)
        masked = network.model.masked(feature, torch.ones(1, length, dtype=torch.bool))
        means = torch.stack([feature, masked - feature, masked])[:, 0].mean(1).numpy()  # (3, T)
        seconds = np.array([clock.seconds(place + 0.5) for place in range(length)])
        segments = known.videos[video].segments
        is_action = ((seconds[:, None] >= segments[:, 0]) & (seconds[:, None] <= segments[:, 1])).any(1)
        if video == chosen:
            figure, axes = pyplot.subplots(3, 1, sharex=True, figsize=(10, 5), layout="constrained")
            for axis, name, values in zip(axes, rows, means):
                axis.plot(seconds, values, linewidth=1)
                axis.set_ylabel(name)
                for start, end in segments:
                    axis.axvspan(start, end, alpha=0.2, color="tab:green", linewidth=0)
            axes[0].set_title(f"{video}: mean over channels; shaded: instances")
            axes[-1].set_xlabel("seconds")
            figure.savefig(picture)
        inside.append(means[:, is_action])
        outside.append(means[:, ~is_action])
print(f"{'mean over channels':34} {'inside':>9} {'outside':>9} {'gap/std':>9}")
for name, own, other in zip(rows, np.concatenate(inside, 1), np.concatenate(outside, 1)):
    gap = (own.mean() - other.mean()) / max(np.concatenate([own, other]).std(), 1e-12)
    print(f"{name:34} {own.mean():9.4f} {other.mean():9.4f} {gap:9.2f}")
print(picture)
PYTHON
