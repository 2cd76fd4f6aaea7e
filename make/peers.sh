#!/bin/sh
# Obtains into .peers what benchmarks/peers.py compares with: `peers.sh`. As root, the packages too.
#
# Debian's packages as they are; laurel by its own lock file; go-libaudit by the hashes in go.sum beside its program.
# What one of them lacks is said, and the others are obtained all the same. None of their code is in ours.
set -u

laurel=0.8.2
here=$PWD/.peers failed=0
mkdir -p "$here"
log=$here/log
trap 'chmod -R u+w "$here/modules" 2>/dev/null; rm -rf "$here/modules" "$here/built" "$here/cargo" "$log"' EXIT
trap 'exit 1' HUP INT TERM

lacks() {
    echo "left out: $1" >&2
    [ ! -s "$log" ] || tail -n 5 "$log" >&2
    failed=1
}

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq >"$log" 2>&1
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
        auditd ripgrep jq gcc libc6-dev libaudit-dev libauparse-dev libacl1-dev >"$log" 2>&1 || lacks "Debian's packages"
fi

gcc -O2 -Wall -Wextra -Werror -o "$here/auparse" benchmarks/peers/auparse.c -lauparse -laudit >"$log" 2>&1 ||
    lacks "libauparse: it takes gcc, libauparse-dev and libaudit-dev"

go=$(command -v go || echo /usr/local/go/bin/go)
(
    cd benchmarks/peers/golibaudit &&
        GOMODCACHE=$here/modules GOCACHE=$here/built GOFLAGS=-mod=readonly GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=0 \
            "$go" build -trimpath -ldflags='-s -w' -o "$here/golibaudit" .
) >"$log" 2>&1 || lacks "go-libaudit: it takes Go 1.23 or later"

if [ "$("$here/laurel" --version 2>/dev/null | tr -dc '0-9.')" != "$laurel" ]; then
    {
        CARGO_TARGET_DIR=$here/cargo cargo install --quiet --locked --no-track --bin laurel --root "$here/cargo" "laurel@$laurel" &&
            mv "$here/cargo/bin/laurel" "$here/laurel"
    } >"$log" 2>&1 || lacks "laurel: it takes Rust 1.70 or later and libacl1-dev"
fi
exit "$failed"
