#!/bin/sh
# Try broken files on all readers for so many minutes, with files that were not tried before; those that fail are kept
# in fuzz-failures/. Prints inputs, failures and the largest memory (MB) of each reader: sh tests/fuzz/run.sh MINUTES
cd "$(dirname "$0")/../.." || exit
PYTHONPATH=$PWD OMP_NUM_THREADS=1 exec python tests/fuzz/trials.py --minutes "${1:?how many minutes}" --keep "${2:-fuzz-failures}"
