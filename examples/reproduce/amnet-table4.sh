#!/bin/sh
# AMNet, Table 4: designs of the confidence (THUMOS14).
# sh examples/reproduce/amnet-table4.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
set -eu
model=amnet preset=thumos14 sigma=0.5
. "$(dirname "$0")/rows.sh"

row plain 'sigmoid(y)' '63.8 59.8' --set model.match=false "$@"
row sigmoid 'sigmoid(y) sigmoid(m)' '65.4 62.1' --set model.match_act=sigmoid "$@"
row tanh 'sigmoid(y) tanh(m)' '66.8 63.3' "$@"
