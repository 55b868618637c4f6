#!/bin/sh
# AFSD, supplement, Table 2: NMS instead of Soft-NMS, of one RGB and flow model (THUMOS14). The paper does not give
# the threshold of NMS; 0.5 is that of the authors' settings.
# sh examples/reproduce/afsd-supplement-table2.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
set -eu
model=afsd preset=thumos14 streams='rgb flow'
metrics='mAP@0.30 mAP@0.40 mAP@0.50 mAP@0.60 mAP@0.70 average_mAP'
. "$(dirname "$0")/rows.sh"

fit full "$@"
proposals full >"$out/full.jsonl"
taltool nms -q --method hard --tiou 0.5 "$out/full.jsonl" -o "$out/nms.jsonl"
score "$out/nms.jsonl" NMS '65.1 60.4 53.6 42.0 29.1 50.4'
taltool nms -q $suppression "$out/full.jsonl" -o "$out/soft-nms.jsonl"
score "$out/soft-nms.jsonl" Soft-NMS '67.3 62.4 55.5 43.7 31.1 52.0'
