#!/bin/sh
# MGNet, Table 1: recall of proposals behind hard and soft suppression, on C3D features and on those of two streams
# (THUMOS14). FEATURES are of two streams; C3D=FILE in the environment names those of C3D, without which its rows are
# left out. Kept are 2,300 proposals as in the authors' script; the text has no number.
# sh examples/reproduce/mgnet-table1.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# SUPPRESSION is not read: the rows are suppressions.
set -eu
model=mgnet preset=thumos14
metrics='AR@50 AR@100 AR@200 AR@500 AR@1000' measured='--metric ar --an 1000 --tiou 0.5:1.0:0.05'
. "$(dirname "$0")/rows.sh"

# behind KIND TITLE PAPER: the proposals of the network $name behind the suppression mgnet-thumos14KIND.
behind() {
    proposals "$name" | taltool nms -q --preset "mgnet-thumos14$1" -o "$out/$name$1.jsonl"
    score "$out/$name$1.jsonl" "$2" "$3"
}
two_streams=$features features=${C3D:-}
if [ -n "$features" ]; then
    fit c3d --set model.streams=1 "$@"
    behind -nms 'C3D, NMS' '34.29 42.75 50.53 59.28 62.02'
    behind '' 'C3D, Soft-NMS' '31.50 40.10 48.24 57.69 62.88'
fi
features=$two_streams
fit two-streams "$@"
behind -nms 'two streams, NMS' '45.40 53.05 59.05 63.81 64.19'
behind '' 'two streams, Soft-NMS' '41.36 51.04 58.36 65.04 68.68'
