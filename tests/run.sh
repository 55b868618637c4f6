#!/bin/sh
# Installs taltool with what its tests need and runs all but the slow ones: sh tests/run.sh [pytest options]
# All of them: EXTRAS=test,ray sh tests/run.sh -m "slow or not slow"
# Without network, in the locale C and a home that cannot be written to, see apart.sh: APART=1 sh tests/run.sh
set -eu
cd "$(dirname "$0")/.."
EXTRAS=${EXTRAS:-test}
. examples/venv.sh
ruff check .
ruff format --check .
mypy
python man/generate.py --check
# A process per core; more threads in each would only wait for one another. Of two -m the last one counts.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
${APART:+sh tests/apart.sh} python -m pytest -n auto -m "not slow" "$@"
