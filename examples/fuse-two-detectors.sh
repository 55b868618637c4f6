#!/bin/sh
# Two published detectors of THUMOS14, fused: weights fitted on half of the test videos, measured on the other half.
#
#     sh examples/fuse-two-detectors.sh DATA
#
# DATA holds thumos14_gt.json and peer_outputs/thumos14_{scnn_nms0.4,turn_c3d_scnn}.json (ActivityNet layout).
set -eu
data=${1:?usage: fuse-two-detectors.sh DATA}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
first=$data/peer_outputs/thumos14_scnn_nms0.4.json
second=$data/peer_outputs/thumos14_turn_c3d_scnn.json

python - "$data/thumos14_gt.json" "$work/halves.json" <<'PYTHON'
import json, sys
videos = json.load(open(sys.argv[1]))["database"]
test = sorted(key for key, video in videos.items() if video["subset"] == "testing")
halves = {name: {"fit": test[n::2], "held": test[1 - n :: 2]} for n, name in enumerate(("even", "odd"))}
json.dump(halves, open(sys.argv[2], "w"))
PYTHON

for half in even odd; do
    split=$work/halves.json:$half
    taltool fuse "$first" "$second" --fit "$data/thumos14_gt.json" --split "$split" --subset fit -o "$work/fused.json"
    taltool evaluate "$data/thumos14_gt.json" "$first" "$second" "$work/fused.json" --split "$split" --subset held
done
