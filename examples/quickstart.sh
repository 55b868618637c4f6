#!/bin/sh
# The whole pipeline on videos that it draws itself: sh examples/quickstart.sh [FOLDER]
set -eu
cd "$(dirname "$0")/.."
EXTRAS=plot
. examples/venv.sh
out=${1:-quickstart}
mkdir -p "$out"

python examples/make_videos.py "$out/videos" --ground-truth "$out/gt.json"
taltool extract "$out/videos" -o "$out/features.h5"
taltool train --model afsd "$out/features.h5" "$out/gt.json" -o "$out/afsd.safetensors" --seed 0
taltool predict --model "$out/afsd.safetensors" "$out/features.h5" --subset validation --ground-truth "$out/gt.json" |
    taltool nms --preset afsd-thumos14 -o "$out/detections.jsonl"
taltool evaluate "$out/gt.json" "$out/detections.jsonl" --tiou 0.3:0.7:0.1
taltool plot "$out/gt.json" "$out/detections.jsonl" -o "$out/timeline.png"
echo "Figure: $out/timeline.png"
