#!/bin/sh
# GSMT, Figure 7: a failure, actions that are so near each other that what lies between is taken for one (THUMOS14; the
# paper draws one video and does not name it). VIDEO in the environment is its id; default: the test video in which two
# instances of a class have the least time between them. Needs taltool[plot].
# sh examples/reproduce/gsmt-figure7.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# In the FOLDER of Table 1, made with PRESET=thumos14, its network is taken.
set -eu
model=gsmt preset=thumos14
metrics='mAP@0.30 mAP@0.40 mAP@0.50 mAP@0.60 mAP@0.70 average_mAP'
. "$(dirname "$0")/rows.sh"

row gsmt GSMT '68.5 62.6 54.3 43.8 28.7 51.6' "$@"
# Prints the id of the video.
VIDEO=${VIDEO:-$(python3 - "$truth" "$out/gsmt.jsonl" <<'PYTHON'
import json, sys
truth = json.load(open(sys.argv[1]))["database"]
found = {record["video_id"] for record in map(json.loads, open(sys.argv[2])) if "video_id" in record}
gaps = []
for video in sorted(found & truth.keys()):
    spans = sorted((each["label"], *each["segment"]) for each in truth[video]["annotations"])
    gaps += [(b[1] - a[2], video) for a, b in zip(spans, spans[1:]) if a[0] == b[0] and b[1] > a[2]]
gap, video = min(gaps, default=(0, min(found)))
print(f"{video}: {gap:.2f} s between two instances of a class", file=sys.stderr)
print(video)
PYTHON
)}
taltool plot -q --kind timeline --subset $subset ${SPLIT:+--split "$SPLIT"} --name GSMT --video "$VIDEO" -o "$out/figure7.png" "$truth" "$out/gsmt.jsonl"
echo "$out/figure7.png"
