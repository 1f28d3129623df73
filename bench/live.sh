#!/bin/sh
# Measures a live session: a file played at its own speed, hidden, encoded and written.
# usage: bench/live.sh CLIP [SECONDS] [options of veil run]     VEIL names the program
# Prints what the session itself counted: frames, drops, latency, cores, memory; and how long it took
# from the start of the program to the first cover sent and to the first analysed frame.
set -eu
[ $# -ge 1 ] || { echo "usage: $0 CLIP [SECONDS] [options]" >&2; exit 2; }
clip=$1 seconds=${2:-600}
shift
[ $# -gt 0 ] && shift
: "${VEIL:=build/cli/veil}"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
size=$(ffprobe -v error -select_streams v:0 -show_entries stream=width,height -of csv=p=0:s=x "$clip")
"$VEIL" run "$clip" --realtime --loop --size "$size" --duration "$seconds" --status json -y \
    -o "$dir/out.mkv" "$@" 2>"$dir/log" || { tail -3 "$dir/log" >&2; exit 1; }
python3 - "$dir/log" "$seconds" "$size" <<'PY'
import json, sys
events, states = [], []
for line in open(sys.argv[1]):
    if line.startswith("{"):
        d = json.loads(line)
        (events if "event" in d else states).append(d)
last = states[-1]
warm = [s for s in states if s["uptime_s"] > 5] or states
mean = lambda k: sum(s[k] for s in warm) / len(warm)
first = next((e["time"] for e in events if e["text"] == "protecting"), None)
print(f"{sys.argv[3]}, {last['input']['fps']:.4g} fps in, {last['uptime_s']:.0f} s")
print(f"frames: {last['frames_in']} in, {last['frames_out']} out, {last['covered']} covered, "
      f"{last['dropped']} dropped, fps out {mean('fps_out'):.2f}")
print(f"latency: p50 {mean('latency_p50_ms'):.0f} ms, p99 {max(s['latency_p99_ms'] for s in warm):.0f} ms "
      f"at most, of which look-ahead {last['lookahead_ms']:.0f} ms")
print(f"cores: {mean('cpu'):.2f} on average, {max(s['cpu'] for s in warm):.2f} at most")
print(f"memory: {max(s['rss_bytes'] for s in states) / 2**20:.0f} MiB at most")
print(f"overload: level {max(s['overload'] for s in states)} at most")
print(f"first analysed frame: {first} s after the start of the session")
PY
