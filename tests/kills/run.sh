#!/bin/sh
# Kill each form of command so often, 30 times by default, at moments that other numbers would change (--first); what is
# wrong is kept. Prints kills, faults, and what an undisturbed run takes: sh tests/kills/run.sh KILLS [--form NAME ...]
cd "$(dirname "$0")/../.." || exit
kills=${1:-30}
[ $# -eq 0 ] || shift
OMP_NUM_THREADS=1 exec python tests/kills/kills.py --kills "$kills" "$@"
