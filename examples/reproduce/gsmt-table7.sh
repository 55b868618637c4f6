#!/bin/sh
# GSMT, Table 7: without each of the branches (ActivityNet 1.3). CLASSIFIER names scores of whole videos (UntrimmedNet).
# sh examples/reproduce/gsmt-table7.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
set -eu
model=gsmt preset=activitynet13
. "$(dirname "$0")/rows.sh"

row full 'GSMT (full)' '56.0 36.2' "$@"
row no-mask 'w/o mask branch' '45.8 28.9' --set model.mask_branch=false "$@"
if [ -n "${CLASSIFIER:-}" ]; then
    fit no-class --set model.classifier=external "$@"
    proposals no-class | taltool label -q --classifier "$CLASSIFIER" --top-k 1 | taltool nms -q $suppression -o "$out/no-class.jsonl"
    score "$out/no-class.jsonl" 'w/o class branch + UNet' '45.8 31.8'
else
    echo 'w/o class branch + UNet: set CLASSIFIER to a file for `taltool label --classifier`' >&2
fi
