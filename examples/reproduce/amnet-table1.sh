#!/bin/sh
# AMNet, Table 1: the main result. PRESET=thumos14, the default, or activitynet13 (validation subset); for the latter
# CLASSIFIER, a file for `taltool label --classifier` (CUHK 2017 in the paper), gives the video scores.
# sh examples/reproduce/amnet-table1.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# FEATURES are I3D snippets of 16 frames (2,048 channels), one every 4 frames (THUMOS14) or 16 (ActivityNet 1.3).
set -eu
model=amnet preset=thumos14
metrics='mAP@0.30 mAP@0.40 mAP@0.50 mAP@0.60 mAP@0.70 average_mAP' paper='76.7 73.1 66.8 57.2 42.7 63.3'
if [ "${PRESET:-}" = activitynet13 ]; then
    preset=activitynet13 metrics='mAP@0.50 mAP@0.75 mAP@0.95 average_mAP' paper='54.3 37.7 8.5 36.4'
fi
. "$(dirname "$0")/rows.sh"

case $preset in
activitynet13)
    row amnet 'AMNet, without CLASSIFIER' '- - - -' "$@"
    if [ -n "${CLASSIFIER:-}" ]; then
        taltool label -q --replace --classifier "$CLASSIFIER" --top-k 2 "$out/amnet.jsonl" -o "$out/labelled.jsonl"
        score "$out/labelled.jsonl" 'AMNet + CLASSIFIER' "$paper"
    fi
    ;;
*) row amnet AMNet "$paper" "$@" ;;
esac
