#!/bin/sh
# MGNet, Table 5: how transformers and convolutions are joined (ActivityNet 1.3).
# sh examples/reproduce/mgnet-table5.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
set -eu
model=mgnet preset=activitynet13
metrics='AR@10 AR@100 AUC' measured='--metric ar --an 100'
. "$(dirname "$0")/rows.sh"

row mgt 'MGT' '57.09 76.56 68.35' --set model.fusion=mgt_only "$@"
row conv 'convolution' '57.50 76.36 68.15' --set model.fusion=conv_only "$@"
row mgt-conv 'MGT, then convolution' '56.35 75.53 67.30' --set model.fusion=mgt_then_conv "$@"
row conv-mgt 'convolution, then MGT' '56.69 76.05 67.70' --set model.fusion=conv_then_mgt "$@"
row concat 'parallel, concatenation' '57.81 76.83 68.61' --set model.fusion=parallel_concat "$@"
row sum 'parallel, sum' '57.93 77.12 68.85' --set model.fusion=parallel_sum "$@"
