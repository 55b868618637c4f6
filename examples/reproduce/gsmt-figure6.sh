#!/bin/sh
# GSMT, Figure 6: the mask of a video with and without the boundary loss (ActivityNet 1.3; the paper draws a video).
# VIDEO in the environment is its id; default: the first test video. Drawn is the mask of the likeliest snippet of each
# instance; lines give how many pieces those have at 0.5, one being right, and their mean tIoU with the instance. Needs
# taltool[plot]; `python3` has to be the one that has taltool.
# sh examples/reproduce/gsmt-figure6.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# In the FOLDER of Table 5 its networks are taken.
set -eu
model=gsmt preset=activitynet13
metrics='pieces tIoU'
. "$(dirname "$0")/rows.sh"

fit full "$@"
fit biou --set model.loss_biou=false "$@"
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
from taltool.models.decoding import runs
from taltool.reporting import SILENT

features, truth_file, subset, split, video, out = sys.argv[1:]
truth = read_ground_truth(truth_file)
figure = Figure(figsize=(10, 4), layout="constrained")
rows = figure.subplots(2, 1, sharex=True)
for axes, (name, title) in zip(rows, {"full": "with bIoU", "biou": "without bIoU"}.items()):
    checkpoint = load_checkpoint(f"{out}/{name}.safetensors")
    model, sampling = checkpoint.model, checkpoint.experiment.sampling
    with FeatureFile(features, ClockOptions(), truth.durations) as file:
        video = video or chosen_videos(file, subset, split or None, truth, False, SILENT)[0]
        source = FeatureSource(file, sampling, checkpoint.statistics)
        sample = cut_samples(video, source.length(video), source.clock(video), sampling, sampling.test_stride)[0]
        own = truth.only([video])
        (labelled,) = label_videos(own, usable_instances(own, file, SILENT), checkpoint.header.classes, SILENT)
        batch = collate([read_example(source, sample, (labelled.segments, labelled.labels))], sampling, model.length_multiple)
    with torch.inference_mode():
        outputs = model(batch.features, batch.mask)
    best = outputs["class_logits"][0].softmax(0)[:-1].amax(0)  # (T,)
    instances = model.snippet_targets(batch.targets, batch.mask.float())[1][0].unique(dim=0)
    instances = instances[instances.any(1)]  # (M, T)
    chosen = (best * instances).argmax(1)
    masks = outputs["mask_logits"][0, chosen].sigmoid()  # (M, T)
    active = masks >= 0.5
    overlap = (active & (instances > 0)).sum(1) / (active | (instances > 0)).sum(1)
    pieces = len(runs(active).rows) / len(instances)
    print(f"{title:34} {pieces:8.2f} {overlap.mean().item():8.3f} |        {'-':>8} {'-':>8}")
    axes.fill_between(range(instances.shape[1]), instances.amax(0), step="mid", alpha=0.2, label="ground truth")
    axes.plot(masks.T)
    axes.set(title=title, ylim=(0, 1), ylabel="mask")
rows[0].legend()
rows[1].set_xlabel("snippet")
figure.suptitle(video)
figure.savefig(f"{out}/figure6.png")
print(f"{out}/figure6.png")
PYTHON
