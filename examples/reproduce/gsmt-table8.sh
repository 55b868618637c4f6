#!/bin/sh
# GSMT, Table 8: layers of the class and of the mask branch (ActivityNet 1.3).
# sh examples/reproduce/gsmt-table8.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
set -eu
model=gsmt preset=activitynet13
. "$(dirname "$0")/rows.sh"

row class1 'class 1, mask 3' '56.0 36.2' "$@"
row class2 'class 2' '55.8 36.0' --set model.cls_layers=2 "$@"
row class3 'class 3' '55.2 35.9' --set model.cls_layers=3 "$@"
row class4 'class 4' '54.3 35.1' --set model.cls_layers=4 "$@"
row class5 'class 5' '53.8 34.7' --set model.cls_layers=5 "$@"
row mask1 'mask 1' '52.7 34.2' --set model.mask_layers=1 "$@"
row mask2 'mask 2' '53.8 35.1' --set model.mask_layers=2 "$@"
row mask4 'mask 4' '56.0 36.1' --set model.mask_layers=4 "$@"
row mask5 'mask 5' '55.9 36.0' --set model.mask_layers=5 "$@"
