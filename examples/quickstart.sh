#!/bin/sh
# The whole pipeline on videos that it draws itself: sh examples/quickstart.sh [FOLDER]
set -eu
cd "$(dirname "$0")/.."
EXTRAS=plot
. examples/venv.sh
data=${1:-quickstart}

python examples/make_videos.py "$data"
taltool extract "$data/videos" -o "$data/features.h5"
taltool train --model afsd "$data/features.h5" "$data/gt.json" -o "$data/afsd.safetensors" --seed 0
taltool predict --model "$data/afsd.safetensors" "$data/features.h5" --ground-truth "$data/gt.json" \
    --subset validation | taltool nms -o "$data/detections.jsonl"
taltool evaluate "$data/gt.json" "$data/detections.jsonl" --tiou 0.3:0.7:0.1
taltool plot "$data/gt.json" "$data/detections.jsonl" --kind timeline --subset validation \
    -o "$data/timeline.png"
echo "Timelines of the validation videos: $data/timeline.png"
