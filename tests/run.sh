#!/bin/sh
# Installs taltool with what its tests need and runs all but the slow ones: sh tests/run.sh [pytest options]
# The slow ones: sh tests/run.sh -m slow
set -eu
cd "$(dirname "$0")/.."
EXTRAS=test
. examples/venv.sh
ruff check .
ruff format --check .
mypy
python man/generate.py --check
# A process per core; more threads in each would only wait for one another.
OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} python -m pytest -n auto -m "not slow" "$@"
