#!/bin/sh
# GSMT, Figure 11: as Figure 10, of a video with one short instance; see gsmt-figure10.sh.
# sh examples/reproduce/gsmt-figure11.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
set -eu
model=gsmt preset=activitynet13
INSTANCES=one PICTURE=figure11
. "$(dirname "$0")/gsmt-figure10.sh"
