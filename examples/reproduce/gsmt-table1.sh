#!/bin/sh
# GSMT, Table 1: the main result. PRESET=thumos14 (testing subset, SIGMA=0.4) or activitynet13, which is the default.
# sh examples/reproduce/gsmt-table1.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# FEATURES are I3D (2,048 channels) or two-stream (400 channels) snippets; the paper's number of each is printed.
set -eu
model=gsmt preset=activitynet13 sigma=0.6
. "$(dirname "$0")/rows.sh"

case $preset in thumos14) paper='I3D 54.3 51.6, TS 45.0 43.8' ;; *) paper='I3D 56.0 36.2, TS 53.2 35.6' ;; esac
row gsmt GSMT "$paper" "$@"
