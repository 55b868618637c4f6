#!/bin/sh
# AFSD, supplement, Table 3: its parts, for RGB, flow and both averaged. PRESET=thumos14, the default, activitynet13
# with CLASSIFIER (see afsd-table1.sh), or activitynet13-paper. The full RGB model has 43.5 in Table 2, 43.2 here.
# sh examples/reproduce/afsd-supplement-table3.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# The features' streams are named rgb and flow, or as STREAMS says; three rows stand for the three columns.
set -eu
model=afsd preset=thumos14 streams='rgb flow' metrics=average_mAP
case ${PRESET:-} in activitynet13*) preset=activitynet13 ;; esac
. "$(dirname "$0")/rows.sh"

# parts NAME TITLE THUMOS14 ACTIVITYNET [words for train]: the paper's three numbers for each data set.
both=$streams
parts() {
    name=$1 title=$2; case $preset in *thumos14*) theirs=$3 ;; *) theirs=$4 ;; esac; shift 4
    for columns in $both "$both"; do
        streams=$columns
        row "$name" "$title, $columns" "${theirs%% *}" "$@"
        mv "$out/$name.jsonl" "$out/$name-$(echo $columns | tr ' ' -).jsonl"
        theirs=${theirs#* }
    done
}
coarse='--set model.refine=none --set model.bcl=none'
parts no-gn 'baseline w/o GN' '37.4 38.9 46.2' '30.9 30.8 31.9' $coarse --set model.quality=none --set model.norm=none "$@"
parts baseline baseline '40.4 40.4 48.5' '31.0 31.5 32.4' $coarse --set model.quality=none "$@"
parts quality '+quality' '41.4 41.2 49.9' '31.7 32.1 33.3' $coarse "$@"
parts refine '+quality+refine' '42.0 42.4 50.4' '32.5 32.7 33.7' --set model.bcl=none "$@"
parts full 'full model' '43.2 44.2 52.0' '32.9 33.1 34.4' "$@"
