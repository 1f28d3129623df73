#!/bin/sh
# Runs every fuzzer of a build folder for FUZZ_TIME seconds each, from its corpus if there is one.
# usage: tools/fuzz.sh FOLDER
set -eu
dir=$1
n=0
for f in "$dir"/tests/fuzz/fuzz_*; do
    if [ ! -f "$f" ] || [ ! -x "$f" ]; then continue; fi
    name=$(basename "$f")
    seeds=tests/fuzz/corpus/${name#fuzz_}
    work=out/fuzz/$name
    mkdir -p "$work"
    echo "fuzz: $name, ${FUZZ_TIME:-60} s"
    set -- "$work"
    [ ! -d "$seeds" ] || set -- "$work" "$seeds"
    "$f" -max_total_time="${FUZZ_TIME:-60}" -timeout=25 -rss_limit_mb=4096 -print_final_stats=1 \
        -verbosity=0 -artifact_prefix="$work/crash-" "$@"
    n=$((n + 1))
done
[ "$n" -gt 0 ] || { echo "fuzz: $dir has no fuzzer" >&2; exit 1; }
echo "fuzz: $n fuzzers, nothing found"
