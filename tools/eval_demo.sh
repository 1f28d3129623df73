#!/usr/bin/env bash
# The figures of docs/figures.md for one fixture clip: runs veil on it, measures hidden and visible
# shares, times, audio, and what an independent detector still finds.
# usage: tools/eval_demo.sh [CLIP] [EVERY] [veil run options]
#   CLIP   a name that tests/fixtures/build.py makes (interview-720)
#   EVERY  the independent detector looks at each n-th frame (10); 0 leaves it out
set -euo pipefail
cd "$(dirname "$0")/.."
clip=${1:-interview-720}
every=${2:-10}
shift $(($# > 2 ? 2 : $#))
veil=${VEIL:-build/cli/veil}
python=${PYTHON:-/usr/bin/python3}
cache=${VEIL_CACHE:-cache}
fix=out/fixtures
out=out/eval
mkdir -p "$out"

sh tests/fixtures/fetch.sh
"$python" tests/fixtures/build.py -o $fix --cache "$cache" --if-missing "$clip"
in=$fix/$clip.mp4
[ -f "$in" ] || in=$fix/$clip.mkv
result=$out/$clip-hidden.${in##*.}
"$veil" run "$in" -o "$result" -y "$@"
faces=()
if [ "$every" != 0 ]; then
    sh tests/fixtures/fetch.sh --detector
    for v in "$in" "$result"; do
        node tools/eval_faces.mjs "$cache/detector/node_modules" "$cache/face-api" "$v" "$every" \
            >"$out/$(basename "$v").faces.jsonl"
    done
    faces=(--faces "$out/$(basename "$result").faces.jsonl"
        --faces-before "$out/$(basename "$in").faces.jsonl")
fi
"$python" tools/eval_clip.py "$in" "$result" "$fix/$clip.jsonl" "${faces[@]}"
