#!/bin/sh
# AFSD, Table 2e: forms of boundary pooling (THUMOS14).
# sh examples/reproduce/afsd-table2e.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# The paper's is the RGB model: FEATURES have a stream rgb, or STREAMS= (empty) takes all channels for one.
set -eu
model=afsd preset=thumos14 streams=rgb
metrics='mAP@0.50 mAP@0.60 mAP@0.70 average_mAP'
. "$(dirname "$0")/rows.sh"

row mean mean '45.1 34.6 22.1 42.7' --set model.pool=mean "$@"
row conv conv '44.8 34.4 22.3 42.6' --set model.pool=conv "$@"
row stack stack '44.9 33.6 22.3 42.9' --set model.pool=stack "$@"
row max max '45.9 35.0 23.4 43.5' "$@"
