#!/bin/sh
# Our C is formatted as .clang-format says; no tabs, trailing blanks, or missing last newlines.
# usage: format.sh SOURCE_ROOT
set -eu
cd "$1"
bad=0
command -v clang-format >/dev/null 2>&1 || { echo "clang-format is missing"; exit 77; }
files=$(find include src media cli modelbuild eval bench examples server plugins tests \
    \( -name '*.c' -o -name '*.h' \) 2>/dev/null | sort)
# shellcheck disable=SC2086
clang-format --dry-run -Werror $files || bad=1
tab=$(printf '\t')
for f in $files; do
    if grep -n "$tab" "$f"; then echo "$f: a tab"; bad=1; fi
    if grep -nE ' +$' "$f"; then echo "$f: a blank at the end of a line"; bad=1; fi
    if [ -s "$f" ] && [ -n "$(tail -c 1 "$f")" ]; then echo "$f: no newline at the end"; bad=1; fi
    if LC_ALL=C grep -nP '\xe2\x80[\x8b-\x8f\xaa-\xae]|\xef\xbb\xbf' "$f"; then
        echo "$f: an invisible character"
        bad=1
    fi
done
exit $bad
