#!/bin/sh
# GSMT, Table 10: trained on one data set and tested on the other, over the classes that both have.
# sh examples/reproduce/gsmt-table10.sh FEATURES GT FEATURES GT CLASSES [FOLDER] [words for train ...]
# First ActivityNet 1.3, then THUMOS14, features of the same network. CLASSES is a CSV of label,new_label, in which both
# names of a class get one (see taltool-convert(1)); the paper has 12 classes and does not say which. VARIANT=-adam trains
# by the presets of that name. Masks become segments as on the data set that was trained on: from the first to the last
# snippet on ActivityNet, every run on THUMOS14.
set -eu
model=gsmt preset=activitynet13
anet_features=$1 anet_truth=$2 thumos_features=$3 thumos_truth=${4:?} classes=${5:?} folder=${6:-gsmt-table10}
[ $# -lt 6 ] && shift 5 || shift 6
unset PRESET SPLIT SUPPRESSION  # There are two of each; subsets are those of the ground truths.
set -- "$anet_features" "$anet_truth" "$folder" "$@"
. "$(dirname "$0")/rows.sh"

anet() { features=$anet_features truth=$out/anet.json preset=activitynet13${VARIANT:-} dataset=activitynet13 subset=validation measured='--tiou 0.5:0.95:0.05'; }
thumos() { features=$thumos_features truth=$out/thumos.json preset=thumos14${VARIANT:-} dataset=thumos14 subset=testing measured='--tiou 0.3:0.7:0.1'; }
# cross NAME TITLE PAPER: what the network NAME finds in the data set that was named last.
cross() {
    proposals "$1" | taltool nms -q --preset "$model-$dataset" -o "$out/$1-across.jsonl"
    score "$out/$1-across.jsonl" "$2" "$3"
}
taltool convert -q "$anet_truth" --relabel "$classes" -o "$out/anet.json"
taltool convert -q "$thumos_truth" --relabel "$classes" -o "$out/thumos.json"
anet
fit anet "$@"
thumos
fit thumos "$@"
cross anet 'ActivityNet -> THUMOS14' '32.7 30.3'
anet
cross thumos 'THUMOS14 -> ActivityNet' '43.4 25.6'
