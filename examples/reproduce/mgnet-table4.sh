#!/bin/sh
# MGNet, Table 4: formations of the mask map of actions (ActivityNet 1.3).
# sh examples/reproduce/mgnet-table4.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
set -eu
model=mgnet preset=activitynet13
metrics='AR@10 AR@100 AUC' measured='--metric ar --an 100'
. "$(dirname "$0")/rows.sh"

row none 'w/o mask' '57.56 76.64 68.41' --set model.mask_map=none "$@"
row self 'fore - self' '57.29 76.70 68.40' --set model.mask_map=fore_self "$@"
row fores 'fores - fores' '57.43 76.71 68.52' --set model.mask_map=fores_fores "$@"
row adj 'fores - fores, backs - adj' '57.40 77.02 68.64' --set model.mask_map=fores_fores_backs_adj "$@"
row all 'all - fores' '57.93 77.12 68.85' --set model.mask_map=all_fores "$@"
