#!/bin/sh
# The library, stripped and without the built-in models, stays under 500 kB.
# usage: size.sh libveil.so [MODEL...]
set -eu
limit=500000
tmp=$(mktemp)
trap 'rm -f "$tmp"' EXIT
strip -o "$tmp" "$1"
size=$(stat -c %s "$tmp")
shift
for model; do size=$((size - $(stat -c %s "$model"))); done
echo "$size bytes without the models"
[ "$size" -gt 50000 ] || { echo "that cannot be: are the models built in?"; exit 1; }
[ "$size" -le $limit ] || { echo "more than $limit"; exit 1; }
