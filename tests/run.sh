#!/bin/sh
# Installs taltool with what its tests need and runs them all: sh tests/run.sh [pytest options]
set -eu
cd "$(dirname "$0")/.."
EXTRAS=test
. examples/venv.sh
ruff check .
ruff format --check .
mypy
python man/generate.py --check
# A process per core; more threads in each would only wait for one another.
OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} python -m pytest -n auto "$@"
