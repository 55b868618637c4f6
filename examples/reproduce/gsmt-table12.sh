#!/bin/sh
# GSMT, Table 12: snippets per video, T (ActivityNet 1.3).
# sh examples/reproduce/gsmt-table12.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
set -eu
model=gsmt preset=activitynet13
. "$(dirname "$0")/rows.sh"

row t50 'T = 50' '52.2 33.5' --set sampling.length=50 "$@"
row t100 'T = 100' '56.0 36.2' --set sampling.length=100 "$@"
row t150 'T = 150' '55.7 36.0' --set sampling.length=150 "$@"
row t200 'T = 200' '55.1 35.8' --set sampling.length=200 "$@"
