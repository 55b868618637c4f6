#!/bin/sh
# AFSD, Table 2c: the regions of boundary pooling (THUMOS14). Eq. 3 and the text read a and b otherwise: delta_a <
# delta_b keeps "a larger proportion inside the action", says the text, and so the code. The divisors of the other two
# rows (4 and 4; 10 inside, 4 outside) are ours, the paper does not give them.
# sh examples/reproduce/afsd-table2c.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# The paper's is the RGB model: FEATURES have a stream rgb, or STREAMS= (empty) takes all channels for one.
set -eu
model=afsd preset=thumos14 streams=rgb
metrics='mAP@0.50 mAP@0.60 mAP@0.70 average_mAP'
. "$(dirname "$0")/rows.sh"

row symmetric 'delta_a = delta_b' '45.0 33.4 21.2 42.3' --set model.region=symmetric "$@"
row outside 'delta_a > delta_b' '45.3 34.7 21.8 42.6' --set model.region=outside "$@"
row inside 'delta_a < delta_b' '45.9 35.0 23.4 43.5' "$@"
