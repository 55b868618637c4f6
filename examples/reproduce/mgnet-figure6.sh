#!/bin/sh
# MGNet, Figure 6: the five formations of the mask map of actions, which the paper draws of an example; here of what the
# trained network takes for foreground in VIDEO (from the environment; default: the first one). Row = the snippet that
# looks, column = what it sees. Needs taltool[plot]; `python3` has to be the one that has taltool.
# sh examples/reproduce/mgnet-figure6.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# In the FOLDER of Table 2 its network is taken.
set -eu
model=mgnet preset=activitynet13
metrics='AR@100 AUC' measured='--metric ar --an 100'
. "$(dirname "$0")/rows.sh"

row mgnet MGNet '77.12 68.85' "$@"
python3 - "$out/mgnet.safetensors" "$features" "$truth" "$out/mgnet.jsonl" "$out/figure6.png" "${VIDEO:-}" <<'PYTHON'
import sys

import torch
from matplotlib.figure import Figure

from taltool.data.annotations import read_ground_truth
from taltool.data.hdf5_features import ClockOptions, FeatureFile
from taltool.data.proposals import ProposalReader
from taltool.experiment.batches import NO_INSTANCES, collate, read_example
from taltool.experiment.checkpoint import load_checkpoint
from taltool.experiment.sampling import FeatureSource, cut_samples
from taltool.models.mgnet.attention import binarised, mask_map
from taltool.models.mgnet.loss import mean_logits

FORMS = {
    "w/o mask": "none",
    "fore - self": "fore_self",
    "fores - fores": "fores_fores",
    "fores - fores & backs - adj": "fores_fores_backs_adj",
    "all - fores": "all_fores",
}
network, features, truth, found, picture, video = sys.argv[1:]
checkpoint = load_checkpoint(network)
model, sampling = checkpoint.model, checkpoint.experiment.sampling
if not video:
    with ProposalReader(found) as reader:
        video = next(iter(reader)).video_id
with FeatureFile(features, ClockOptions(), read_ground_truth(truth).durations) as file:
    source = FeatureSource(file, sampling, checkpoint.statistics)
    sample = cut_samples(video, source.length(video), source.clock(video), sampling, sampling.test_stride)[0]
    batch = collate([read_example(source, sample, NO_INSTANCES)], sampling, model.length_multiple)
with torch.inference_mode():
    action = mean_logits(model(batch.features, batch.mask)["mask_logits"]).sigmoid()[:, 0]
foreground = binarised(action, model.config.alpha_action, batch.mask)
length = foreground.shape[1]
figure = Figure(figsize=(15, 3.4), layout="constrained")
figure.suptitle(f"{video}: {int(foreground.sum())} of {length} snippets are foreground")
for axes, (title, form) in zip(figure.subplots(1, 5), FORMS.items()):
    axes.imshow(mask_map(foreground, form, model.config.dilation).expand(1, length, length)[0], vmin=0, vmax=1)
    axes.set_title(title)
figure.savefig(picture)
print(picture)
PYTHON
