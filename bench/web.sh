#!/bin/sh
# What `veil serve` stands: 1,000 jobs, 20 viewers of a 720p preview, 500 hostile requests a second; then
# in Chromium, where that is there: time to the first picture, and how far it is behind the output.
# usage: VEIL=program bench/web.sh CLIP [SECONDS]     CLIP: 720p, 30 frames a second; JOBS=1000
# Run it on an otherwise idle machine: frames dropped for other programs' load count too. Under 4 minutes.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
[ $# -ge 1 ] || { sed -n '2,5s/^# //p' "$0" >&2; exit 2; }
"${PYTHON:-python3}" "$here/web.py" "$@"
if command -v node >/dev/null 2>&1; then
    node "$here/web_page.mjs" "$1" 10 || [ $? -eq 77 ]
fi
