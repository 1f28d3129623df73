#!/bin/sh
# A long session between real servers: nginx takes a sender's stream, veil pulls it, pushes what it
# hid back, a player pulls that. The sender is killed again and again, every tenth time nginx too.
# usage: VEIL=program bench/soak.sh CLIP [MINUTES] [OUT.csv]
# RATE: frames a second (5); SENDER_SECONDS: how long a sender lives (27); OUT.png is drawn as well.
# One CSV row a second. Exit status 1 when memory grew by more than 10 %, or a descriptor or thread
# stayed, or the stream did not come back.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
[ $# -ge 1 ] || { sed -n '2,7s/^# //p' "$0" >&2; exit 2; }
exec "${PYTHON:-/usr/bin/python3}" "$here/soak.py" "$@"
