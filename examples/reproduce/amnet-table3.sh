#!/bin/sh
# AMNet, Table 3: the attentions one by one beside the baseline with matching score (THUMOS14). The paper's Table 2 has
# 64.5 36.8 60.2 for the switches of row 2. Its rows 3 and 4 are 61.8 together there (GAM), so row 4 is the
# cross-attention alone.
# sh examples/reproduce/amnet-table3.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
set -eu
model=amnet preset=thumos14
metrics='mAP@0.50 mAP@0.70 average_mAP'
. "$(dirname "$0")/rows.sh"

row baseline 'baseline' '61.3 32.1 56.7' --set model.ame=false --set model.gam=none "$@"
row ame '+ action-aware attention' '62.9 36.1 59.1' --set model.gam=none "$@"
row self '+ self-attention' '63.8 38.0 60.4' --set model.ame=false --set model.gam=self "$@"
row cross '+ group-based attention' '65.3 39.1 61.5' --set model.ame=false --set model.gam=cross "$@"
