#!/bin/sh
# GSMT, Figure 10: the ground truth of a video and as many of the best detections (the paper draws a video of each data
# set and G-TAD's too, which is not here). PRESET=thumos14 (testing subset) or activitynet13, which is the default,
# or a variant of one of them.
# VIDEO in the environment is its id; default: the first test video. Figures 11 and 12 are this with INSTANCES=one or
# several: then it is the test video with so many instances whose mean length is the least part of it. Needs
# taltool[plot].
# sh examples/reproduce/gsmt-figure10.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# In the FOLDER of Table 1, made with the same PRESET, its network is taken.
set -eu
model=gsmt preset=activitynet13
metrics='mAP@0.50 average_mAP' paper='56.0 36.2'
case ${PRESET:-} in thumos14*) preset=thumos14 paper='54.3 51.6' ;; esac
. "$(dirname "$0")/rows.sh"

row gsmt GSMT "$paper" "$@"
# Prints the id of the video.
VIDEO=${VIDEO:-$(python3 - "$truth" "$out/gsmt.jsonl" "${INSTANCES:-any}" <<'PYTHON'
import json, sys
truth, wanted = json.load(open(sys.argv[1]))["database"], sys.argv[3]
found = [record["video_id"] for record in map(json.loads, open(sys.argv[2])) if "video_id" in record]
shares = []
for video in found:
    lengths = [end - start for start, end in (each["segment"] for each in truth[video]["annotations"])]
    if lengths:
        other = (len(lengths) == 1) != (wanted == "one")
        shares.append((other, sum(lengths) / len(lengths) / truth[video]["duration"], video))
if wanted == "any" or not shares:
    print(found[0])
else:
    if min(shares)[0]:
        print(f"no test video with {wanted} instance(s)", file=sys.stderr)
    print(min(shares)[2])
PYTHON
)}
picture=$out/${PICTURE:-figure10}.png
taltool plot -q --kind timeline --subset $subset ${SPLIT:+--split "$SPLIT"} --name GSMT --video "$VIDEO" -o "$picture" "$truth" "$out/gsmt.jsonl"
echo "$picture"
