# Sourced by quickstart.sh and tests/run.sh: makes .venv unless an environment is active, and installs taltool with the
# pinned versions. Set EXTRAS before, e.g. EXTRAS=plot.
made_venv=
if [ -z "${VIRTUAL_ENV:-}" ]; then
    made_venv=yes
    [ -x .venv/bin/python ] || "${PYTHON:-python3}" -m venv .venv
    . .venv/bin/activate
fi
# Of what pip says, a line for each package that it fetches, on standard error; its exit status comes around by 3.
pip_status=$( {
    { python -m pip install --disable-pip-version-check -c constraints.txt -e ".[$EXTRAS]"; echo $? >&3; } |
        grep --line-buffered '^ *Downloading' >&2
} 3>&1 ) || true
[ "$pip_status" = 0 ]
