#!/bin/sh
# AMNet, Table 3: the attentions one by one beside the baseline with matching score (THUMOS14). The paper's Table 2 has
# 64.5 60.2 for the same switches as row 2.
# sh examples/reproduce/amnet-table3.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
set -eu
model=amnet preset=thumos14 sigma=0.5
. "$(dirname "$0")/rows.sh"

row baseline 'baseline' '61.3 56.7' --set model.ame=false --set model.gam=none "$@"
row ame '+ action-aware attention' '62.9 59.1' --set model.gam=none "$@"
row self '+ self-attention' '63.8 60.4' --set model.ame=false --set model.gam=self "$@"
row cross '+ group-based attention' '65.3 61.5' --set model.ame=false --set model.gam=cross "$@"
