#!/bin/sh
# Configures a build folder once and builds it.
# usage: tools/build.sh FOLDER [meson setup arguments]
set -eu
dir=$1
shift
if [ ! -f "$dir/build.ninja" ]; then
    meson setup "$dir" "$@"
fi
ninja -C "$dir"
