#!/bin/sh
# AMNet, Figure 7: errors among the best 10 G detections at tIoU 0.5 (THUMOS14, DETAD). The paper draws bars without
# numbers, and sees more localization and background errors than others.
# sh examples/reproduce/amnet-figure7.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# With the FOLDER of amnet-table2.sh its network is taken.
set -eu
model=amnet preset=thumos14
metrics='mAP@0.30 mAP@0.40 mAP@0.50 mAP@0.60 mAP@0.70 average_mAP'
. "$(dirname "$0")/rows.sh"

row full 'AME + GAM + MS' '76.7 73.1 66.8 57.2 42.7 63.3' "$@"
taltool diagnose -q ${SPLIT:+--split "$SPLIT"} --subset $subset --tiou 0.5 \
    -o "$out/figure7.png" "$truth" "$out/full.jsonl"
echo "$out/figure7.png"
