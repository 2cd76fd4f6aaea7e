#!/bin/sh
# Compiles a BPF program: the same bytes of instructions everywhere, hence one version of clang.
#   sh make/bpf.sh SOURCE OUTPUT [FLAG…]
set -eu

source=$1
output=$2
shift 2

clang=clang-14
strip=llvm-strip-14
for tool in $clang $strip; do
    command -v $tool >/dev/null || {
        echo "bpf: $tool is not installed: apt-get install clang-14 llvm-14 libbpf-dev" >&2
        exit 1
    }
done
output=$(cd "$(dirname "$output")" && pwd)/$(basename "$output")
cd "$(dirname "$source")"
# Types and source lines (BTF) stay in the object, debugging (DWARF) does not; no folder of the builder is named.
$clang -O2 -g -target bpf -mcpu=v3 -D__TARGET_ARCH_x86 -Wall -Werror -idirafter /usr/include/x86_64-linux-gnu \
    -ffile-compilation-dir=. -fdebug-prefix-map=/usr/include=include "$@" -c "$(basename "$source")" -o "$output"
$strip -g "$output"
