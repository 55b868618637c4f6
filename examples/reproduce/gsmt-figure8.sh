#!/bin/sh
# GSMT, Figure 8: mAP by the length of videos, beside BMN's (THUMOS14; the paper draws bars, those of R-C3D too): fifths
# of the test videos by duration. DETAD, which the paper follows, parts instances by their length, not videos: that is
# in figure8-*.png. BMN is measured where CLASSIFIER or DETECTIONS gives its proposals classes, as for Table 11; its
# preset for THUMOS14 is OpenTAD's. Needs taltool[plot]. BMN's words for train come from the environment, as BMN='--set
# ...'.
# sh examples/reproduce/gsmt-figure8.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# In the FOLDER of Table 1, made with PRESET=thumos14, its network is taken.
set -eu
model=gsmt preset=thumos14
. "$(dirname "$0")/rows.sh"

parts='extra-small small medium long extra-long'
# Prints splits of the videos that have predictions, each with a fifth of them as its subset `part`.
fifths() {
    python3 - "$truth" "$1" $parts <<'PYTHON'
import json, sys
truth = json.load(open(sys.argv[1]))["database"]
found = {record["video_id"] for record in map(json.loads, open(sys.argv[2])) if "video_id" in record}
ordered = sorted(found & truth.keys(), key=lambda video: truth[video]["duration"])
names = sys.argv[3:]
print(json.dumps({name: {"part": ordered[n * len(ordered) // 5 : (n + 1) * len(ordered) // 5]} for n, name in enumerate(names)}))
PYTHON
}
bars() {
    fifths "$out/$1.jsonl" >"$out/fifths.json"
    for part in $parts; do
        (SPLIT=$out/fifths.json:$part subset=part; score "$out/$1.jsonl" "$2, $part" '- -')
    done
    taltool diagnose -q --preset thumos14 --subset $subset ${SPLIT:+--split "$SPLIT"} "$truth" "$out/$1.jsonl" -o "$out/figure8-$1.png" >"$out/figure8-$1.txt"
    echo "$out/figure8-$1.png"
}
row gsmt GSMT '54.3 51.6' "$@"
bars gsmt GSMT
if [ -n "${CLASSIFIER:-}${DETECTIONS:-}" ]; then
    model=bmn preset=$dataset suppression="--preset bmn-$dataset"
    classed() { named 1; }
    row conv BMN '38.8 38.5' ${BMN:-}
    bars conv BMN
else
    echo 'BMN: set CLASSIFIER or DETECTIONS to a file of classes' >&2
fi
