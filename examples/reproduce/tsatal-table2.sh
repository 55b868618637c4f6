#!/bin/sh
# TSA-TAL, Table 2: ActivityNet 1.2 (100 classes; training and validation subsets).
# sh examples/reproduce/tsatal-table2.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# The paper's other rows are results on ActivityNet 1.3 and cannot be compared. It also has 35.0 at tIoU 0.75.
set -eu
model=tsa-tal preset=activitynet12
. "$(dirname "$0")/rows.sh"

row full TSA-TAL '51.1 -' "$@"
