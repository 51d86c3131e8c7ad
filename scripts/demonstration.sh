#!/bin/sh
# `make run`: the main job on real input, in a directory of its own that is removed afterwards.
set -eu

place=$(mktemp -d)
# On macOS records have a place of their own; undo leaves none of this there.
trap 'regrow undo "$place" >/dev/null 2>&1 || true; rm -rf "$place"' EXIT
export XDG_DATA_HOME="$place/data" XDG_CONFIG_HOME="$place/config"
export PATH="$PWD/.venv/bin:$PATH"

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
try() { printf '\n$ %s\n' "$*"; "$@"; }
make_modules() {
    command -v npm >/dev/null 2>&1 &&
        npm install --silent --no-audit --no-fund --fetch-retries=0 --fetch-timeout=8000 >/dev/null 2>&1
}

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

say "4. What is there already: a sweep over the projects of a home directory."
mkdir -p "$place/home/code/site" "$place/home/code/thesis/build"
cd "$place/home/code/site"
git init -q . 2>/dev/null || echo "(no git here: node_modules gets the attribute alone)"
echo "node_modules/" >.gitignore
printf '{"name": "site", "version": "1.0.0", "dependencies": {"is-number": "7.0.0"}}\n' >package.json
if ! make_modules; then
    echo "(no npm here, or no registry: its directory is made by hand)"
    printf '{"name": "site", "lockfileVersion": 3, "packages": {}}\n' >package-lock.json
    mkdir -p node_modules/is-number
    echo "module.exports = 1" >node_modules/is-number/index.js
fi
touch ../thesis/setup.py
echo "drawn by hand" >../thesis/build/figure.svg
cd "$place"
try regrow sweep --yes --sizes home
echo "The build directory stays: nobody said that it can be rebuilt, and it holds somebody's work."
try regrow list --sizes .
try regrow undo home/code/site
try regrow list .

say "5. And the record of the environment, which tells how it comes back:"
try cat "$XDG_DATA_HOME"/regrow/records/*.toml 2>/dev/null ||
    echo "(on macOS it is in ~/Library/Application Support/regrow/records)"

say "Now on this machine: what is to be done?"
try regrow doctor "$place" || true
