#!/bin/sh
# Lays the gits of several Debian suites in .tools/gits/VERSION/git, each with its own libraries: tests
# run them all. What the machine's own package source does not have is left out by name.
set -eu

suites="buster bullseye bookworm bookworm-backports trixie trixie-backports sid"
place=$PWD/.tools/gits
[ -e "$place/.ready" ] && exit 0
absent() {
    echo "other versions of git are not to be had here ($1); their tests are skipped" >&2
    [ "${REGROW_REQUIRE_TOOLS:-}" = 1 ] && exit 1
    exit 0
}
. scripts/debian.sh

rm -rf "$place"
apt=$place/apt
mkdir -p "$apt/etc/apt" "$apt/var/lib/apt/lists/partial" "$apt/var/cache/apt/archives/partial" "$apt/var/lib/dpkg"
: >"$apt/var/lib/dpkg/status"
ask() {
    program=$1
    shift
    "$program" -qq -o "Dir=$apt" -o "Dir::State::status=$apt/var/lib/dpkg/status" \
        -o APT::Sandbox::User=root -o Acquire::Languages=none "$@"
}

for suite in $suites; do
    echo "deb [signed-by=$keys] $archive $suite main" >"$apt/etc/apt/sources.list"
    rm -rf "$apt/var/lib/apt/lists"
    mkdir -p "$apt/var/lib/apt/lists/partial"
    # Backports hold git alone; its libraries are the suite's.
    case $suite in *-backports)
        echo "deb [signed-by=$keys] $archive ${suite%-backports} main" >>"$apt/etc/apt/sources.list" ;;
    esac
    if ! ask apt-get -o APT::Update::Error-Mode=any update >/dev/null 2>&1; then
        echo "git of $suite: not to be had here" >&2
        continue
    fi
    package=$(ask apt-cache madison git | awk '{ print $3; exit }')
    version=$(echo "$package" | sed 's/^[0-9]*://; s/[-+~].*//')
    { [ -n "$version" ] && [ ! -e "$place/$version" ]; } || continue
    root=$place/$version
    mkdir -p "$root/debs"
    # What the git program itself is linked with; zlib1g and libpcre2-8-0 have had these names since 2017.
    (cd "$root/debs" && ask apt-get download "git=$package" libc6 libpcre2-8-0 zlib1g 2>/dev/null >&2) || {
        rm -rf "$root"
        echo "git of $suite: not to be had here" >&2
        continue
    }
    for package in "$root"/debs/*.deb; do
        dpkg -x "$package" "$root"
    done
    rm -rf "$root/debs"
    loader=$(find "$root" -name 'ld-linux*.so*' -type f | head -n 1)
    [ -n "$loader" ] || loader=$(find "$root" -name 'ld-2*.so' -type f | head -n 1)
    libraries=$(find "$root" -name 'libc.so.6' -o -name 'libz.so.1' -o -name 'libpcre2-8.so.0' | sed 's,/[^/]*$,,' | sort -u | tr '\n' ':')
    # Programs that git starts find the same one first in GIT_EXEC_PATH.
    for name in git usr/lib/git-core/git; do
        rm -f "$root/$name"
        cat >"$root/$name" <<EOF
#!/bin/sh
case \${0##*/} in git-*) set -- "\${0##*/git-}" "\$@" ;; esac
export GIT_EXEC_PATH="$root/usr/lib/git-core" GIT_TEMPLATE_DIR="$root/usr/share/git-core/templates"
exec "$loader" --library-path "$libraries" "$root/usr/bin/git" "\$@"
EOF
        chmod +x "$root/$name"
    done
    "$root/git" --version
done
rm -rf "$apt"
touch "$place/.ready"
