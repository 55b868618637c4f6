#!/bin/sh
# AFSD, supplement, Figure 3: what the network makes of whole videos, the mean over channels of the start- and
# end-sensitive frame-level features, beside their instances (THUMOS14); coarse and refined segments are in
# afsd-supplement-figure2.sh, those of R-C3D are not made. VIDEO from the environment names the video; by default the
# first four of the subset, for the paper does not name its own. Needs taltool[plot].
# sh examples/reproduce/afsd-supplement-figure3.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# With the FOLDER of afsd-table2f.sh its network is taken. INPUT=frames: from pixels, as in the paper.
set -eu
model=afsd preset=thumos14 streams=rgb metrics='quantities'
. "$(dirname "$0")/rows.sh"

fit both "$@"
activations both
