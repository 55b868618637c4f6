#!/bin/sh
# GSMT, Figure 5: the false positives among the best 10 G detections, beside BMN's (ActivityNet 1.3; the paper draws
# bars, those of R-C3D too): drawn in figure5-*.png, as numbers in figure5-*.txt. BMN has no classes and is measured
# where CLASSIFIER or DETECTIONS gives them, as for Table 11; its words for train come from the environment, as
# BMN='--set ...'. Needs taltool[plot].
# sh examples/reproduce/gsmt-figure5.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# In the FOLDER of Table 1 its network is taken, in that of Table 11 its BMN (conv).
set -eu
model=gsmt preset=activitynet13
. "$(dirname "$0")/rows.sh"

diagnosed() {
    taltool diagnose -q --subset $subset ${SPLIT:+--split "$SPLIT"} $measured "$truth" "$out/$1.jsonl" -o "$out/figure5-$1.png" >"$out/figure5-$1.txt"
    echo "$out/figure5-$1.png"
}
row gsmt GSMT '56.0 36.2' "$@"
diagnosed gsmt
if [ -n "${CLASSIFIER:-}${DETECTIONS:-}" ]; then
    model=bmn preset=$dataset suppression="--preset bmn-$dataset"
    classed() { named 1; }
    row conv BMN '50.1 33.9' ${BMN:-}
    diagnosed conv
else
    echo 'BMN: set CLASSIFIER or DETECTIONS to a file of classes' >&2
fi
