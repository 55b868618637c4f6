#!/bin/sh
# AFSD, Table 2d: what refinement looks at (THUMOS14).
# sh examples/reproduce/afsd-table2d.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# The paper's is the RGB model: FEATURES have a stream rgb, or STREAMS= (empty) takes all channels for one.
set -eu
model=afsd preset=thumos14 streams=rgb
metrics='mAP@0.50 mAP@0.60 mAP@0.70 average_mAP'
. "$(dirname "$0")/rows.sh"

row naive naive '44.9 32.5 19.9 41.6' --set model.refine=naive "$@"
row self self '44.6 33.9 22.3 42.4' --set model.refine=self "$@"
row frame frame '42.9 31.9 20.2 40.5' --set model.refine=frame "$@"
row all all '45.9 35.0 23.4 43.5' "$@"
