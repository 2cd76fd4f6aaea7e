#!/bin/sh
# Puts uv into .uv, for a machine that has none: a virtual environment of its own, the package pinned by hash.
set -eu

fail() {
    echo "sockwarden needs $1" >&2
    exit 1
}

command -v python3 >/dev/null || fail "Python 3.11 or later: apt-get install python3"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "Python 3.11 or later; this is $(python3 --version)"

# Debian ships Python without ensurepip, and then a virtual environment has no pip.
if ! python3 -c 'import ensurepip' 2>/dev/null; then
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
        fail "the package python3-venv: sudo apt-get install python3-venv"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y python3-venv >/dev/null
fi

python3 -m venv --clear .uv
.uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/uv.txt
