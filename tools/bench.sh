#!/bin/sh
# Builds and runs every benchmark of a build folder, then the whole pipeline against plain ffmpeg.
# usage: tools/bench.sh FOLDER
set -eu
dir=$1
for src in bench/*.c; do
    grep -q '^int main' "$src" || continue
    name=bench_$(basename "$src" .c)
    ninja -C "$dir" "bench/$name" >/dev/null
    echo "== $name"
    case $name in
    bench_engine) "$dir/bench/$name" models/veil-n.veil ;;
    *) "$dir/bench/$name" ;;
    esac
done
echo "== whole pipeline"
bash tools/time_run.sh
