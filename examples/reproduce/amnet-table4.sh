#!/bin/sh
# AMNet, Table 4: designs of the confidence (THUMOS14). Row 1 is trained without the matching score too.
# sh examples/reproduce/amnet-table4.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
set -eu
model=amnet preset=thumos14
metrics='mAP@0.30 mAP@0.50 mAP@0.70 average_mAP'
. "$(dirname "$0")/rows.sh"

row plain 'sigmoid(y)' '75.9 63.8 35.6 59.8' --set model.match=false "$@"
row sigmoid 'sigmoid(y) sigmoid(m)' '76.5 65.4 40.7 62.1' --set model.match_act=sigmoid "$@"
row tanh 'sigmoid(y) tanh(m)' '76.7 66.8 42.7 63.3' "$@"
