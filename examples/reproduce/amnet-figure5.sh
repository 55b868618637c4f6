#!/bin/sh
# AMNet, Figure 5: AP of each class, mean over the tIoUs, of the baseline, with GAM and matching score, and of all
# (THUMOS14). The paper draws bars without numbers. Its text calls the second "3rd row in Tab. 2", which is the 4th.
# sh examples/reproduce/amnet-figure5.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# With the FOLDER of amnet-table2.sh its networks are taken.
set -eu
model=amnet preset=thumos14
metrics='mAP@0.30 mAP@0.40 mAP@0.50 mAP@0.60 mAP@0.70 average_mAP'
. "$(dirname "$0")/rows.sh"

row none 'baseline' '72.2 66.5 58.5 45.6 29.2 54.4' --set model.ame=false --set model.gam=none --set model.match=false "$@"
row gam 'GAM + MS' '76.4 72.2 65.9 54.7 39.6 61.8' --set model.ame=false "$@"
row full 'AME + GAM + MS' '76.7 73.1 66.8 57.2 42.7 63.3' "$@"
set -- "$truth" "$out/none.jsonl" "$out/gam.jsonl" "$out/full.jsonl"
chosen="--subset $subset --tiou $tiou"
taltool evaluate -q ${SPLIT:+--split "$SPLIT"} $chosen --per-class --format json "$@" >"$out/per-class.json"
python3 - "$out/per-class.json" <<'PYTHON'
import json, sys
reports = [each["per_class"] for each in json.load(open(sys.argv[1]))["results"]]
print(f"{'average AP':34} {'baseline':>8} {'GAM + MS':>8} {'all':>8}")
for name in reports[0]:
    print(f"{name:34} " + " ".join(f"{100 * each[name]['average_AP']:8.2f}" for each in reports))
PYTHON
taltool plot -q --kind per-class ${SPLIT:+--split "$SPLIT"} $chosen \
    --name baseline --name 'GAM + MS' --name all -o "$out/figure5.png" "$@"
echo "$out/figure5.png"
