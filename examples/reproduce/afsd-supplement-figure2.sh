#!/bin/sh
# AFSD, supplement, Figure 2: coarse and refined segments beside the ground truth, and the mean over channels of the
# start- and end-sensitive frame-level features, with and without boundary consistency learning (THUMOS14). VIDEO from the
# environment names the video of the picture; by default the first four. A line for each of the first four videos gives its
# best coarse and refined segment; the paper's examples are of videos that it does not name. Needs taltool[plot];
# `python3` has to be the one that has taltool.
# sh examples/reproduce/afsd-supplement-figure2.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# With the FOLDER of afsd-table2f.sh its networks are taken.
set -eu
model=afsd preset=thumos14 streams=rgb metrics='seconds'
. "$(dirname "$0")/rows.sh"

fit none --set model.bcl=none "$@"
fit both "$@"
own=${streams:+-$streams}
python3 - "$out/both$own.safetensors" "$features" "$truth" "$subset" "${SPLIT:-}" <<'PYTHON'
import sys

import numpy as np
import torch

from taltool.data.annotations import read_ground_truth
from taltool.data.hdf5_features import ClockOptions, FeatureFile
from taltool.experiment.batches import NO_INSTANCES, collate, read_example
from taltool.experiment.checkpoint import load_checkpoint
from taltool.experiment.sampling import cut_samples
from taltool.models.afsd.loss import refined_distances
from taltool.ops.segments import tiou
from taltool.prediction.detector import make_detector

path, features, truth_file, subset, split = sys.argv[1:]
truth = read_ground_truth(truth_file, split or None).subset(subset)
network = load_checkpoint(path)
model, sampling = network.model, network.experiment.sampling


def holding(windows, video):
    """The first test window that holds an instance whole, and that instance."""
    for sample in windows:
        first, last = sample.clock.seconds(0.0), sample.clock.seconds(float(sample.count))
        for segment in truth.videos[video].segments:
            if first <= segment[0] < segment[1] <= last:
                return sample, segment
    return windows[0], truth.videos[video].segments[0]


with FeatureFile(features, ClockOptions(), truth.durations) as file:
    videos = [video for video in truth.videos if video in set(file.ids) and len(truth.videos[video])]
    source = make_detector([network], file, network.experiment.prediction, "cpu", 0).first.source
    print(f"{'':34} {'ground truth':>16} {'coarse':>16} {'refined':>16}")
    for video in videos[:4]:
        windows = cut_samples(video, source.length(video), source.clock(video), sampling, sampling.test_stride)
        sample, segment = holding(windows, video)
        batch = collate([read_example(source, sample, NO_INSTANCES)], sampling, model.length_multiple)
        with torch.inference_mode():
            outputs = model(batch.features, batch.mask)
        line = [segment]
        for distances in (outputs["distances"], refined_distances(outputs["distances"], outputs["offsets"])):
            centres = outputs["centres"]
            ends = torch.stack([centres - distances[0, :, 0], centres + distances[0, :, 1]], 1)
            ends = ends.double().numpy() / model.config.frames_per_unit
            segments = np.sort(sample.clock.clipped_seconds(ends), axis=1)
            line.append(segments[tiou(segments, segment[None])[:, 0].argmax()])
        print(f"{video:34} " + " ".join(f"{start:7.1f} - {end:6.1f}" for start, end in line))
PYTHON
activations both none
