#!/usr/bin/env bash
# Hides the bystanders in a clip and shows it: result, side-by-side video, contact sheet.
# usage: tools/demo.sh [-o FOLDER] [MY.mp4]      without a clip, the composed interview is made
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
veil=${VEIL:-$root/build/cli/veil}
python=${PYTHON:-python3}
out=$root/out/demo
in=

die() { echo "demo: $*" >&2; exit 1; }

while [ $# -gt 0 ]; do
    case $1 in
    -o) [ $# -gt 1 ] || die "-o needs a folder"; out=$2; shift ;;
    -*) die "unknown option $1" ;;
    *) in=$1 ;;
    esac
    shift
done
[ -x "$veil" ] || die "$veil is missing: run make"
mkdir -p "$out"

if [ -z "$in" ]; then
    sh "$root/tests/fixtures/fetch.sh"
    "$python" "$root/tests/fixtures/build.py" -o "$out/clip" \
        --cache "${VEIL_CACHE:-$root/cache}" --if-missing interview-720
    in=$out/clip/interview-720.mp4
fi
[ -f "$in" ] || die "no such file: $in"

ff() { ffmpeg -hide_banner -v error -nostdin -y "$@"; }

started=$(date +%s.%N)
"$veil" run "$in" -o "$out/hidden.mp4" -y
took=$(awk -v a="$started" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }')
long=$(ffprobe -v error -show_entries format=duration -of csv=p=0 "$in")

ff -i "$in" -i "$out/hidden.mp4" -filter_complex \
    "[0:v]scale=-2:540,setsar=1[a];[1:v]scale=-2:540,setsar=1[b];[a][b]hstack[v]" \
    -map '[v]' -map '1:a?' -c:v libx264 -preset veryfast -crf 20 -pix_fmt yuv420p -c:a copy \
    "$out/side-by-side.mp4"
# Four moments, one a row: before on the left, after on the right.
ff -i "$out/side-by-side.mp4" -vf \
    "fps=4/$long:round=near,scale=1280:-2,tile=1x4:padding=6:color=white" -frames:v 1 "$out/contact.png"

echo
echo "clip            $in"
echo "result          $out/hidden.mp4   (a clip of ${long%.*} s, made in $took s)"
echo "side by side    $out/side-by-side.mp4"
echo "contact sheet   $out/contact.png"
