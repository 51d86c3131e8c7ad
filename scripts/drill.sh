#!/bin/sh
# `make drill`: a home is swept, backed up, deleted, restored and rebuilt, in a directory of its own.
set -eu

place=$(mktemp -d)
place=$(cd "$place" && pwd -P)
trap 'rm -rf "$place"' EXIT
export PATH="$PWD/.venv/bin:$PATH"

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
try() { printf '$ %s\n' "$*"; "$@"; }
have() { command -v "$1" >/dev/null 2>&1; }
quietly() { "$@" >"$place/log" 2>&1 || { cat "$place/log"; say "The drill ends here: $1 failed."; exit 1; }; }

# Settings of registries, and what was downloaded before, are yours; the home is the drill's own.
UV_CACHE_DIR=$(uv cache dir)
[ ! -f "$HOME/.config/pip/pip.conf" ] || export PIP_CONFIG_FILE="$HOME/.config/pip/pip.conf"
[ ! -f "$HOME/.config/uv/uv.toml" ] || export UV_CONFIG_FILE="$HOME/.config/uv/uv.toml"
export UV_CACHE_DIR npm_config_userconfig="$HOME/.npmrc"
! have npm || { npm_config_cache=$(npm config get cache) && export npm_config_cache; }
export HOME="$place/ada" BORG_BASE_DIR="$place/borg" RESTIC_PASSWORD=none
unset VIRTUAL_ENV XDG_CONFIG_HOME XDG_DATA_HOME XDG_STATE_HOME
mkdir -p "$HOME/code"

say "1. A home with projects, each with a program that needs what is installed."
mkdir "$HOME/code/shop"
cd "$HOME/code/shop"
cat >pyproject.toml <<'EOF'
[project]
name = "shop"
version = "1"
requires-python = ">=3.11"
dependencies = ["idna==3.10"]
EOF
echo "import idna; print('shop: idna', idna.__version__, idna.encode('größe.de'))" >main.py
quietly uv sync
echo "shop: a uv project with a lock"

mkdir "$HOME/code/thesis"
cd "$HOME/code/thesis"
echo "import six, sys; print('thesis: six', six.__version__, 'in', sys.prefix)" >main.py
quietly python -m venv env
quietly env/bin/python -m pip install "six<1.17"
echo "thesis: an environment made by hand, without any lock"

if have npm && have node; then
    mkdir "$HOME/code/site"
    cd "$HOME/code/site"
    echo '{"name": "site", "version": "1.0.0", "dependencies": {"is-number": "6.0.0"}}' >package.json
    quietly npm install --no-package-lock --no-audit --no-fund
    # From now on a newer version would do; what was installed comes back all the same.
    echo '{"name": "site", "version": "1.0.0", "dependencies": {"is-number": ">=6.0.0"}}' >package.json
    echo "console.log('site: is-number', require('is-number/package.json').version)" >main.js
    echo "site: node_modules without a lock"
fi
if have cmake && have make && have cc; then
    mkdir "$HOME/code/native"
    cd "$HOME/code/native"
    printf 'cmake_minimum_required(VERSION 3.10)\nproject(demo C)\nadd_executable(demo main.c)\n' >CMakeLists.txt
    printf '#include <stdio.h>\nint main(void) { puts("native: built with " HOW); return 0; }\n' >main.c
    quietly cmake -S . -B build '-DCMAKE_C_FLAGS=-DHOW=\"options\"'
    quietly cmake --build build
    echo "native: a CMake build"
fi

ask() {
    (cd "$HOME/code/shop" && .venv/bin/python main.py)
    (cd "$HOME/code/thesis" && env/bin/python main.py)
    [ ! -d "$HOME/code/site" ] || (cd "$HOME/code/site" && node main.js)
    [ ! -d "$HOME/code/native" ] || "$HOME/code/native/build/demo"
}
ask >"$place/before"
echo "They say:" && cat "$place/before"

say "2. The sweep records how each comes back, and marks it."
cd "$place"
try regrow sweep --yes --sizes

drill() {
    say "$1 backs the home up; the home is deleted, and restored."
    # It reads CACHEDIR.TAG alone; by their names it leaves out what has an attribute and no tag.
    regrow list -0 | tr '\0' '\n' | sed "s|^$place/||" >"$place/exclude"
    echo "the home holds $(count), backed up are those that nothing rebuilds"
    "$2"
    echo "restored: $(count); no environment, no node_modules, no build:"
    regrow list --state gone --state replaced --state "other machine"
    say "regrow rebuild"
    try regrow rebuild --yes --builds
    ask >"$place/after"
    echo "They say:" && cat "$place/after"
    if ! cmp -s "$place/before" "$place/after"; then
        say "The drill FAILED: that is not what they said before."
        exit 1
    fi
}
count() { echo "$(find "$HOME" -type f | wc -l | tr -d ' ') files"; }
by_restic() {
    quietly restic --no-cache --repo restic-store init
    quietly restic --no-cache --repo restic-store backup --exclude-caches --exclude-file exclude ada
    rm -rf ada
    quietly restic --no-cache --repo restic-store restore latest --target .
}
by_borg() {
    quietly borg init --encryption none borg-store
    quietly borg create --exclude-caches --exclude-from exclude borg-store::all ada
    rm -rf ada
    quietly borg extract borg-store::all
}
by_tar() {
    tar --exclude-from exclude -cf ada.tar ada
    rm -rf ada
    tar -xf ada.tar
}

number=0
! have restic || { drill "3. restic" by_restic; number=1; }
! have borg || { drill "$((number + 3)). borg" by_borg; number=$((number + 1)); }
[ "$number" != 0 ] || drill "3. tar" by_tar

say "The drill is over: every program says what it said before."
