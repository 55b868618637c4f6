#!/bin/sh
# GSMT, Table 11: its snippet embedding in BMN, right after the video encoder (ActivityNet 1.3).
# sh examples/reproduce/gsmt-table11.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# BMN's proposals have no classes. They get those of whole videos (CLASSIFIER, scores for `taltool label --classifier`),
# or those that another detector found (DETECTIONS, for `label --from`).
set -eu
model=bmn preset=activitynet13
unset PRESET  # BMN has no variants of it.
. "$(dirname "$0")/rows.sh"
[ -n "${CLASSIFIER:-}${DETECTIONS:-}" ] || { echo 'set CLASSIFIER or DETECTIONS to a file of classes' >&2; exit 2; }
classed() { named 1; }

row conv BMN '50.1 33.9' --set model.embedding=conv "$@"
row transformer 'Transformer + BMN' '51.6 34.8' --set model.embedding=transformer "$@"
