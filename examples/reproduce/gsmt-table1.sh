#!/bin/sh
# GSMT, Table 1: the main result. PRESET=thumos14 (testing subset) or activitynet13, which is the default.
# sh examples/reproduce/gsmt-table1.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# FEATURES are I3D snippets (2,048 channels), or with ENCODER=TS two-stream ones (400 channels): the paper has both.
set -eu
model=gsmt preset=activitynet13
[ "${PRESET:-}" != thumos14 ] || preset=thumos14  # What is measured goes by it.
. "$(dirname "$0")/rows.sh"

case $preset,${ENCODER:-I3D} in
thumos14,TS) paper='45.0 43.8' ;;
thumos14,*) paper='54.3 51.6' ;;
*,TS) paper='53.2 35.6' ;;
*) paper='56.0 36.2' ;;
esac
row gsmt GSMT "$paper" "$@"
