#!/bin/sh
# Features in four parts, as four machines would make them, joined into one file: sh examples/extract-in-parts.sh [FOLDER]
# On a Slurm cluster each part is a task of an array: --shard $((SLURM_ARRAY_TASK_ID + 1))/$SLURM_ARRAY_TASK_COUNT.
set -eu
cd "$(dirname "$0")/.."
EXTRAS=plot
. examples/venv.sh
data=${1:-parts}

python examples/make_videos.py "$data" --videos 8
seq 4 | xargs -P 2 -I N taltool extract "$data/videos" --shard N/4 --jobs 1 --no-provenance -o "$data/shard-N.h5"
taltool convert "$data"/shard-*.h5 --no-provenance -o "$data/all.h5"
taltool convert "$data"/shard-*.h5 --link -o "$data/links.h5"
taltool check "$data/all.h5" "$data/links.h5"

# The same bytes as from one machine.
taltool extract "$data/videos" --no-provenance -o "$data/single.h5"
cmp "$data/all.h5" "$data/single.h5"
taltool info "$data/all.h5"
