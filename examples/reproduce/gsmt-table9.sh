#!/bin/sh
# GSMT, Table 9: heads of the transformer (ActivityNet 1.3).
# sh examples/reproduce/gsmt-table9.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
set -eu
model=gsmt preset=activitynet13
. "$(dirname "$0")/rows.sh"

row heads1 '1 head' '53.8 34.8' --set model.heads=1 "$@"
row heads2 '2 heads' '54.6 35.0' --set model.heads=2 "$@"
row heads3 '3 heads' '55.2 35.7' --set model.heads=3 "$@"
row heads4 '4 heads' '56.0 36.2' --set model.heads=4 "$@"
row heads5 '5 heads' '55.8 35.9' --set model.heads=5 "$@"
