#!/bin/sh
# The library, stripped and without the built-in model, stays under 500 kB.
# usage: size.sh libveil.so MODEL|-
set -eu
limit=500000
tmp=$(mktemp)
trap 'rm -f "$tmp"' EXIT
strip -o "$tmp" "$1"
model=0
[ "$2" = - ] || model=$(stat -c %s "$2")
size=$(($(stat -c %s "$tmp") - model))
echo "$size bytes without the model"
[ "$size" -gt 50000 ] || { echo "that cannot be: is the model built in?"; exit 1; }
[ "$size" -le $limit ] || { echo "more than $limit"; exit 1; }
