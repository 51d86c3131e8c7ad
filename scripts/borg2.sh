#!/bin/sh
# Builds BorgBackup 2 in .tools/borg2: no package has it yet, and it honours marks that borg 1 doesn't.
set -eu

version=2.0.0b23
place=.tools/borg2
[ -x "$place/bin/borg" ] && exit 0
sh scripts/need.sh "gcc:gcc libc6-dev" pkg-config:pkg-config
if command -v apt-get >/dev/null 2>&1; then
    packages="libacl1-dev liblz4-dev libssl-dev libxxhash-dev libzstd-dev"
    # shellcheck disable=SC2086
    dpkg -s $packages >/dev/null 2>&1 || sh scripts/need.sh --always $packages
fi
rm -rf "$place"
.venv/bin/python -m venv "$place"
echo "building borgbackup $version (about a minute)"
if ! BORG_OPENSSL_PREFIX=/usr "$place/bin/pip" install -q "borgbackup==$version"; then
    rm -rf "$place"
    echo "borgbackup $version can't be built here; its tests are skipped by name" >&2
    [ "${REGROW_REQUIRE_TOOLS:-}" = 1 ] && exit 1
fi
exit 0
