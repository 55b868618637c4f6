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
python -m pytest -n auto "$@"
