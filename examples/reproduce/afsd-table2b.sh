#!/bin/sh
# AFSD, Table 2b: how features are scaled for activation guided learning (THUMOS14).
# sh examples/reproduce/afsd-table2b.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# The paper's is the RGB model: FEATURES have a stream rgb, or STREAMS= (empty) takes all channels for one.
set -eu
model=afsd preset=thumos14 streams=rgb
metrics='mAP@0.50 mAP@0.60 mAP@0.70 average_mAP'
. "$(dirname "$0")/rows.sh"

row clip '0-1 clip' '45.3 34.6 22.4 42.6' --set model.act_norm=clip "$@"
row minmax '0-1 norm (Eq. 16)' '45.4 34.9 21.6 42.9' --set model.act_norm=minmax "$@"
row tanh tanh '45.9 35.0 23.4 43.5' "$@"
