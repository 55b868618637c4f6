#!/bin/sh
# GSMT, Table 5: without each of the losses (ActivityNet 1.3).
# sh examples/reproduce/gsmt-table5.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
set -eu
model=gsmt preset=activitynet13
. "$(dirname "$0")/rows.sh"

row full 'GSMT (full)' '56.0 36.2' "$@"
row focal 'w/o focal loss' '53.8 34.2' --set model.loss_focal=false "$@"
row lr 'w/o balanced LR loss' '54.4 35.2' --set model.loss_lr=false "$@"
row dice 'w/o dice loss' '54.1 34.9' --set model.loss_dice=false "$@"
row biou 'w/o bIOU loss' '53.2 34.3' --set model.loss_biou=false "$@"
