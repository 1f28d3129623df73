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
    "$dir/bench/$name"
done
echo "== engine"
"$dir/cli/veil" bench engine --threads both
echo "== whole pipeline"
bash tools/time_run.sh
