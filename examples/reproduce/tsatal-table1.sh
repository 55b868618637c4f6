#!/bin/sh
# TSA-TAL, Table 1: THUMOS14. The table is lost in every public copy; the text says that 0.5 and 0.6 are the best of the
# models with I3D. Then its two modules on and off, which the paper does not have.
# sh examples/reproduce/tsatal-table1.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# The paper trains its I3D along: INPUT=frames, INIT_all=CHECKPOINT of MMAction's I3D on ResNet-50.
# FEATURES: taltool extract --preset tsa-tal-thumos14. Others do too: windows of 12.8 s become 100 positions at any clock.
set -eu
model=tsa-tal preset=thumos14
metrics='mAP@0.30 mAP@0.40 mAP@0.50 mAP@0.60 mAP@0.70 average_mAP' unknown='- - - - - -'
. "$(dirname "$0")/rows.sh"

row full TSA-TAL "$unknown" "$@"
row no-tsa 'w/o TSA' "$unknown" --set model.tsa=none "$@"
row no-tpp 'w/o TPP' "$unknown" --set model.tpp=none "$@"
row neither 'w/o both' "$unknown" --set model.tsa=none --set model.tpp=none "$@"
