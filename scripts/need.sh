#!/bin/sh
# Makes sure that programs are here: `need.sh "COMMAND:PACKAGE ..." ...`, or `need.sh --always PACKAGE ...`.
# As root on Debian what is missing is installed; elsewhere it is named, and what needs it is skipped.
set -eu

missing=
if [ "${1:-}" = --always ]; then
    shift
    missing=" $*"
else
    for pair; do
        command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
    done
fi
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing:$missing"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086  # one word a package
    apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1 || {
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends $missing >/dev/null
    }
else
    echo "not installed, and what needs it is skipped:$missing (install by your package manager)"
fi
