#!/usr/bin/env bash
# Time of `veil run` over the time of a plain ffmpeg transcode with the same codec settings, taken
# in turns on one clip.
# usage: tools/time_run.sh [CLIP.mp4] [ROUNDS] [veil run options]
set -euo pipefail
cd "$(dirname "$0")/.."
clip=${1:-out/fixtures/interview-720.mp4}
rounds=${2:-3}
shift $(($# > 2 ? 2 : $#))
veil=${VEIL:-build/cli/veil}
python=${PYTHON:-/usr/bin/python3}
if [ ! -f "$clip" ]; then
    sh tests/fixtures/fetch.sh
    "$python" tests/fixtures/build.py -o out/fixtures --cache "${VEIL_CACHE:-cache}" --if-missing \
        "$(basename "$clip" .mp4)"
fi
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
frames=$(ffprobe -v error -select_streams v -count_packets -show_entries stream=nb_read_packets \
    -of csv=p=0 "$clip" | tr -d ,)
codec=(-c:v libx264 -preset veryfast -crf 23)

seconds() { # COMMAND...
    local a
    a=$(date +%s.%N)
    "$@"
    awk -v a="$a" -v b="$(date +%s.%N)" 'BEGIN { printf "%.2f\n", b - a }'
}
best() { sort -n | head -1; }

for _ in $(seq "$rounds"); do
    seconds ffmpeg -hide_banner -v error -nostdin -y -i "$clip" "${codec[@]}" -pix_fmt yuv420p \
        -c:a copy "$tmp/plain.mp4" >>"$tmp/plain"
    seconds "$veil" run "$clip" -o "$tmp/hidden.mp4" -y -q -c:v libx264 --preset veryfast --crf 23 \
        "$@" >>"$tmp/veil"
done
plain=$(best <"$tmp/plain")
hidden=$(best <"$tmp/veil")
awk -v p="$plain" -v h="$hidden" -v n="$frames" -v r="$rounds" 'BEGIN {
    printf "ffmpeg  %.2f s, %.1f frames/s\nveil    %.2f s, %.1f frames/s\n", p, n / p, h, n / h
    printf "ratio   %.2f   (best of %d rounds, %d frames)\n", h / p, r, n }'
