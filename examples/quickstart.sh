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

echo
echo "Timelines of the validation videos: $data/timeline.png"
[ -z "$made_venv" ] || echo "Before you go on, in every new shell:  . $PWD/.venv/bin/activate"
cat <<END
Next:
  taltool plot $data/gt.json $data/detections.jsonl --html $data/page.html --video-file $data/videos/
  sh examples/your-video.sh          # the same on videos that you annotated: a table in, subtitles out
  taltool help tutorial              # from a camera to a model, step by step
END
