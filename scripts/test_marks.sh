#!/bin/sh
# Runs the tests of regrow-marks on every Python from 3.8 on that is on PATH or under pyenv, two at a time.
# Usage: test_marks.sh PYTEST [MINOR]; PYTEST is a directory with a pytest that Python 3.8 can import.
set -eu

if [ $# = 1 ]; then
    for minor in 8 9 10 11 12 13 14; do echo "$minor"; done | xargs -n 1 -P 2 sh "$0" "$1"
    exit
fi

for python in "python3.$2" "${PYENV_ROOT:-$HOME/.pyenv}/versions/3.$2".*/bin/python; do
    "$python" -c '' 2>/dev/null || continue # pyenv has a shim for versions that are not there, too
    export PYTHONPATH="marks/src:$1" PYTEST_DISABLE_PLUGIN_AUTOLOAD=1
    output=$("$python" -m pytest -q -c marks/pyproject.toml marks/tests 2>&1) || {
        printf 'Python 3.%s:\n%s\n' "$2" "$output"
        exit 1
    }
    echo "Python 3.$2: $(echo "$output" | tail -n 1)"
    exit
done
echo "Python 3.$2: skipped, it is not here"
