#!/bin/sh
# AMNet, Table 5: weights of the losses, lambda 1 (boundary, matching) and lambda 2 (triplet) (THUMOS14).
# sh examples/reproduce/amnet-table5.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
set -eu
model=amnet preset=thumos14 sigma=0.5
. "$(dirname "$0")/rows.sh"

row half-half '0.5, 0.5' '66.3 62.4' --set model.lambda1=0.5 --set model.lambda2=0.5 "$@"
row one-half '1, 0.5' '64.4 62.0' --set model.lambda2=0.5 "$@"
row half-one '0.5, 1' '65.8 62.4' --set model.lambda1=0.5 "$@"
row one-one '1, 1' '66.8 63.3' "$@"
row two-one '2, 1' '65.1 61.8' --set model.lambda1=2.0 "$@"
row one-two '1, 2' '65.0 62.0' --set model.lambda2=2.0 "$@"
row two-two '2, 2' '64.9 61.8' --set model.lambda1=2.0 --set model.lambda2=2.0 "$@"
