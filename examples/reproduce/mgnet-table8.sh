#!/bin/sh
# MGNet, Table 8: layers of the mask-guided transformers (ActivityNet 1.3), in the paper's order; the column with their
# number is lost in the text that we have.
# sh examples/reproduce/mgnet-table8.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
set -eu
model=mgnet preset=activitynet13
metrics='AR@10 AR@100 AUC' measured='--metric ar --an 100'
. "$(dirname "$0")/rows.sh"

row l1 '1 layer' '57.93 77.12 68.85' --set model.mgt_layers=1 "$@"
row l2 '2 layers' '57.46 76.61 68.39' --set model.mgt_layers=2 "$@"
row l3 '3 layers' '57.57 76.48 68.33' --set model.mgt_layers=3 "$@"
row l4 '4 layers' '57.25 76.44 68.21' --set model.mgt_layers=4 "$@"
