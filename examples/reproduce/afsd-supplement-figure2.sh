#!/bin/sh
# AFSD, supplement, Figures 2 and 3: coarse and refined segments beside the ground truth, and the mean over channels of
# the start- and end-sensitive frame-level features, with and without boundary consistency learning (THUMOS14). VIDEO from
# the environment names the video of the picture; by default the first. A line for each of the first four videos gives its
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
python3 - "$out/both$own.safetensors" "$out/none$own.safetensors" "$features" "$truth" "$subset" "${SPLIT:-}" "$out/figure2.png" "${VIDEO:-}" <<'PYTHON'
import sys

import numpy as np
import torch
from matplotlib.figure import Figure

from taltool.data.annotations import read_ground_truth
from taltool.data.hdf5_features import ClockOptions, FeatureFile
from taltool.experiment.batches import NO_INSTANCES, collate, read_example
from taltool.experiment.checkpoint import load_checkpoint
from taltool.experiment.sampling import FeatureSource, cut_samples
from taltool.models.afsd.loss import refined_distances
from taltool.ops.segments import tiou

with_bcl, without_bcl, features, truth_file, subset, split, picture, chosen = sys.argv[1:]
truth = read_ground_truth(truth_file, split or None).subset(subset)


def seen(path, file, video, number):
    """Outputs for window `number` of a video, its frame-level feature (C, frames), and its clock."""
    network = load_checkpoint(path)
    model, sampling = network.model, network.experiment.sampling
    source = FeatureSource(file, sampling, network.statistics)
    sample = cut_samples(video, source.length(video), source.clock(video), sampling, sampling.test_stride)[number]
    batch = collate([read_example(source, sample, NO_INSTANCES)], sampling, model.length_multiple)
    found = []
    hook = model.refinement.frame_stack.register_forward_hook(lambda *call: found.append(call[2]))
    with torch.inference_mode():
        outputs = model(batch.features, batch.mask)
    hook.remove()
    return outputs, found[0][0].numpy(), sample.clock, model.config.frames_per_snippet


def holding(file, video):
    """The first test window that holds an instance whole, and that instance."""
    network = load_checkpoint(with_bcl)
    sampling = network.experiment.sampling
    source = FeatureSource(file, sampling, network.statistics)
    windows = cut_samples(video, source.length(video), source.clock(video), sampling, sampling.test_stride)
    for number, sample in enumerate(windows):
        first, last = sample.clock.seconds(0.0), sample.clock.seconds(float(sample.count))
        for segment in truth.videos[video].segments:
            if first <= segment[0] < segment[1] <= last:
                return number, segment
    return 0, truth.videos[video].segments[0]


with FeatureFile(features, ClockOptions(), truth.durations) as file:
    videos = [video for video in truth.videos if video in set(file.ids) and len(truth.videos[video])]
    chosen = chosen or videos[0]
    print(f"{'':34} {'ground truth':>16} {'coarse':>16} {'refined':>16}")
    for video in videos[:4]:
        number, segment = holding(file, video)
        outputs, _, clock, frames = seen(with_bcl, file, video, number)
        line = [segment]
        for distances in (outputs["distances"], refined_distances(outputs["distances"], outputs["offsets"])):
            centres = outputs["centres"]
            ends = torch.stack([centres - distances[0, :, 0], centres + distances[0, :, 1]], 1) / frames
            segments = np.sort(clock.clipped_seconds(ends.double().numpy()), axis=1)
            line.append(segments[tiou(segments, segment[None])[:, 0].argmax()])
        print(f"{video:34} " + " ".join(f"{start:7.1f} - {end:6.1f}" for start, end in line))
    number, _ = holding(file, chosen)
    figure = Figure(figsize=(10, 5), layout="constrained")
    for axes, path, title in zip(figure.subplots(2, 1, sharex=True), (with_bcl, without_bcl), ("with BCL", "without")):
        _, frame, clock, frames = seen(path, file, chosen, number)
        seconds = np.array([clock.seconds((place + 0.5) / frames) for place in range(frame.shape[1])])
        for half, name in zip(np.split(frame, 2), ("start", "end")):
            axes.plot(seconds, half.mean(0), label=name)
        for start, end in truth.videos[chosen].segments:
            if start < seconds[-1] and end > seconds[0]:
                axes.axvspan(max(start, seconds[0]), min(end, seconds[-1]), alpha=0.2, color="tab:green", linewidth=0)
        axes.set_ylabel(title)
        axes.legend()
    axes.set_xlabel("seconds")
    figure.suptitle(f"{chosen}: mean over channels of start- and end-sensitive features; shaded: instances")
    figure.savefig(picture)
print(picture)
PYTHON
