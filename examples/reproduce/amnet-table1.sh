#!/bin/sh
# AMNet, Table 1: the main result. PRESET=thumos14, the default, or activitynet13 (validation subset, SIGMA=0.85); for
# the latter CLASSIFIER, a file for `taltool label --classifier` (CUHK 2017 in the paper), gives the video scores.
# sh examples/reproduce/amnet-table1.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# FEATURES are I3D snippets of 16 frames (2,048 channels), one every 4 frames (THUMOS14) or 16 (ActivityNet 1.3).
set -eu
model=amnet preset=thumos14 sigma=0.5
. "$(dirname "$0")/rows.sh"

case $preset in thumos14) paper='66.8 63.3' ;; *) paper='54.3 36.4 (with CLASSIFIER)' ;; esac
row amnet AMNet "$paper" "$@"
if [ -n "${CLASSIFIER:-}" ]; then
    taltool label -q --replace --classifier "$CLASSIFIER" --top-k 2 "$out/amnet.jsonl" -o "$out/labelled.jsonl"
    score "$out/labelled.jsonl" 'AMNet + CLASSIFIER' '54.3 36.4'
fi
