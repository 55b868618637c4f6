#!/bin/sh
# AMNet, Figure 6: losses of the matching score (THUMOS14; the paper draws curves, L2 being best). BCE compares
# probabilities, so the score is a sigmoid there.
# sh examples/reproduce/amnet-figure6.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
set -eu
model=amnet preset=thumos14 sigma=0.5
. "$(dirname "$0")/rows.sh"

row l2 'L2' '66.8 63.3' "$@"
row l1 'L1' 'curve' --set model.match_loss=l1 "$@"
row smooth-l1 'smooth L1' 'curve' --set model.match_loss=smooth_l1 "$@"
row bce 'BCE' 'curve' --set model.match_loss=bce --set model.match_act=sigmoid "$@"
