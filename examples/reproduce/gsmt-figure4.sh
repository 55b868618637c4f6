#!/bin/sh
# GSMT, Figure 4: cosine similarity of all pairs of snippets of a video behind each embedding of Table 4 (ActivityNet
# 1.3; the paper draws a video and gives no numbers). VIDEO in the environment is its id; default: the first test video.
# Lines give the mean similarity within actions, within background, and between both. Needs taltool[plot]; `python3` has
# to be the one that has taltool.
# sh examples/reproduce/gsmt-figure4.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# In the FOLDER of Table 4 its networks are taken.
set -eu
model=gsmt preset=activitynet13
metrics='action backgr between'
. "$(dirname "$0")/rows.sh"

fit cnn1d --set model.embedding=cnn1d "$@"
fit mstcn --set model.embedding=mstcn "$@"
fit transformer "$@"
python3 - "$features" "$truth" "$subset" "${SPLIT:-}" "${VIDEO:-}" "$out" <<'PYTHON'
import sys

import torch
from matplotlib.figure import Figure

from taltool.data.annotations import read_ground_truth
from taltool.data.hdf5_features import ClockOptions, FeatureFile
from taltool.experiment.batches import collate, read_example
from taltool.experiment.checkpoint import load_checkpoint
from taltool.experiment.dataset import chosen_videos, label_videos, usable_instances
from taltool.experiment.sampling import FeatureSource, cut_samples
from taltool.reporting import SILENT

features, truth_file, subset, split, video, out = sys.argv[1:]
truth = read_ground_truth(truth_file)
figure = Figure(figsize=(12, 4.2), layout="constrained")
columns = figure.subplots(1, 3)
for axes, (name, title) in zip(columns, {"cnn1d": "1D CNN", "mstcn": "MS-TCN", "transformer": "Transformer"}.items()):
    checkpoint = load_checkpoint(f"{out}/{name}.safetensors")
    model, sampling = checkpoint.model, checkpoint.experiment.sampling
    with FeatureFile(features, ClockOptions(), truth.durations) as file:
        video = video or chosen_videos(file, subset, split or None, truth, False, SILENT)[0]
        source = FeatureSource(file, sampling, checkpoint.statistics)
        sample = cut_samples(video, source.length(video), source.clock(video), sampling, sampling.test_stride)[0]
        own = truth.only([video])
        (labelled,) = label_videos(own, usable_instances(own, file, SILENT), checkpoint.header.classes, SILENT)
        batch = collate([read_example(source, sample, (labelled.segments, labelled.labels))], sampling, model.length_multiple)
    found = []
    model.embedding.register_forward_hook(lambda *call: found.append(call[2]))
    with torch.inference_mode():
        model(batch.features, batch.mask)
    unit = torch.nn.functional.normalize(found[0][0], dim=0)
    similarity = unit.T @ unit  # (T, T)
    action = model.snippet_targets(batch.targets, batch.mask.float())[0][0] < model.background
    means = [similarity[a][:, b].mean().item() for a, b in ((action, action), (~action, ~action), (action, ~action))]
    ours = " ".join(f"{value:8.3f}" for value in means)
    print(f"{title:34} {ours} |        {'-':>8} {'-':>8} {'-':>8}")
    axes.imshow(similarity, vmin=-1, vmax=1)
    axes.set(title=title, xlabel="snippet")
    for place in action.diff().nonzero().flatten().tolist():
        axes.axvline(place + 0.5, color="white", linewidth=0.8)
figure.suptitle(f"{video}: cosine similarity of snippets; lines are the ends of actions")
figure.savefig(f"{out}/figure4.png")
print(f"{out}/figure4.png")
PYTHON
