#!/bin/sh
# What `veil serve` stands: 20 viewers of a 720p preview, 500 hostile requests a second, 1,000 jobs.
# usage: VEIL=program bench/web.sh CLIP [SECONDS]     CLIP: 720p, 30 frames a second
# Run it on an otherwise idle machine: frames dropped for other programs' load count too.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
[ $# -ge 1 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
exec "${PYTHON:-python3}" "$here/web.py" "$@"
