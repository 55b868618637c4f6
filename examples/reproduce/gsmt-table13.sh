#!/bin/sh
# GSMT, Table 13: positional encoding (ActivityNet 1.3).
# sh examples/reproduce/gsmt-table13.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
set -eu
model=gsmt preset=activitynet13
. "$(dirname "$0")/rows.sh"

row none 'none' '56.0 36.2' --set model.pos_enc=none "$@"
row learned 'learned' '53.9 33.4' --set model.pos_enc=learned "$@"
row fixed 'fixed (sines)' '44.7 28.0' --set model.pos_enc=sin "$@"
