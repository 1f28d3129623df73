"""Helpers for live tests: a source whose every frame says its number, servers, the program under
watch, and a checker that looks at every frame that came out.

The source is the fixture interview-360 with two strips of light and dark fields at its foot: frame
number and its complement in bits. So whatever was dropped, repeated or delayed on the way, each
frame that arrives is compared with the very frame it was made of."""
import http.server
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
import unittest

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))
import eval_clip  # noqa: E402

VEIL = os.environ.get("VEIL", "veil")
FIXTURES = os.environ.get("VEIL_FIXTURES") or os.path.join(ROOT, "out", "fixtures")
CLIP = "interview-360"
WIDTH, HEIGHT, FRAMES, RATE = 640, 360, 90, 30
BITS, FIELD = 16, 8  # 8 bits of number, 8 of its complement; fields of 8x16 px
X264 = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "30", "-crf", "20",
        "-pix_fmt", "yuv420p"]
SKIP = 77


def need(*programs):
    for p in programs:
        if not shutil.which(p) and not os.path.exists(p):
            raise unittest.SkipTest(f"{p} is not installed (tools/setup.sh test)")


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_port(port, timeout=20):
    end = time.time() + timeout
    while time.time() < end:
        with socket.socket() as s:
            s.settimeout(0.2)
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"nothing listens on port {port}")


def luma(path, width, height):
    """Every decoded frame's luma, as stored."""
    p = subprocess.Popen(["ffmpeg", "-v", "quiet", "-nostdin", "-i", path, "-map", "0:v:0",
                          "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "gray", "-"],
                         stdout=subprocess.PIPE)
    while True:
        raw = p.stdout.read(width * height)
        if len(raw) < width * height:
            break
        yield np.frombuffer(raw, np.uint8).reshape(height, width)
    p.stdout.close()
    p.wait()


def make_source(path, size=(WIDTH, HEIGHT)):
    """The numbered clip with a tone, FRAMES frames, as MP4; returns its luma and the truth."""
    src = os.path.join(FIXTURES, CLIP + ".mp4")
    if not os.path.exists(src):
        print(f"{src} is missing: make fixtures-small")
        sys.exit(1 if os.environ.get("VEIL_FIXTURES") else SKIP)
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", src, "-frames:v", str(FRAMES), "-f",
                          "rawvideo", "-pix_fmt", "yuv420p", "-"], stdout=subprocess.PIPE,
                         check=True).stdout
    data = np.frombuffer(raw, np.uint8).reshape(-1, WIDTH * HEIGHT * 3 // 2).copy()
    assert len(data) == FRAMES
    y = data[:, :WIDTH * HEIGHT].reshape(-1, HEIGHT, WIDTH)
    for n in range(FRAMES):
        word = n << 8 | (~n & 255)
        for bit in range(BITS):
            level = 225 if word >> (BITS - 1 - bit) & 1 else 25
            for left in (bit * FIELD, WIDTH - (BITS - bit) * FIELD):
                y[n, -2 * FIELD:, left:left + FIELD] = level
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s",
                    f"{WIDTH}x{HEIGHT}", "-r", str(RATE), "-i", "-", "-f", "lavfi", "-i",
                    f"sine=f=440:r=48000:d={FRAMES / RATE}", "-vf", f"scale={size[0]}:{size[1]}",
                    *X264, "-c:a", "aac", "-b:a", "96k", path],
                   input=data.tobytes(), check=True)
    with open(os.path.join(FIXTURES, CLIP + ".jsonl")) as f:
        truth = [json.loads(line) for line in f][:FRAMES]
    frames = np.array(list(luma(path, *size)))
    assert len(frames) == FRAMES, len(frames)
    return frames, truth


def number(frame):
    """The frame's number, None when it has none. Sizes may differ from the source's."""
    h, w = frame.shape
    fy, fx = FIELD * h / HEIGHT, FIELD * w / WIDTH
    row = frame[int(h - 1.5 * fy):int(h - 0.5 * fy)].astype(np.float32)
    for left in (0, w - BITS * fx):  # a mask may lie over one of the strips
        word = 0
        for bit in range(BITS):
            x = left + bit * fx
            word = word << 1 | (row[:, int(x + 0.25 * fx):int(x + 0.75 * fx)].mean() > 128)
        n, complement = word >> 8, word & 255
        if n == (~complement & 255) and n < FRAMES:
            return n
    return None


class Verdict:
    """What each frame of a recording was."""

    def __init__(self):
        self.kinds = []   # "c" covered, "h" hidden, "r" raw: a leak, "?" unreadable
        self.numbers = []
        self.faces = self.hidden = 0

    def count(self, kind):
        return self.kinds.count(kind)

    def text(self):
        return "".join(self.kinds)


def judge(path, original, truth, size=(WIDTH, HEIGHT)):
    """Looks at every frame. Raw is a frame in which less than half of its faces are hidden."""
    verdict = Verdict()
    for frame in luma(path, *size):
        if frame.std() < 4:
            verdict.kinds.append("c")
            verdict.numbers.append(None)
            continue
        n = number(frame)
        if n is None:  # masks lie over both strips: the most similar frame around
            n = similar(frame, original)
        verdict.numbers.append(n)
        if n is None:
            verdict.kinds.append("?")
            continue
        small = frame.astype(np.float32)
        before = original[n].astype(np.float32)
        if small.shape != before.shape:
            small = shrink(small, before.shape)
        diff = np.abs(small - before)
        boxes = [f["box"] for f in truth[n]["faces"]]
        level = max(4.0, min(9.0, 3.5 * eval_clip.noise(diff, boxes)))
        faces = [f for f in truth[n]["faces"] if f["occluded"] < eval_clip.SEEN]
        hidden = sum(eval_clip.masked(diff, f["box"], level) >= 0.5 for f in faces)
        verdict.faces += len(faces)
        verdict.hidden += hidden
        verdict.kinds.append("h" if 2 * hidden >= len(faces) else "r")
    return verdict


def similar(frame, original):
    """The source's frame that this one was made of, judged by what is not masked; None = unlike all."""
    small = shrink(frame, original.shape[1:])[::4, ::4].astype(np.float32)
    away = [np.median(np.abs(small - whole[::4, ::4])) for whole in original]
    best = int(np.argmin(away))
    return best if away[best] < 6 else None


def shrink(frame, shape):
    """Nearest pixels; enough to see whether a face is there."""
    ys = np.arange(shape[0]) * frame.shape[0] // shape[0]
    xs = np.arange(shape[1]) * frame.shape[1] // shape[1]
    return frame[ys][:, xs]


class Process:
    """A helper program, ended with the test."""

    def __init__(self, args, **options):
        self.args = [str(a) for a in args]
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(self.args, stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, **options)

    def output(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def stop(self, number_=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number_)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()


# Everybody is hidden, but nothing at the foot of the picture: to a network the strips look like faces.
HIDE_ALL = ["--keep", "chosen", "--keep-zone", "0,0.9,1,0.1"]


class Veil:
    """veil run under watch: its JSON lines as they come."""

    def __init__(self, *args, stdin=None, env=None, who=HIDE_ALL):
        self.lines, self.events, self.states = [], [], []
        self.changed = threading.Condition()
        args = [VEIL, "run", *map(str, args), "--status", "json", "-y", "--threads", "1", *who]
        self.process = subprocess.Popen(args, stdin=stdin or subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                        env={**os.environ, **(env or {})})
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.stderr:
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                if line.startswith("{"):
                    found = json.loads(line)
                    (self.events if "event" in found else self.states).append(found)
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def text(self):
        """Events and messages, and the last state."""
        shown = [line for line in self.lines if not line.startswith('{"state')]
        return "\n".join(shown + [json.dumps(self.states[-1]) if self.states else ""])

    def wait_for(self, what, holds, timeout=40):
        end = time.time() + timeout
        with self.changed:
            while not holds():
                left = end - time.time()
                if left <= 0 or self.process.poll() is not None:
                    if holds():
                        return
                    raise AssertionError(f"waited in vain for {what}:\n{self.text()}")
                self.changed.wait(min(left, 0.5))

    def wait_event(self, event, text="", after=0, timeout=40):
        """Index behind the first such event from number after on."""
        def find():
            return next((i + 1 for i, e in enumerate(self.events[after:], after)
                         if e["event"] == event and text in e["text"]), None)
        self.wait_for(f"{event} {text}", find, timeout)
        return find()

    def wait_frames(self, n, timeout=60):
        """n more analysed frames than now, however many are covered on a busy machine."""
        def hidden():
            return self.states[-1]["frames_out"] - self.states[-1]["covered"] if self.states else 0
        start = hidden()
        self.wait_for(f"{n} more hidden frames", lambda: hidden() >= start + n, timeout)

    def wait_covers(self, n, timeout=60):
        start = self.states[-1]["covered"] if self.states else 0
        self.wait_for(f"{n} more covers",
                      lambda: self.states and self.states[-1]["covered"] >= start + n, timeout)

    def end(self, number_=signal.SIGTERM, timeout=30):
        """Exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number_)
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"it did not end within {timeout} s:\n{self.text()}")
        self.thread.join(5)
        self.process.stderr.close()
        return status


class LiveCase(unittest.TestCase):
    """Each test has a folder of its own; processes are ended with it."""

    @classmethod
    def setUpClass(cls):
        cls.shared = tempfile.mkdtemp(prefix="veil-live-")
        cls.source = os.path.join(cls.shared, "source.mp4")
        cls.original, cls.truth = make_source(cls.source)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.shared, ignore_errors=True)

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="veil-live-")
        self.addCleanup(shutil.rmtree, self.dir, True)

    def path(self, name):
        return os.path.join(self.dir, name)

    def start(self, *args, **options):
        p = Process(args, **options)
        self.addCleanup(p.stop)
        return p

    def veil(self, *args, **options):
        v = Veil(*args, **options)
        self.addCleanup(lambda: v.process.poll() is None and v.process.kill())
        return v

    def push(self, url, *output, source=None, before=()):
        """A sender that plays the source again and again, packets as they are."""
        return self.start("ffmpeg", "-v", "error", "-nostdin", *before, "-re", "-stream_loop", "-1",
                          "-i", source or self.source, "-c", "copy", *output, url)

    def judge(self, path, size=(WIDTH, HEIGHT)):
        return judge(path, self.original, self.truth, size)

    def closed(self, path, least=10, unreadable=0, size=(WIDTH, HEIGHT)):
        """Every frame is hidden or covered, and enough of them were analysed."""
        v = self.judge(path, size)
        self.assertEqual(v.count("r"), 0, f"raw frames in {path}: {v.text()}")
        self.assertLessEqual(v.count("?"), unreadable, v.text())
        self.assertGreaterEqual(v.count("h"), least, v.text())
        self.assertGreaterEqual(v.hidden, 0.9 * v.faces, "too many single faces are visible")
        self.rising(path)
        return v

    def times(self, path, kind="v:0"):
        done = subprocess.run(["ffprobe", "-v", "quiet", "-select_streams", kind, "-show_entries",
                               "packet=pts_time,dts_time,duration_time", "-of", "json", path],
                              stdout=subprocess.PIPE, check=True)
        return [(float(p["pts_time"]), float(p["dts_time"]))
                for p in json.loads(done.stdout)["packets"] if "pts_time" in p and "dts_time" in p]

    def rising(self, path):
        for kind in ("v:0", "a:0"):
            dts = [d for _, d in self.times(path, kind)]
            self.assertTrue(all(b > a for a, b in zip(dts, dts[1:])), f"{kind} of {path}: {dts}")


class Nginx:
    """nginx with its RTMP module, and HTTP for a folder."""
    MODULE = "/usr/lib/nginx/modules/ngx_rtmp_module.so"

    def __init__(self, case, folder):
        need("nginx", self.MODULE)
        self.case, self.port = case, free_port()
        self.conf = os.path.join(folder, "nginx.conf")
        self.folder = folder
        with open(self.conf, "w") as f:
            f.write(f"""load_module {self.MODULE};
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
rtmp {{ server {{ listen 127.0.0.1:{self.port}; chunk_size 4096;
  application in {{ live on; }} application out {{ live on; }} }} }}
""")
        self.begin()

    def begin(self):
        self.process = self.case.start("nginx", "-p", self.folder, "-c", self.conf)
        wait_port(self.port)

    def url(self, app, key):
        return f"rtmp://127.0.0.1:{self.port}/{app}/{key}"


def start_rtsp(case, port, *args):
    """rtsp_server.py, once it listens."""
    here = os.path.dirname(os.path.abspath(__file__))
    server = case.start(sys.executable, os.path.join(here, "rtsp_server.py"), port, *args)
    end = time.time() + 20
    while "ready" not in server.output():
        if server.process.poll() == 77:
            case.skipTest(server.output())
        case.assertIsNone(server.process.poll(), server.output())
        case.assertLess(time.time(), end, server.output())
        time.sleep(0.1)
    wait_port(port)
    return server


def serve_folder(case, folder):
    """HTTP on loopback; returns the port."""
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=folder)

        def log_message(self, *args):
            pass
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    case.addCleanup(lambda: (server.shutdown(), server.server_close()))
    return server.server_address[1]
