#!/bin/sh
# libbpf.so.1, with which the eBPF sensor loads its programs: installed where that can be done without asking. Without it
# a watch uses the kernel's audit, so nothing here is a failure.
#   sh make/libbpf.sh PYTHON
set -eu

there() { "$1" -c 'import ctypes; ctypes.CDLL("libbpf.so.1")' 2>/dev/null; }
there "$1" && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -qq -y --no-install-recommends libbpf1 >/dev/null 2>&1 || {
        apt-get update -qq >/dev/null 2>&1 || true
        apt-get install -qq -y --no-install-recommends libbpf1 >/dev/null 2>&1 || true
    }
fi
there "$1" || echo "libbpf.so.1 is not here, so the eBPF sensor is not either: apt-get install libbpf1 (Fedora: libbpf)" >&2
