#!/bin/sh
# Runs the tests of a build folder and ends with one plain line: N passed, N failed.
# usage: tools/test.sh FOLDER [meson test arguments]
set -eu
dir=$1
shift
out=$(mktemp)
trap 'rm -f "$out"' EXIT
rc=0
meson test -C "$dir" --print-errorlogs "$@" >"$out" 2>&1 || rc=$?
cat "$out"
count() { sed -n "s/^$1: *\([0-9][0-9]*\) *$/\1/p" "$out" | tail -1 | grep . || echo 0; }
passed=$(($(count Ok) + $(count 'Expected Fail')))
failed=$(($(count Fail) + $(count 'Unexpected Pass') + $(count Timeout)))
skipped=$(count Skipped)
if [ "$passed" = 0 ] && [ "$failed" = 0 ]; then
    echo "test: no test ran" >&2
    exit 1
fi
[ "$rc" = 0 ] || [ "$failed" != 0 ] || failed=1
echo "$passed passed, $failed failed$([ "$skipped" = 0 ] || echo ", $skipped skipped")"
[ "$failed" = 0 ]
