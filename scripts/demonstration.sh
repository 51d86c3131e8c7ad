#!/bin/sh
# `make run`: the main job on real input, in a directory of its own that is removed afterwards.
set -eu

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export XDG_DATA_HOME="$place/data" XDG_CONFIG_HOME="$place/config"
export PATH="$PWD/.venv/bin:$PATH"

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
try() { printf '\n$ %s\n' "$*"; "$@"; }

mkdir "$place/shop"
cd "$place/shop"
printf '[project]\nname = "shop"\nversion = "1"\n' >pyproject.toml
printf 'print("open for business")\n' >shop.py

say "1. A project gets its virtual environment, marked before its first file."
try regrow venv
echo "It holds $(find .venv -type f | wc -l | tr -d ' ') files; with a few packages it would be thousands."

say "2. Who leaves it out, and why?"
programs="--program tar --program restic --program borg --program borg2"
[ "$(uname)" != Darwin ] || programs="--program time-machine --program restic"
# shellcheck disable=SC2086
try regrow status $programs .venv || true

say "3. A real archive of the project, by tar:"
cd "$place"
if tar --version 2>/dev/null | grep -q GNU; then
    try tar --exclude-caches-all -cf shop.tar shop
    try tar -tf shop.tar
    echo
    echo "The environment is not in it. The same archive without the option:" \
        "$(tar -cf - shop | tar -tf - | wc -l | tr -d ' ') entries instead of $(tar -tf shop.tar | wc -l | tr -d ' ')."
else
    echo "(no GNU tar here: on macOS, Time Machine honours the attribute by itself; see 2.)"
fi

say "4. And its record, which tells how it comes back:"
try cat "$XDG_DATA_HOME"/regrow/records/*.toml 2>/dev/null ||
    echo "(on macOS it is in ~/Library/Application Support/regrow/records)"

say "Now on this machine: what is to be done?"
try regrow doctor "$place" || true
