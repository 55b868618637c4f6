#!/bin/sh
# AFSD, Table 1: the main result, RGB and flow averaged. PRESET=thumos14 (default), or activitynet13 with CLASSIFIER, a
# file for `taltool label --classifier` (the authors' code: CUHK 2017), or activitynet13-paper (classes of its own); all
# but the latter are the authors' code, thumos14-paper and activitynet13-paper what the text says.
# sh examples/reproduce/afsd-table1.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
# FEATURES have the streams rgb and flow, `taltool extract --preset afsd-thumos14` or afsd-activitynet13; STREAMS= (empty)
# takes all channels for one network. The paper's own, which trains I3D along: INPUT=frames, with INIT_rgb=rgb_imagenet.pt
# INIT_flow=flow_imagenet.pt; FEATURES is then a frame store of both streams, or the folder of videos.
set -eu
model=afsd preset=thumos14 streams='rgb flow'
metrics='mAP@0.30 mAP@0.40 mAP@0.50 mAP@0.60 mAP@0.70 average_mAP' paper='67.3 62.4 55.5 43.7 31.1 52.0'
case ${PRESET:-} in activitynet13*)
    preset=activitynet13 metrics='mAP@0.50 mAP@0.75 mAP@0.95 average_mAP' paper='52.4 35.3 6.5 34.4' ;;
esac
. "$(dirname "$0")/rows.sh"

row afsd AFSD "$paper" "$@"
