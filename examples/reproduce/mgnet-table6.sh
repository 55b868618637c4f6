#!/bin/sh
# MGNet, Table 6: thresholds of the foreground masks (THUMOS14). The text says C3D, the numbers are those of two streams
# with hard suppression (45.40 53.05 in Table 1).
# sh examples/reproduce/mgnet-table6.sh FEATURES GT [FOLDER] [words for train ...]; see rows.sh for the rest.
set -eu
model=mgnet preset=thumos14
metrics='AR@50 AR@100' measured='--metric ar --an 100 --tiou 0.5:1.0:0.05' suppression='--preset mgnet-thumos14-nms'
. "$(dirname "$0")/rows.sh"

row action1 'action 0.1' '42.40 50.80' --set model.alpha_action=0.1 "$@"
row action2 'action 0.2' '42.92 51.40' --set model.alpha_action=0.2 "$@"
row action3 'action 0.3' '43.96 51.90' --set model.alpha_action=0.3 "$@"
row action4 'action 0.4' '45.40 53.05' --set model.alpha_action=0.4 "$@"
row action5 'action 0.5' '44.40 52.15' --set model.alpha_action=0.5 "$@"
row action6 'action 0.6' '44.92 52.54' --set model.alpha_action=0.6 "$@"
row action7 'action 0.7' '44.82 52.30' --set model.alpha_action=0.7 "$@"
row action8 'action 0.8' '42.37 51.03' --set model.alpha_action=0.8 "$@"
row action9 'action 0.9' '43.45 51.64' --set model.alpha_action=0.9 "$@"
row boundary1 'boundary 0.1' '43.06 51.03' --set model.alpha_boundary=0.1 "$@"
row boundary2 'boundary 0.2' '43.16 51.42' --set model.alpha_boundary=0.2 "$@"
row boundary3 'boundary 0.3' '44.51 52.12' --set model.alpha_boundary=0.3 "$@"
row boundary4 'boundary 0.4' '44.31 52.35' --set model.alpha_boundary=0.4 "$@"
row boundary5 'boundary 0.5' '45.40 53.05' --set model.alpha_boundary=0.5 "$@"
row boundary6 'boundary 0.6' '43.45 51.14' --set model.alpha_boundary=0.6 "$@"
row boundary7 'boundary 0.7' '42.68 50.80' --set model.alpha_boundary=0.7 "$@"
row boundary8 'boundary 0.8' '42.68 51.37' --set model.alpha_boundary=0.8 "$@"
row boundary9 'boundary 0.9' '42.56 50.93' --set model.alpha_boundary=0.9 "$@"
