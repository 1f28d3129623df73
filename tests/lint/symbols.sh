#!/bin/sh
# The shared library shows only veil_*, the static one only veil_* and vl_*; neither pulls in
# functions that print, read files, clocks or the environment, or end the program.
# usage: symbols.sh libveil.so libveil.a
set -eu
bad=0
shown=$(nm -D --defined-only "$1" | awk '{ print $NF }')
[ -n "$shown" ] || { echo "$1 shows nothing"; exit 1; }
for s in $shown; do
    case $s in
    veil_*) ;;
    *) echo "$1 shows $s"; bad=1 ;;
    esac
done
for s in $(nm -g --defined-only "$2" 2>/dev/null | awk 'NF == 3 { print $3 }'); do
    case $s in
    veil_* | vl_*) ;;
    *) echo "$2 shows $s"; bad=1 ;;
    esac
done
for s in $(nm -D --undefined-only "$1" | awk '{ print $NF }' | sed 's/@.*//'); do
    case $s in
    *_chk) base=${s#__} base=${base%_chk} ;;
    *) base=$s ;;
    esac
    case $base in
    printf | fprintf | vfprintf | puts | putchar | perror | fopen | fread | fwrite | open | read | \
        write | getenv | secure_getenv | time | clock | clock_gettime | gettimeofday | exit | \
        _exit | system | mmap | random | rand)
        echo "$1 calls $s"
        bad=1
        ;;
    esac
done
exit $bad
