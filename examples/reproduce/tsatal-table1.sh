#!/bin/sh
# TSA-TAL, Table 1: THUMOS14 (the numbers are lost in every public copy), and its two modules on and off, which the
# paper does not have. FEATURES: one snippet every 4 frames at 30 frames a second.
# sh examples/reproduce/tsatal-table1.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
set -eu
model=tsa-tal preset=thumos14
. "$(dirname "$0")/rows.sh"

row full TSA-TAL '- -' "$@"
row no-tsa 'w/o TSA' '- -' --set model.tsa=none "$@"
row no-tpp 'w/o TPP' '- -' --set model.tpp=none "$@"
row neither 'w/o both' '- -' --set model.tsa=none --set model.tpp=none "$@"
