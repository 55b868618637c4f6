#!/bin/sh
# S-CNN or TURN on THUMOS14? sh examples/compare-detectors.sh DATA [FOLDER]
# DATA holds thumos14_gt.json and peer_outputs/ (see its README); figures and tables go to FOLDER.
set -eu
data=${1:?usage: compare-detectors.sh DATA [FOLDER]}
out=${2:-comparison}
truth=$data/thumos14_gt.json
scnn=$data/peer_outputs/thumos14_scnn_nms0.4.json
turn=$data/peer_outputs/thumos14_turn_c3d_scnn.json
mkdir -p "$out"

# Which is better, and how sure is that? Intervals come from resampled videos, the same ones for both.
taltool evaluate --preset thumos14 --bootstrap 1000 --per-class "$truth" "$scnn" "$turn" | tee "$out/evaluation.txt"
taltool evaluate --preset thumos14 --metric ar "$truth" "$scnn" "$turn" | tee "$out/recall.txt"

# Why?
taltool diagnose --preset thumos14 "$truth" "$scnn" "$turn" -o "$out/diagnosis.png" | tee "$out/diagnosis.txt"

draw() { taltool plot --preset thumos14 "$truth" "$scnn" "$turn" --name S-CNN --name TURN "$@"; }
draw --kind pr --tiou 0.5 -o "$out/precision-recall.png"
draw --kind ar-an -o "$out/recall.png"
draw --kind per-class --tiou 0.5 -o "$out/classes.svg"
draw --kind errors -o "$out/errors.pdf"
draw --video video_test_0000004 --video video_test_0000882 -o "$out/timelines.png"
draw --html "$out/timelines.html"
echo "Tables and figures are in $out; open $out/timelines.html in a browser."
