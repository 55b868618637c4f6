#!/bin/sh
# MGNet, Figure 7: the ground truth of videos and as many of the best proposals (ActivityNet 1.3; the paper has three
# videos and not their names). VIDEOS in the environment are ids; default: the first ones. Needs taltool[plot].
# sh examples/reproduce/mgnet-figure7.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# In the FOLDER of Table 2 its network is taken.
set -eu
model=mgnet preset=activitynet13
metrics='AR@100 AUC' measured='--metric ar --an 100'
. "$(dirname "$0")/rows.sh"

row mgnet MGNet '77.12 68.85' "$@"
set --
for video in ${VIDEOS:-}; do set -- "$@" --video "$video"; done
taltool plot -q --kind timeline --subset $subset ${SPLIT:+--split "$SPLIT"} --name MGNet "$@" \
    -o "$out/figure7.png" "$truth" "$out/mgnet.jsonl"
echo "$out/figure7.png"
