#!/bin/sh
# GSMT, Table 4: what embeds the snippets (ActivityNet 1.3).
# sh examples/reproduce/gsmt-table4.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
set -eu
model=gsmt preset=activitynet13
. "$(dirname "$0")/rows.sh"

row cnn1d '1D CNN' '46.8 26.4' --set model.embedding=cnn1d "$@"
row mstcn MS-TCN '53.1 33.8' --set model.embedding=mstcn "$@"
row transformer Transformer '56.0 36.2' "$@"
