#!/bin/sh
# AFSD, Table 2f: boundary consistency learning (THUMOS14). PRESET=thumos14-paper is its printed form.
# sh examples/reproduce/afsd-table2f.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# The paper's is the RGB model: FEATURES have a stream rgb, or STREAMS= (empty) takes all channels for one.
set -eu
model=afsd preset=thumos14 streams=rgb
metrics='mAP@0.50 mAP@0.60 mAP@0.70 average_mAP'
. "$(dirname "$0")/rows.sh"

row none 'w/o BCL' '44.3 34.1 21.2 42.0' --set model.bcl=none "$@"
row act l_act '45.6 34.4 22.3 42.7' --set model.bcl=act "$@"
row trip l_trip '45.5 34.8 22.4 42.7' --set model.bcl=trip "$@"
row both both '45.9 35.0 23.4 43.5' "$@"
