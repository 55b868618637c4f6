#!/bin/sh
# AMNet, Figure 3: what the Action Masking Encoder adds to a video's features (THUMOS14): the mean over the channels of
# the feature, of the mask and of their sum, at each snippet. VIDEO names the video; by default the first four are drawn.
# The means inside and outside of instances are of all videos of the subset; the paper says that the sum is "more
# salient around the action". It does not name its video.
# sh examples/reproduce/amnet-figure3.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# With the FOLDER of amnet-table2.sh its network is taken.
set -eu
model=amnet preset=thumos14
metrics='mAP@0.30 mAP@0.40 mAP@0.50 mAP@0.60 mAP@0.70 average_mAP'
. "$(dirname "$0")/rows.sh"

row full 'AME + GAM + MS' '76.7 73.1 66.8 57.2 42.7 63.3' "$@"
activations full
