# To be sourced: where this machine takes Debian's packages from, and what signs them.
# Sets archive and keys; calls absent, a function of the script's own, with the reason why they can't be had.

command -v apt-get >/dev/null 2>&1 || absent "no apt-get"
# In either way to write it.
archive=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
    sed -n 's/^URIs: *//p; s/^deb  *\(\[[^]]*\]  *\)\{0,1\}\([^ ]*\) .*/\2/p' | tr ' ' '\n' |
    grep -E '/debian/?$' | head -n 1) || true
[ -n "$archive" ] || absent "it takes no packages from a Debian archive"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keys" ] || absent "no $keys"
