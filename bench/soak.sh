#!/bin/sh
# A long session with a sender that is killed and started again: is anything left behind?
# usage: bench/soak.sh CLIP [MINUTES] [OUT.csv]      VEIL names the program
# One CSV line a second: time, state, fps, latency, memory, descriptors, threads. At the end: memory after
# a tenth of the time and at the end, descriptors and threads likewise. Exit status 1 when memory grew by
# more than 10 % or a descriptor or thread stayed.
set -eu
[ $# -ge 1 ] || { echo "usage: $0 CLIP [MINUTES] [OUT.csv]" >&2; exit 2; }
clip=$1 minutes=${2:-120} csv=${3:-soak.csv}
: "${VEIL:=build/cli/veil}" "${PORT:=29350}" "${SENDER_SECONDS:=60}"
exec /usr/bin/python3 - "$VEIL" "$clip" "$minutes" "$csv" "$PORT" "$SENDER_SECONDS" <<'PY'
import json, os, signal, subprocess, sys, threading, time
program, clip, minutes, csv, port, sender_seconds = sys.argv[1:]
url = f"udp://127.0.0.1:{port}"
veil = subprocess.Popen([program, "run", url, "-o", "udp://127.0.0.1:%d" % (int(port) + 1), "--status",
                         "json"], stderr=subprocess.PIPE, text=True)
end, stop = time.time() + 60 * float(minutes), threading.Event()

def send():
    while not stop.is_set():
        p = subprocess.Popen(["ffmpeg", "-v", "quiet", "-nostdin", "-re", "-stream_loop", "-1", "-i",
                              clip, "-c", "copy", "-f", "mpegts", url + "?pkt_size=1316"])
        stop.wait(float(sender_seconds))
        p.send_signal(signal.SIGKILL)
        p.wait()
        stop.wait(3)

threading.Thread(target=send, daemon=True).start()
rows = []
with open(csv, "w") as out:
    out.write("time_s,state,fps_out,latency_p99_ms,rss_mib,descriptors,threads,dropped,covered\n")
    for line in veil.stderr:
        d = json.loads(line) if line.startswith("{") else {}
        if "uptime_s" not in d:
            continue
        row = (d["uptime_s"], d["state"], d["fps_out"], d["latency_p99_ms"], d["rss_bytes"] / 2**20,
               len(os.listdir(f"/proc/{veil.pid}/fd")), len(os.listdir(f"/proc/{veil.pid}/task")),
               d["dropped"], d["covered"])
        rows.append(row)
        out.write(",".join(f"{v:.1f}" if isinstance(v, float) else str(v) for v in row) + "\n")
        out.flush()
        if time.time() > end:
            break
stop.set()
veil.terminate()
veil.stderr.close()
veil.wait(20)
early, late = rows[len(rows) // 10:len(rows) // 5 + 1], rows[-max(1, len(rows) // 10):]
bad = False
for name, i, allowed in (("memory, MiB", 4, 1.10), ("descriptors", 5, 1.0), ("threads", 6, 1.0)):
    a, b = max(r[i] for r in early), max(r[i] for r in late)
    bad = bad or b > a * allowed
    print(f"{name}: {a:.0f} early, {b:.0f} late")
print(f"{rows[-1][0]:.0f} s, {rows[-1][7]} frames dropped, {rows[-1][8]} covered")
sys.exit(1 if bad else 0)
PY
