#!/bin/sh
# AMNet, Table 1: the main result. PRESET=thumos14, the default, or activitynet13 (validation subset). For the latter
# the paper multiplies by scores of a video classifier (CUHK 2017): CLASSIFIER, a file for `taltool label --classifier`.
# sh examples/reproduce/amnet-table1.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# FEATURES are I3D snippets of 16 frames (2,048 channels), one every 4 frames (THUMOS14) or 16 (ActivityNet 1.3).
set -eu
model=amnet preset=thumos14
metrics='mAP@0.30 mAP@0.40 mAP@0.50 mAP@0.60 mAP@0.70 average_mAP' published='76.7 73.1 66.8 57.2 42.7 63.3'
if [ "${PRESET:-}" = activitynet13 ]; then
    preset=activitynet13 metrics='mAP@0.50 mAP@0.75 mAP@0.95 average_mAP' published='54.3 37.7 8.5 36.4'
fi
. "$(dirname "$0")/rows.sh"

case $preset in
activitynet13)
    row amnet 'AMNet, its own classes' '- - - -' "$@"
    if [ -n "${CLASSIFIER:-}" ]; then
        # Read as in BSN and G-TAD, which the paper follows: segments get the two best classes of their video.
        taltool label -q --replace --classifier "$CLASSIFIER" --top-k 2 "$out/amnet.jsonl" -o "$out/replaced.jsonl"
        score "$out/replaced.jsonl" 'AMNet, classes of CLASSIFIER' "$published"
        # "The video classification scores are multiplied by the confidence score", class by class.
        proposals amnet | taltool label -q --keep-labels --classifier "$CLASSIFIER" |
            taltool nms -q $suppression --class-wise -o "$out/multiplied.jsonl"
        score "$out/multiplied.jsonl" 'AMNet x CLASSIFIER' "$published"
    else
        echo 'AMNet with video scores: set CLASSIFIER to a file for `taltool label --classifier`' >&2
    fi
    ;;
*) row amnet AMNet "$published" "$@" ;;
esac
