#!/bin/sh
# Measures a live session: a clip played at its own speed, hidden, encoded (x264 superfast zerolatency)
# and written, detection on every frame.
# usage: bench/live.sh 1080p30|720p60|CLIP [SECONDS] [options of veil run]
# Ten minutes unless SECONDS says otherwise. VEIL names the program, VEIL_FIXTURES the clips' folder.
# 720p60 is interview-720 played twice as fast, so that every frame is a new one.
# Prints what the session itself counted: frames, drops, latency with what it was spent on, cores, memory.
# Run it on an otherwise idle machine. Exit status 1 when a frame was dropped or covered after the start.
set -eu
[ $# -ge 1 ] || { sed -n '2,8s/^# //p' "$0" >&2; exit 2; }
clip=$1 seconds=${2:-600} fixtures=${VEIL_FIXTURES:-out/fixtures}
shift
[ $# -gt 0 ] && shift
: "${VEIL:=build/cli/veil}"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
case $clip in
1080p30) clip=$fixtures/interview-1080.mp4 ;;
720p60)
    ffmpeg -v error -nostdin -i "$fixtures/interview-720.mp4" -vf setpts=PTS/2 -r 60 -an -c:v libx264 \
        -preset veryfast -crf 20 -g 120 "$dir/720p60.mp4"
    clip=$dir/720p60.mp4
    ;;
esac
size=$(ffprobe -v error -select_streams v:0 -show_entries stream=width,height -of csv=p=0:s=x "$clip")
fps=$(ffprobe -v error -select_streams v:0 -show_entries stream=avg_frame_rate -of csv=p=0 "$clip" |
    awk -F/ '{ printf "%.3f", $1 / $2 }')
"$VEIL" run "$clip" --realtime --loop --size "$size" --fps "$fps" --duration "$seconds" --status json -y \
    -o "$dir/out.mkv" "$@" 2>"$dir/log" || { tail -3 "$dir/log" >&2; exit 1; }
/usr/bin/python3 - "$dir/log" "$size" <<'PY'
import json, os, sys
events, states = [], []
for line in open(sys.argv[1]):
    if line.startswith("{"):
        d = json.loads(line)
        (events if "event" in d else states).append(d)
last = states[-1]
warm = [s for s in states if s["uptime_s"] > 5] or states
mean = lambda k: sum(s[k] for s in warm) / len(warm)
first = next((e["time"] for e in events if e["text"] == "protecting"), None)
started = next((s for s in states if s["state"] == "protecting"), last)
covered, cores = last["covered"] - started["covered"], os.cpu_count()
frame_ms = 1000 / last["output"]["fps"]
print(f"{sys.argv[2]}, {last['input']['fps']:.4g} fps in, {last['uptime_s']:.0f} s")
print(f"frames: {last['frames_in']} in, {last['frames_out']} out, {last['dropped']} dropped, {covered} "
      f"covered after the start, fps out {mean('fps_out'):.2f}")
print(f"latency of all frames: p50 {last['latency_all_p50_ms']:.1f} ms, p99 {last['latency_all_p99_ms']:.1f} "
      f"ms; look-ahead plus two frames is {last['lookahead_ms'] + 2 * frame_ms:.0f} ms")
print("of these (p50/p99): " + ", ".join(f"{k} {a:g}/{b:g}" for k, (a, b) in last["stages_ms"].items()))
print(f"latency over 512 frames at a time: p99 {max(s['latency_p99_ms'] for s in warm):.0f} ms at most")
print(f"processor: {mean('cpu'):.2f} cores of {cores}, {100 * mean('cpu') / cores:.0f} % on average, "
      f"{max(s['cpu'] for s in warm):.2f} cores at most")
print(f"memory: {max(s['rss_bytes'] for s in states) / 2**20:.0f} MiB at most, "
      f"{warm[0]['rss_bytes'] / 2**20:.0f} MiB after 5 s, {last['rss_bytes'] / 2**20:.0f} MiB at the end")
print(f"overload: level {max(s['overload'] for s in states)} at most")
print(f"first analysed frame: {first} s after the start of the session")
sys.exit(1 if last["dropped"] or covered else 0)
PY
