#!/bin/sh
# AFSD, supplement, Table 1: dynamic or one number of frames a second (ActivityNet 1.3). PRESET=activitynet13 with
# CLASSIFIER (see afsd-table1.sh), or activitynet13-paper, the default.
# sh examples/reproduce/afsd-supplement-table1.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# FEATURES are those of `taltool extract --preset afsd-activitynet13`, FIXED (from the environment) the same with
# `--fps 3`: clips of 768 frames then hold whole videos of up to 256 s. With INPUT=frames they are frame stores (preset
# afsd-activitynet13-frames), or FEATURES is the folder of videos, of which both are made.
set -eu
model=afsd preset=activitynet13-paper streams='rgb flow'
metrics='mAP@0.50 mAP@0.75 mAP@0.95 average_mAP'
. "$(dirname "$0")/rows.sh"

if [ -d "$videos" ]; then FIXED=$(stored "$videos" fixed --fps 3); fi
: "${FIXED:?set FIXED to features of one frame rate}"
row dynamic 'dynamic fps' '52.4 35.3 6.5 34.4' "$@"
features=$FIXED
clips='--set sampling.require_whole=false'
[ "$input" = frames ] || clips="$clips --set sampling.resize=window --set sampling.train_stride=96 --set sampling.test_stride=96"
row fixed 'fixed fps' '50.9 33.1 6.2 32.7' $clips "$@"
