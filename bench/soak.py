"""Memory, descriptors and threads of a session of hours with many reconnects; see soak.sh.

usage: soak.py CLIP [MINUTES] [OUT.csv], or soak.py --plot IN.csv OUT.png"""
import csv
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

MODULE = "/usr/lib/nginx/modules/ngx_rtmp_module.so"
COLUMNS = ["time_s", "state", "fps_out", "latency_p99_ms", "rss_mib", "descriptors", "threads",
           "frames_in", "frames_out", "covered", "dropped", "reconnects", "output_reconnects", "cpu"]


def start(*args, **options):
    return subprocess.Popen([str(a) for a in args], stdin=subprocess.DEVNULL,
                            **{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options})


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class World:
    """Everything around veil, on loopback."""

    def __init__(self, folder, clip, rate, sender_seconds):
        self.folder, self.sender_seconds, self.port = folder, sender_seconds, free_port()
        self.source, self.stop = os.path.join(folder, "source.flv"), threading.Event()
        self.conf = os.path.join(folder, "nginx.conf")
        with open(self.conf, "w") as f:
            f.write(f"load_module {MODULE};\ndaemon off; master_process off; pid {folder}/pid;\n"
                    f"error_log {folder}/error.log crit;\nevents {{ worker_connections 64; }}\n"
                    f"rtmp {{ server {{ listen 127.0.0.1:{self.port}; chunk_size 4096;\n"
                    "application in { live on; idle_streams off; } application out { live on; } } }\n")
        subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", "-i", clip, "-f", "lavfi", "-i",
                        "sine=f=440:r=48000", "-map", "0:v:0", "-map", "1:a", "-r", str(rate),
                        "-shortest", "-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency",
                        "-g", str(2 * rate), "-pix_fmt", "yuv420p", "-c:a", "aac", self.source],
                       check=True)
        self.begin_nginx()
        self.threads = [threading.Thread(target=t, daemon=True) for t in (self.send, self.play)]
        for t in self.threads:
            t.start()

    def url(self, app):
        return f"rtmp://127.0.0.1:{self.port}/{app}/cam"

    def begin_nginx(self):
        self.nginx = start("nginx", "-p", self.folder, "-c", self.conf)

    def send(self):
        lives = 0
        while not self.stop.is_set():
            p = start("ffmpeg", "-re", "-stream_loop", "-1", "-i", self.source, "-c", "copy", "-f",
                      "flv", self.url("in"))
            self.stop.wait(self.sender_seconds)
            p.kill()
            p.wait()
            lives += 1
            if lives % 10 == 0 and not self.stop.is_set():
                self.nginx.kill()
                self.nginx.wait()
                self.stop.wait(1)
                self.begin_nginx()
            self.stop.wait(3)

    def play(self):
        while not self.stop.is_set():
            p = start("ffmpeg", "-rw_timeout", "10000000", "-i", self.url("out"), "-c", "copy", "-f",
                      "null", "-")
            while p.poll() is None and not self.stop.wait(0.5):
                pass
            p.kill()
            p.wait()
            self.stop.wait(1)

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join(10)
        self.nginx.send_signal(signal.SIGTERM)
        self.nginx.wait(10)


def run(program, world, minutes, path):
    """Samples until the time is over; returns the rows."""
    veil = start(program, "run", world.url("in"), "-o", world.url("out"), "--status", "json",
                 stderr=subprocess.PIPE, text=True)
    end, rows = time.time() + 60 * minutes, []
    with open(path, "w", buffering=1) as out:
        out.write(",".join(COLUMNS) + "\n")
        for line in veil.stderr:
            d = json.loads(line) if line.startswith("{") else {}
            if "uptime_s" not in d:
                continue
            rows.append([round(d["uptime_s"], 1), d["state"], d["fps_out"], d["latency_p99_ms"],
                         round(d["rss_bytes"] / 2**20, 2), len(os.listdir(f"/proc/{veil.pid}/fd")),
                         len(os.listdir(f"/proc/{veil.pid}/task")), d["frames_in"], d["frames_out"],
                         d["covered"], d["dropped"], d["reconnects"],
                         sum(o["reconnects"] for o in d["outputs"]), round(d["cpu"], 3)])
            out.write(",".join(map(str, rows[-1])) + "\n")
            if time.time() > end:
                break
    veil.terminate()
    veil.stderr.close()
    status = veil.wait(30)
    if status != 0:
        print(f"veil ended with exit status {status}")
        sys.exit(1)
    return rows


def judge(rows):
    early, late = rows[len(rows) // 10:len(rows) // 5 + 1], rows[-max(1, len(rows) // 10):]
    bad = False
    for name, allowed in (("rss_mib", 1.10), ("descriptors", 1.0), ("threads", 1.0)):
        i = COLUMNS.index(name)
        a, b = max(r[i] for r in early), max(r[i] for r in late)
        bad = bad or b > a * allowed
        print(f"{name}: at most {a:.0f} early, {b:.0f} late, {max(r[i] for r in rows):.0f} ever")
    last = dict(zip(COLUMNS, rows[-1]))
    cpu = sum(r[COLUMNS.index("cpu")] for r in rows) / len(rows)
    print(f"{last['time_s']:.0f} s, {last['reconnects']} reconnects of the input, "
          f"{last['output_reconnects']} of the output, {last['frames_in']} frames in, "
          f"{last['frames_out']} out, {last['covered']} covers, {last['dropped']} dropped, "
          f"{cpu:.2f} cores")
    if not any(r[COLUMNS.index("state")] == "protecting" for r in late):
        print("the stream did not come back")
        bad = True
    return bad


def plot(path, picture):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    with open(path) as f:
        rows = list(csv.DictReader(f))
    minutes = [float(r["time_s"]) / 60 for r in rows]
    reconnects = [int(r["reconnects"]) for r in rows]
    figure, axes = pyplot.subplots(4, 1, sharex=True, figsize=(9, 7.5), constrained_layout=True)
    for axis, (name, label) in zip(axes, (("rss_mib", "memory, MiB"), ("descriptors", "descriptors"),
                                          ("threads", "threads"), (None, "reconnects"))):
        values = reconnects if name is None else [float(r[name]) for r in rows]
        axis.plot(minutes, values, linewidth=0.8, color="#1b6ca8")
        axis.set_ylim(0, 1.15 * max(values + [1]))
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    axes[-1].set_xlabel("minutes")
    axes[0].set_title(f"veil run, RTMP in and out, {minutes[-1]:.0f} minutes, "
                      f"{reconnects[-1]} reconnects of the input")
    figure.savefig(picture, dpi=100)


def main(args):
    if args[0] == "--plot":
        plot(args[1], args[2])
        return 0
    minutes = float(args[1]) if len(args) > 1 else 120
    path = args[2] if len(args) > 2 else "soak.csv"
    with tempfile.TemporaryDirectory(prefix="veil-soak-") as folder:
        world = World(folder, args[0], int(os.environ.get("RATE", "5")),
                      float(os.environ.get("SENDER_SECONDS", "27")))
        try:
            rows = run(os.environ.get("VEIL", "build/cli/veil"), world, minutes, path)
        finally:
            world.end()
    plot(path, os.path.splitext(path)[0] + ".png")
    return judge(rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
