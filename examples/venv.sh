# Sourced by quickstart.sh and tests/run.sh: makes .venv unless an environment is active, and installs taltool with the
# pinned versions. Set EXTRAS before, e.g. EXTRAS=plot.
if [ -z "${VIRTUAL_ENV:-}" ]; then
    [ -x .venv/bin/python ] || "${PYTHON:-python3}" -m venv .venv
    . .venv/bin/activate
fi
python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$EXTRAS]"
