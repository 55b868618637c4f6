#!/bin/sh
# AFSD, Table 2a: quality of the coarse segments, without refinement (THUMOS14).
# sh examples/reproduce/afsd-table2a.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# The paper's is the RGB model: FEATURES have a stream rgb, or STREAMS= (empty) takes all channels for one.
set -eu
model=afsd preset=thumos14 streams=rgb
metrics='mAP@0.50 mAP@0.60 mAP@0.70 average_mAP'
. "$(dirname "$0")/rows.sh"

coarse='--set model.refine=none --set model.bcl=none'
row baseline baseline '43.1 31.0 19.0 40.4' $coarse --set model.quality=none "$@"
row centerness '+ centerness' '43.3 31.6 17.7 40.2' $coarse --set model.quality=centerness "$@"
row quality '+ quality' '44.0 32.0 19.8 41.4' $coarse "$@"
