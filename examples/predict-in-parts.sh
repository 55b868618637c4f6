#!/bin/sh
# Predictions in four parts, as four machines would make them, joined by cat:
#
#     sh examples/predict-in-parts.sh MODEL FEATURES GT [FOLDER]
#
# After the quickstart MODEL is quickstart/afsd.safetensors, and so on. On a Slurm cluster each part is a task of an
# array: --shard $((SLURM_ARRAY_TASK_ID + 1))/$SLURM_ARRAY_TASK_COUNT. Features in parts: extract-in-parts.sh.
set -eu
usage='usage: predict-in-parts.sh MODEL FEATURES GT [FOLDER]'
model=${1:?$usage} features=${2:?$usage} truth=${3:?$usage} out=${4:-parts}
mkdir -p "$out"

seq 4 | xargs -P 2 -I {} taltool predict --model "$model" "$features" --shard {}/4 -o "$out/part-{}.jsonl"
cat "$out"/part-*.jsonl | taltool nms -o "$out/joined.jsonl"

# The same numbers as from one machine.
taltool predict --model "$model" "$features" | taltool nms -o "$out/single.jsonl"
taltool evaluate "$truth" "$out/joined.jsonl" "$out/single.jsonl"
