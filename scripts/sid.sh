#!/bin/sh
# Runs `make test` in Debian sid, in .tools/sid: the newest Python, restic, borg, borg 2 and fish that are packaged.
# Usage: sid.sh [PYTEST ARGUMENTS]
set -eu

place=$PWD/.tools/sid
absent() {
    echo "Debian sid: skipped, it can't be had here ($1)" >&2
    [ "${REGROW_REQUIRE_TOOLS:-}" != 1 ]
    exit
}
[ "$(id -u)" = 0 ] || absent "only the superuser can change the root directory"
. scripts/debian.sh
sh scripts/need.sh debootstrap:debootstrap unshare:util-linux || absent "no debootstrap"

if [ ! -e "$place/.ready" ]; then
    rm -rf "$place"
    mkdir -p .tools
    debootstrap --variant=minbase --include=ca-certificates,make --keyring="$keys" sid "$place" "$archive" >"$place.log" 2>&1 ||
        absent "debootstrap failed: $place.log"
    # A mirror may be older than its list allows; what is on the list is signed all the same.
    echo 'Acquire::Check-Valid-Until "false";' >"$place/etc/apt/apt.conf.d/valid"
    touch "$place/.ready"
fi
# Whom this machine trusts, and where it finds names, holds there, too.
for file in /etc/ssl/certs/ca-certificates.crt /etc/resolv.conf /etc/hosts; do
    [ ! -e "$file" ] || cp -L "$file" "$place$file"
done
rm -rf "$place/regrow/tests" "$place/regrow/src" "$place/regrow/marks" # or modules that were renamed would stay
mkdir -p "$place/regrow"
git ls-files -z --cached --others --exclude-standard | tar --null --files-from=- -cf - | tar -C "$place/regrow" -xf -

# The mounts are in a namespace of their own, and end with it.
# shellcheck disable=SC2016  # the inner shell fills in its arguments
exec unshare --mount --propagation private sh -euc '
    mount --bind "$1" "$1" # or nobody inside can tell what kind of file system / is
    mount -t proc proc "$1/proc"
    mount --rbind /sys "$1/sys"
    mount --rbind /dev "$1/dev"
    exec chroot "$1" /bin/sh -euc "
        cd /regrow
        export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
        apt-get update -qq
        sh scripts/need.sh git:git python3:python3-venv borg2:borgbackup2
        export REGROW_BORG2=/usr/bin/borg2 REGROW_REQUIRE_TOOLS=1
        make -s test PYTHON=python3 ARGS=\"\$*\"
    " sh "$2"
' sh "$place" "$*"
