#!/bin/sh
# AMNet, Table 2: Action Masking Encoder, Group Attention Module and matching score, on and off (THUMOS14).
# sh examples/reproduce/amnet-table2.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
set -eu
model=amnet preset=thumos14
metrics='mAP@0.30 mAP@0.40 mAP@0.50 mAP@0.60 mAP@0.70 average_mAP'
. "$(dirname "$0")/rows.sh"

row none 'baseline' '72.2 66.5 58.5 45.6 29.2 54.4' --set model.ame=false --set model.gam=none --set model.match=false "$@"
row ms 'MS' '73.9 68.1 61.3 48.2 32.1 56.7' --set model.ame=false --set model.gam=none "$@"
row ame 'AME + MS' '75.5 71.2 64.5 52.8 36.8 60.2' --set model.gam=none "$@"
row gam 'GAM + MS' '76.4 72.2 65.9 54.7 39.6 61.8' --set model.ame=false "$@"
row full 'AME + GAM + MS' '76.7 73.1 66.8 57.2 42.7 63.3' "$@"
