#!/bin/sh
# From five videos, annotated by hand, to subtitles and a page for a sixth: sh examples/your-video.sh [FOLDER]
# It draws the videos. With your own in FOLDER/videos, and what happens in them in seen.csv, all else stays as it is.
set -eu
cd "$(dirname "$0")/.."
EXTRAS=plot
. examples/venv.sh
data=${1:-your-video}

python examples/make_videos.py "$data" --videos 6 --seed 125
mv "$data/videos/motion_005.mp4" "$data/new.mp4"

# What was seen, in seconds: a line for each action.
cat > "$data/seen.csv" <<'CSV'
video_id,start,end,label
motion_000,1.7,4.7,orbit
motion_000,6.0,9.9,swing
motion_000,13.2,17.4,bounce
motion_000,18.8,22.2,bounce
motion_000,25.4,28.0,bounce
motion_000,29.8,31.9,loom
motion_000,33.7,35.7,bounce
motion_001,1.6,3.5,bounce
motion_001,5.7,10.1,orbit
motion_001,11.4,15.1,swing
motion_001,18.6,22.9,orbit
motion_001,26.7,29.1,loom
motion_002,1.9,6.2,orbit
motion_002,10.2,13.7,bounce
motion_002,15.2,19.4,swing
motion_002,20.7,23.3,bounce
motion_002,26.7,28.7,loom
motion_003,1.4,4.0,orbit
motion_003,7.7,11.9,loom
motion_003,15.8,18.1,swing
motion_003,20.3,23.6,orbit
motion_004,1.1,4.0,swing
motion_004,6.8,10.8,loom
motion_004,12.8,14.9,swing
motion_004,18.9,23.1,loom
motion_004,26.6,30.1,loom
CSV

taltool extract "$data/videos" -o "$data/features.h5"
taltool convert "$data/seen.csv" --durations "$data/features.h5" -o "$data/seen.json"
taltool train --model afsd "$data/features.h5" "$data/seen.json" -o "$data/mine.safetensors"

# The sixth: from the video to its actions, and to what people open.
taltool predict --model "$data/mine.safetensors" "$data/new.mp4" --nms --min-score 0.3 -o "$data/new.jsonl"
taltool convert "$data/new.jsonl" --show-scores -o "$data/new.vtt"
taltool plot "$data/new.jsonl" --html "$data/new.html" --video-file "$data/new.mp4"
cat "$data/new.vtt"
echo "Subtitles: $data/new.vtt (a player shows them beside $data/new.mp4); to look through: $data/new.html"
