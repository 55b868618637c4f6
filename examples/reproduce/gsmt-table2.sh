#!/bin/sh
# GSMT, Table 2: what training and testing cost, beside BMN (ActivityNet 1.3, two-stream features; the paper on one 2080
# Ti, with G-TAD: 11 epochs, 3.91 h, 0.19 s). A tenth of the training videos is held out; the epoch is the one of the
# lowest loss on them, hours are those of `taltool train` up to it (a run that was killed counts its last part only).
# Seconds are those of a test video, one at a time: features, network, decoding, suppression. DEVICE (default: cpu) is
# that of testing; `python3` has to be the one that has taltool. BMN's words for train come from the environment, as
# BMN='--set ...'.
# sh examples/reproduce/gsmt-table2.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
set -eu
model=gsmt preset=activitynet13
metrics='epoch train_h test_s'
. "$(dirname "$0")/rows.sh"

cost() {
    name=$1 title=$2 paper=$3; shift 3
    complete "$title" "$paper"
    if [ ! -e "$out/$name.seconds" ]; then
        begin=$(date +%s)
        fit "$name" --select loss --set training.holdout=0.1 "$@"
        echo $(($(date +%s) - begin)) >"$out/$name.seconds"
    fi
    python3 - "$out/$name" "$features" "$truth" "$subset" "${DEVICE:-cpu}" "$title" "$paper" "${SPLIT:-}" <<'PYTHON'
import sys
import time
from pathlib import Path

from taltool.data.annotations import read_ground_truth
from taltool.data.hdf5_features import ClockOptions, FeatureFile
from taltool.experiment.checkpoint import load_checkpoint
from taltool.experiment.dataset import chosen_videos
from taltool.ops.nms import suppress
from taltool.prediction.detector import make_detector
from taltool.reporting import SILENT

network, features, truth_file, subset, device, title, paper, split = sys.argv[1:]
checkpoint = load_checkpoint(f"{network}.safetensors", device)
experiment, run = checkpoint.experiment, checkpoint.header.training
truth = read_ground_truth(truth_file)
with FeatureFile(features, ClockOptions(), truth.durations) as file:
    videos = chosen_videos(file, subset, split or None, truth, False, SILENT)
    detector = make_detector([checkpoint], file, experiment.prediction, device, 0)
    begin = time.perf_counter()
    for found in detector.predict(videos, 1):
        suppress(found.segments, found.scores, found.labels, experiment.nms, found.duration)
    seconds = (time.perf_counter() - begin) / len(videos)
hours = int(Path(f"{network}.seconds").read_text()) / 3600 * run["chosen_epoch"] / run["epochs"]
epoch, train, test = paper.split()
print(f"{title:34} {run['chosen_epoch']:8} {hours:8.4f} {seconds:8.4f} |        {epoch:>8} {train:>8} {test:>8}")
PYTHON
}
asked=$preset
model=bmn preset=$dataset
cost bmn BMN '13 9.45 0.21' ${BMN:-}
model=gsmt preset=$asked
cost gsmt GSMT '9 0.04 0.09' "$@"
