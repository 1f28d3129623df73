"""Measures the targets of the web server; see web.sh. Prints one line a measurement."""
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

VEIL = os.environ.get("VEIL", "veil")
CLIP, SECONDS = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 15
JSON = {"Content-Type": "application/json"}
HOSTILE = [b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
           b"GET /state HTTP/1.1\r\nHost: evil.example\r\n\r\n",
           b"POST /panic HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n"
           b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"\x16\x03\x01" * 100,
           b"PATCH /config HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
           b"Content-Length: 5\r\n\r\n{\"a\":", b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n\r\n",
           b"GET /stream HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\r\n", b""]


def request(port, method, path, body=None, headers=None):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    c.request(method, path, body, headers or {})
    r = c.getresponse()
    data = r.read()
    c.close()
    return r.status, data


def live(port):
    return json.loads(request(port, "GET", "/state")[1])["live"]


def view(port, stop, counts, i, path, mark):
    """Reads the stream in large pieces and counts its pictures."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
        s.sendall(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path)
        while not stop.is_set():
            data = s.recv(1 << 18)
            if not data:
                return
            counts[i] += data.count(mark)


def attack(port, stop, counts, i, per_s):
    """So many hostile requests a second, each on a connection of its own."""
    due, n = time.monotonic(), i
    while not stop.is_set():
        due += 1 / per_s
        time.sleep(max(0, due - time.monotonic()))
        n += 1
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2) as s:
                s.sendall(HOSTILE[n % len(HOSTILE)])
                s.settimeout(0.05)
                try:
                    s.recv(4096)
                except OSError:
                    pass
            counts[i] += 1
        except OSError:
            pass


def run(port, name, workers, *more):
    """Figures of the video path while workers are at it."""
    stop, counts = threading.Event(), [0] * workers[1]
    threads = [threading.Thread(target=workers[0], args=(port, stop, counts, i, *more), daemon=True)
               for i in range(workers[1])]
    for t in threads:
        t.start()
    time.sleep(2)
    a, began, done = live(port), time.monotonic(), sum(counts)
    time.sleep(SECONDS)
    b, took = live(port), time.monotonic() - began
    rate = (sum(counts) - done) / took
    stop.set()
    for t in threads:
        t.join(15)
    print(f"{name}: {rate:.1f}/s; video {(b['frames_out'] - a['frames_out']) / took:.2f} frames/s, "
          f"dropped {b['dropped'] - a['dropped']}, covered {b['covered'] - a['covered']}, "
          f"overload {b['overload']}, {b['cpu']:.2f} cores", flush=True)


def memory_kb(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def jobs(port, pid, picture, n):
    with open(picture, "rb") as f:
        data = f.read()
    marks, began = [], time.monotonic()
    for i in range(n):
        status, body = request(port, "POST", "/jobs?name=a.png", data, {"Content-Type": "image/png"})
        assert status == 201, (status, body)
        path = "/jobs/" + json.loads(body)["id"]
        while (state := json.loads(request(port, "GET", path)[1])["state"]) in ("waiting", "running"):
            time.sleep(0.02)
        assert state == "done", state
        request(port, "DELETE", path)
        if (i + 1) % (n // 10) == 0:
            marks.append(memory_kb(pid))
    print(f"{n} jobs: {n / (time.monotonic() - began):.1f}/s; resident KiB after each tenth: {marks}",
          flush=True)


def main():
    folder = tempfile.mkdtemp(prefix="veil-bench-")
    os.mkdir(folder + "/media")
    shutil.copy(CLIP, folder + "/media/clip.mp4")
    subprocess.run(["ffmpeg", "-v", "error", "-i", CLIP, "-frames:v", "1", "-vf", "scale=320:-2",
                    folder + "/small.png"], check=True)
    p = subprocess.Popen([VEIL, "serve", "--listen", "127.0.0.1:0", "--data", folder + "/data",
                          "--media", folder + "/media", "--max-rate", "2000", "--quiet"],
                         stdout=subprocess.PIPE)
    port = int(p.stdout.readline().decode().rsplit(":", 1)[1].strip("/\n"))
    try:
        jobs(port, p.pid, folder + "/small.png", int(os.environ.get("JOBS", "1000")))
        request(port, "POST", "/sources", '{"file":"clip.mp4","loop":true}', JSON)
        time.sleep(3)
        run(port, "nobody", (view, 0), b"", b"")
        run(port, "20 viewers of the video, frames", (view, 20), b"/video", b"moof")
        run(port, "20 viewers of JPEG, pictures", (view, 20), b"/stream", b"--veilframe")
        run(port, "hostile requests", (attack, 25), 20)
        print("health:", request(port, "GET", "/health")[1].decode())
    finally:
        p.send_signal(signal.SIGINT)
        print("ended with status", p.wait(60))
        shutil.rmtree(folder, ignore_errors=True)


main()
