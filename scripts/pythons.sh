#!/bin/sh
# Runs `make test` by every Python that regrow supports and that is on PATH or under pyenv, each in an environment of its own.
# Usage: pythons.sh [PYTEST ARGUMENTS]
set -eu

for minor in 11 12 13 14; do
    found=
    for python in "python3.$minor" "${PYENV_ROOT:-$HOME/.pyenv}/versions/3.$minor".*/bin/python; do
        "$python" -c 'import ensurepip' 2>/dev/null || continue # pyenv has a shim for versions that are not there, too
        found=$("$python" -c 'import sys; print(sys._base_executable)')
        break
    done
    if [ -z "$found" ]; then
        echo "Python 3.$minor: skipped, it is not here"
        continue
    fi
    echo "Python 3.$minor:"
    make -s test VENV=".tools/python3.$minor" PYTHON="$found" ARGS="$*"
done
