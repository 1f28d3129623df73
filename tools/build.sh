#!/bin/sh
# Configures a build folder, again when the arguments changed, and builds it.
# usage: tools/build.sh FOLDER [meson setup arguments]
set -eu
dir=$1
shift
if [ ! -f "$dir/build.ninja" ]; then
    meson setup "$dir" "$@"
elif [ "$(cat "$dir/.veil-args" 2>/dev/null)" != "$*" ]; then
    meson setup --reconfigure "$dir" "$@"
fi
echo "$*" >"$dir/.veil-args"
ninja -C "$dir"
