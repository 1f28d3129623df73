#!/bin/sh
# Instructions a frame on arm64, counted under qemu: the built-in network at several sizes, with and
# without the dot-product instructions. What they mean on a real core is an estimate; see
# docs/benchmarks.md.
# usage: tools/arm64/count.sh [FOLDER]     FOLDER: a build by `make test-arm64` (build-arm64)
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
dir=${1:-$here/../../build-arm64}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
gcc -shared -fPIC -O2 -o "$tmp/count.so" "$here/count.c"
aarch64-linux-gnu-gcc -std=c11 -O2 -I"$here/../../include" -o "$tmp/frames" "$here/frames.c" \
    "$dir/src/libveil.a" -lm -lpthread
count() { # CPU WIDTH HEIGHT FRAMES OFF
    qemu-aarch64 -cpu "$1" -d plugin -plugin "$tmp/count.so" \
        "$tmp/frames" - "$2" "$3" "$4" "$5" 2>&1 | sed -n 's/^instructions //p'
}
echo "size cores-like instructions/frame"
for size in 320x192 640x384; do
    w=${size%x*} h=${size#*x}
    for cpu in cortex-a57 max; do
        one=$(count $cpu "$w" "$h" 1 0)
        three=$(count $cpu "$w" "$h" 3 0)
        echo "$size $cpu $(((three - one) / 2))"
    done
done
