#!/bin/sh
# Hides bystanders in every clip that arrives in a folder.
# usage: watch.sh IN OUT [options of veil run]
# A clip is taken when it has not grown for two looks. It is moved to IN/done when its result is whole,
# and to IN/failed when not.
set -u
in=$1 out=$2
shift 2
: "${VEIL:=veil}" "${WATCH_SECONDS:=5}"
mkdir -p "$in/done" "$in/failed" "$out" || exit 1
seen=$(mktemp) || exit 1
trap 'rm -f "$seen" "$seen.new"' EXIT
trap 'exit 0' INT TERM
while :; do
    : >"$seen.new"
    for f in "$in"/*; do
        [ -f "$f" ] || continue
        line="$(wc -c <"$f") $f"
        if grep -qxF "$line" "$seen"; then
            name=$(basename "$f")
            if "$VEIL" run "$f" -o "$out/$name" -y -q "$@" </dev/null; then
                mv "$f" "$in/done/"
            else
                mv "$f" "$in/failed/"
            fi
        else
            echo "$line" >>"$seen.new"
        fi
    done
    mv "$seen.new" "$seen"
    [ -n "${WATCH_ONCE:-}" ] && [ ! -s "$seen" ] && exit 0
    sleep "$WATCH_SECONDS"
done
