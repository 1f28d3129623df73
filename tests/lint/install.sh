#!/bin/sh
# What `make install` puts down is enough: header, libraries, pkg-config file, program, manual page.
# examples/minimal.c is compiled against it, shared and static, and changes a picture.
# usage: install.sh BUILD_ROOT SOURCE_ROOT
set -eu
build=$1 root=$2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
meson install -C "$build" --no-rebuild --destdir "$tmp" >"$tmp/log" 2>&1 || { cat "$tmp/log"; exit 1; }
pc=$(find "$tmp" -name veil.pc)
[ -n "$pc" ] || { echo "no veil.pc"; exit 1; }
for f in include/veil.h bin/veil share/man/man1/veil.1; do
    [ -n "$(find "$tmp" -path "*/$f*")" ] || { echo "$f is not installed"; exit 1; }
done
export PKG_CONFIG_PATH="${pc%/*}" PKG_CONFIG_SYSROOT_DIR="$tmp"
lib=$(find "$tmp" -name libveil.so)
# shellcheck disable=SC2046
gcc -std=c11 "$root/examples/minimal.c" $(pkg-config --cflags --libs veil) -lm -o "$tmp/shared"
# shellcheck disable=SC2046
gcc -std=c11 "$root/examples/minimal.c" $(pkg-config --cflags veil) "${lib%/*}/libveil.a" -pthread \
    -lm -o "$tmp/static"
/usr/bin/env python3 - "$tmp/in.ppm" <<'P'
import sys
w, h = 320, 240
with open(sys.argv[1], "wb") as f:
    f.write(b"P6\n%d %d\n255\n" % (w, h))
    f.write(bytes((x * y + 40 * c) % 251 for y in range(h) for x in range(w) for c in range(3)))
P
LD_LIBRARY_PATH="${lib%/*}" "$tmp/shared" "$tmp/in.ppm" "$tmp/a.ppm"
"$tmp/static" "$tmp/in.ppm" "$tmp/b.ppm"
cmp "$tmp/a.ppm" "$tmp/b.ppm"
[ "$(wc -c <"$tmp/a.ppm")" = "$(wc -c <"$tmp/in.ppm")" ] || { echo "the picture is not whole"; exit 1; }
# With a picture of people at hand, their faces must change.
clip=${VEIL_FIXTURES:-$root/out/fixtures}/interview-360.mp4
if [ -f "$clip" ]; then
    ffmpeg -v error -nostdin -y -i "$clip" -frames:v 1 -pix_fmt rgb24 "$tmp/p.ppm"
    "$tmp/static" "$tmp/p.ppm" "$tmp/q.ppm"
    if cmp -s "$tmp/p.ppm" "$tmp/q.ppm"; then echo "no face was hidden"; exit 1; fi
fi
