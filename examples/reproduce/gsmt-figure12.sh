#!/bin/sh
# GSMT, Figure 12: as Figure 10, of a video with several short instances; see gsmt-figure10.sh.
# sh examples/reproduce/gsmt-figure12.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
set -eu
model=gsmt preset=activitynet13
INSTANCES=several PICTURE=figure12
. "$(dirname "$0")/gsmt-figure10.sh"
