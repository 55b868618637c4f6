#!/bin/sh
# AMNet, Table 2: Action Masking Encoder, Group Attention Module and matching score, on and off (THUMOS14). Figure 5 is
# the AP by class of rows 1, 4 and 5, Figure 7 the errors of row 5.
# sh examples/reproduce/amnet-table2.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
set -eu
model=amnet preset=thumos14 sigma=0.5
. "$(dirname "$0")/rows.sh"

row none 'baseline' '58.5 54.4' --set model.ame=false --set model.gam=none --set model.match=false "$@"
row ms 'MS' '61.3 56.7' --set model.ame=false --set model.gam=none "$@"
row ame 'AME + MS' '64.5 60.2' --set model.gam=none "$@"
row gam 'GAM + MS' '65.9 61.8' --set model.ame=false "$@"
row full 'AME + GAM + MS' '66.8 63.3' "$@"
for name in none gam full; do
    echo "AP by class: $name"
    taltool evaluate -q ${SPLIT:+--split "$SPLIT"} --subset $subset --tiou $tiou --per-class "$truth" "$out/$name.jsonl"
done
taltool diagnose ${SPLIT:+--split "$SPLIT"} --subset $subset "$truth" "$out/full.jsonl"
