#!/bin/sh
# AMNet, Table 5: weights of the losses, lambda 1 (boundary, matching) and lambda 2 (triplet) (THUMOS14). The text has
# searched 1.5 too; the table leaves it out.
# sh examples/reproduce/amnet-table5.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
set -eu
model=amnet preset=thumos14
metrics='mAP@0.30 mAP@0.40 mAP@0.50 mAP@0.60 mAP@0.70 average_mAP'
. "$(dirname "$0")/rows.sh"

row half-half '0.5, 0.5' '76.7 72.7 66.3 55.4 41.0 62.4' --set model.lambda1=0.5 --set model.lambda2=0.5 "$@"
row one-half '1, 0.5' '76.0 72.6 64.4 55.1 41.7 62.0' --set model.lambda2=0.5 "$@"
row half-one '0.5, 1' '76.7 72.5 65.8 55.6 41.4 62.4' --set model.lambda1=0.5 "$@"
row one-one '1, 1' '76.7 73.1 66.8 57.2 42.7 63.3' "$@"
row two-one '2, 1' '76.0 72.1 65.1 54.5 41.1 61.8' --set model.lambda1=2.0 "$@"
row one-two '1, 2' '75.8 71.9 65.0 55.6 41.6 62.0' --set model.lambda2=2.0 "$@"
row two-two '2, 2' '76.5 72.6 64.9 55.1 40.0 61.8' --set model.lambda1=2.0 --set model.lambda2=2.0 "$@"
