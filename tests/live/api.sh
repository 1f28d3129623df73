#!/bin/sh
# Makes the two clips that test_api needs, and runs it.
# usage: api.sh TEST_PROGRAM SOURCE_ROOT
set -eu
src=${VEIL_FIXTURES:-$2/out/fixtures}/interview-360.mp4
if [ ! -f "$src" ]; then
    echo "$src is missing: make fixtures-small"
    [ -z "${VEIL_FIXTURES:-}" ] && exit 77 || exit 1
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
ffmpeg -v error -i "$src" -t 4 -c:v libx264 -preset ultrafast -g 30 -bf 0 -c:a aac "$dir/clip.ts"
ffmpeg -v error -f lavfi -i testsrc2=s=320x240:r=30 -f lavfi -i sine=r=48000 -frames:v 3 -shortest -c:v libx264 \
    -preset ultrafast -tune zerolatency -c:a aac "$dir/short.ts"
"$1" "$dir/clip.ts" "$dir/short.ts"
