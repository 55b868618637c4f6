#!/bin/sh
# GSMT, Figure 9: frames of video per second in testing, beside BMN (THUMOS14, I3D features; the paper draws bars of
# other methods' published numbers, translated to one GPU, and says 4 times PGCN, 5 times SS-TAD). Counted are the
# frames of the test videos and the time for features from the file, network, decoding and suppression, one video at a
# time, not that of the encoder. DEVICE (default: cpu); `python3` has to be the one that has taltool. BMN's words for
# train come from the environment, as BMN='--set ...'.
# sh examples/reproduce/gsmt-figure9.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# In the FOLDER of Table 1, made with PRESET=thumos14, its network is taken.
set -eu
model=gsmt preset=thumos14
metrics='FPS'
. "$(dirname "$0")/rows.sh"

speed() {
    name=$1 title=$2; shift 2
    fit "$name" "$@"
    python3 - "$out/$name.safetensors" "$features" "$truth" "$subset" "${DEVICE:-cpu}" "$title" "${SPLIT:-}" <<'PYTHON'
import sys
import time

from taltool.data.annotations import read_ground_truth
from taltool.data.hdf5_features import ClockOptions, FeatureFile
from taltool.experiment.checkpoint import load_checkpoint
from taltool.experiment.dataset import chosen_videos
from taltool.ops.nms import suppress
from taltool.prediction.detector import make_detector
from taltool.reporting import SILENT

network, features, truth_file, subset, device, title, split = sys.argv[1:]
checkpoint = load_checkpoint(network, device)
truth = read_ground_truth(truth_file)
with FeatureFile(features, ClockOptions(), truth.durations) as file:
    videos = chosen_videos(file, subset, split or None, truth, False, SILENT)
    detector = make_detector([checkpoint], file, checkpoint.experiment.prediction, device, 0)
    frames = sum(file.clock(video).fps * file.clock(video).duration for video in videos)
    begin = time.perf_counter()
    for found in detector.predict(videos, 1):
        suppress(found.segments, found.scores, found.labels, checkpoint.experiment.nms, found.duration)
    seconds = time.perf_counter() - begin
print(f"{title:34} {frames / seconds:8.0f} |        {'bars':>8}")
PYTHON
}
speed gsmt GSMT "$@"
model=bmn preset=$dataset
speed bmn BMN ${BMN:-}
