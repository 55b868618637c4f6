#!/bin/sh
# MGNet, Table 3: detections, the 200 best proposals times the two best classes of the video (THUMOS14). CLASSIFIER in
# the environment, a file for `taltool label --classifier` (UntrimmedNet in the paper), gives the classes.
# sh examples/reproduce/mgnet-table3.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
set -eu
: "${CLASSIFIER:?the class scores of whole videos, see taltool-label(1)}"
model=mgnet preset=thumos14
metrics='mAP@0.70 mAP@0.60 mAP@0.50 mAP@0.40 mAP@0.30 average_mAP' suppression='--preset mgnet-thumos14 --top-k 200'
. "$(dirname "$0")/rows.sh"

classed() { taltool label -q --classifier "$CLASSIFIER" --top-k 2; }
row mgnet MGNet '28.3 38.7 50.1 59.3 65.8 48.4' "$@"
