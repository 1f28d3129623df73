#!/bin/sh
# Every header compiles alone; veil.h also as C99 and C++ without a warning.
# usage: headers.sh SOURCE_ROOT
set -eu
cd "$1"
bad=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
try() { # HEADER COMPILER FLAGS...
    h=$1
    shift
    ext=c
    [ "$1" != g++ ] || ext=cpp
    printf '#include "%s"\nint main(void) { return 0; }\n' "$h" >"$tmp/t.$ext"
    "$@" -Wall -Wextra -Werror -fsyntax-only -I. -Iinclude -Isrc "$tmp/t.$ext" || {
        echo "$h does not compile alone: $*"
        bad=1
    }
}
for std in c99 c11 c17; do
    try include/veil.h gcc -std=$std -Wpedantic -Wc++-compat -Wstrict-prototypes
done
for std in c++11 c++17; do
    try include/veil.h g++ -std=$std -Wpedantic
done
# A header of one instruction set compiles with its flags; one that says #error is a template.
for h in $(find src -name '*.h' | sort); do
    case $h in
    */arm/*) [ "$(uname -m)" = aarch64 ] || continue; isa= ;;
    */x86/*) isa='-mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl' ;;
    *) isa= ;;
    esac
    if grep -q '^#error' "$h"; then continue; fi
    # shellcheck disable=SC2086
    try "$h" gcc -std=c11 -D_GNU_SOURCE $isa
done
exit $bad
