#!/bin/sh
# GSMT, Table 6: ground-truth classes, and ground-truth masks, in place of what the network says (ActivityNet 1.3).
# sh examples/reproduce/gsmt-table6.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
set -eu
model=gsmt preset=activitynet13
. "$(dirname "$0")/rows.sh"

oracle() {
    proposals gsmt --oracle "$1" | taltool nms -q $suppression -o "$out/gt-$1.jsonl"
    score "$out/gt-$1.jsonl" "$2" "$3"
}
row gsmt 'GSMT (full)' '56.0 36.2' "$@"
oracle class 'GSMT + ground-truth class' '69.2 43.2'
oracle mask 'GSMT + ground-truth mask' '61.0 47.0'
