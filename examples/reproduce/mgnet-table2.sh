#!/bin/sh
# MGNet, Table 2: recall of proposals (ActivityNet 1.3). The text gives tIoU thresholds up to 1.0 for both data sets;
# those of ActivityNet's own evaluation, and of the authors' code, end at 0.95, and so they do in Tables 4, 5 and 8.
# sh examples/reproduce/mgnet-table2.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
set -eu
model=mgnet preset=activitynet13
metrics='AR@100 AUC' measured='--metric ar --an 100'
. "$(dirname "$0")/rows.sh"

row mgnet MGNet '77.12 68.85' "$@"
