#!/bin/sh
# TSA-TAL, Table 2: ActivityNet 1.2 (100 classes; training and validation subsets). The paper's other rows are results on
# ActivityNet 1.3 and cannot be compared.
# sh examples/reproduce/tsatal-table2.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# FEATURES: taltool extract --preset tsa-tal-activitynet12; a video is rescaled to 100 positions.
# The paper trains its I3D along: INPUT=frames, INIT_all=CHECKPOINT of MMAction's I3D on ResNet-50; a store of 128 frames a
# video (`--fps 128/video`) has each video in one clip.
set -eu
model=tsa-tal preset=activitynet12
metrics='mAP@0.50 mAP@0.75'
. "$(dirname "$0")/rows.sh"

row full TSA-TAL '51.1 35.0' "$@"
