#!/bin/sh
# Our engine beside ONNX Runtime on the same network, size and threads, in turn, several rounds: on a
# machine that does other things only the least times and their ratio mean something.
#
# bench/compare.sh BENCH_ENGINE OURS.veil THEIRS.onnx [WxH [THREADS [ROUNDS]]]
# NODE_PATH must lead to onnxruntime-node (npm install onnxruntime-node).
set -eu
[ $# -ge 3 ] || { sed -n '2,7p' "$0"; exit 2; }
engine=$1 ours=$2 theirs=$3 size=${4:-640x384} threads=${5:-1} rounds=${6:-3}
here=$(dirname "$0")
least() { sed -n 's/.*least \([0-9.]*\) ms.*/\1/p' | head -n 1; }
us= them=
i=0
while [ "$i" -lt "$rounds" ]; do
    a=$("$engine" "$ours" "$size" "$threads" 40 | least)
    b=$(node "$here/peers/ort.js" "$theirs" "$size" "$threads" 30 | least)
    us=$(printf '%s\n%s\n' "$us" "$a" | sed '/^$/d' | sort -n | head -n 1)
    them=$(printf '%s\n%s\n' "$them" "$b" | sed '/^$/d' | sort -n | head -n 1)
    i=$((i + 1))
done
echo "$ours $us ms, onnxruntime $theirs $them ms," \
    "ratio $(awk "BEGIN { printf \"%.2f\", $them / $us }") ($size, $threads thread(s), least of $rounds rounds)"
