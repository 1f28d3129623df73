"""Helpers for tests of `veil serve`: a server of its own on a free port, HTTP, pixels.

The program is $VEIL, clips come from $VEIL_FIXTURES or out/fixtures. Only the standard library and
ffmpeg are used."""
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VEIL = os.environ.get("VEIL", "veil")
FIXTURES = os.environ.get("VEIL_FIXTURES") or os.path.join(ROOT, "out", "fixtures")
JSON = {"Content-Type": "application/json"}
PATIENCE_S = 60  # on a machine that does other things too


def need_clip(name):
    path = os.path.join(FIXTURES, name)
    if not os.path.exists(path):
        print(f"{path} is missing: make fixtures-small")
        sys.exit(1 if os.environ.get("VEIL_FIXTURES") else 77)
    return path


def ffmpeg(*args):
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-nostdin", *map(str, args)], check=True)


def until(condition, what, patience_s=PATIENCE_S):
    """Waits until condition() gives something true, and returns that."""
    end = time.monotonic() + patience_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {patience_s} s in vain: {what}")
        time.sleep(0.05)


class Server:
    def __init__(self, *args, data=None, listen="127.0.0.1:0", tls=None):
        """tls: a context of ssl, when args name a certificate."""
        self.own = None if data else tempfile.mkdtemp(prefix="veil-web-")
        self.data = data or self.own
        self.tls = tls
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen([VEIL, "serve", "--listen", listen, "--data",
                                         self.data, *args], stdout=subprocess.PIPE,
                                        stderr=self.log, stdin=subprocess.DEVNULL)
        line = self.process.stdout.readline().decode()
        found = re.search(r"https?://[\d.]+:(\d+)/(?:#token=(\S+))?", line)
        if not found:
            raise AssertionError("it did not start: " + line + self.messages())
        self.port, self.token = int(found.group(1)), found.group(2)

    def messages(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def stop(self):
        """Ends it as Ctrl-C does; returns its status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        status = self.process.wait(60)
        self.process.stdout.close()
        return status

    def close(self):
        status = self.stop()
        self.last = self.messages()
        self.log.close()
        if self.own:
            shutil.rmtree(self.own, ignore_errors=True)
        return status

    def request(self, method, path, body=None, headers=None):
        """Returns (status, headers, bytes)."""
        kind = http.client.HTTPSConnection if self.tls else http.client.HTTPConnection
        c = kind("127.0.0.1", self.port, timeout=PATIENCE_S,
                 **({"context": self.tls} if self.tls else {}))
        try:
            try:
                c.request(method, path, body, headers or {})
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused before all of it was sent: the answer says why
            r = c.getresponse()
            return r.status, r.headers, r.read()
        finally:
            c.close()

    def json(self, method, path, body=None, headers=None):
        """Returns (status, parsed JSON or None)."""
        text = None if body is None else json.dumps(body)
        status, got, data = self.request(method, path, text,
                                         {**(JSON if body is not None else {}), **(headers or {})})
        parsed = json.loads(data) if data and "json" in got.get("Content-Type", "") else None
        return status, parsed

    def state(self):
        return self.json("GET", "/state")[1]

    def raw(self, data, wait_s=15):
        """Sends bytes as they are; returns all that comes back until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait_s) as s:
            try:
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            got = b""
            try:
                while True:
                    part = s.recv(65536)
                    if not part:
                        return got
                    got += part
            except OSError:
                return got


def statuses(answer):
    """Of all answers in it. libmicrohttpd sends the head of its own errors twice."""
    answer = re.sub(rb"(HTTP/1\.1 4\d\d [^<]*?\r\n\r\n)\1", rb"\1", answer, flags=re.S)
    return [int(x) for x in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


class Picture:
    """Grey pixels of an encoded picture, or of one frame of a video."""

    def __init__(self, source, at_s=0):
        given = source if isinstance(source, bytes) else None
        path = "-" if given else source
        probe = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries",
                                "stream=width,height", "-of", "csv=p=0", path], input=given,
                               stdout=subprocess.PIPE, check=True).stdout.decode()
        self.width, self.height = map(int, probe.strip().split(",")[:2])
        seek = ["-ss", str(at_s)] if at_s else []  # a pipe cannot seek
        self.pixels = subprocess.run(["ffmpeg", "-v", "error", *seek, "-i", path,
                                      "-frames:v", "1", "-pix_fmt", "gray", "-f", "rawvideo", "-"],
                                     input=given, stdout=subprocess.PIPE, check=True).stdout
        assert len(self.pixels) == self.width * self.height, (len(self.pixels), path)

    def area(self, box, shrink=0.15):
        """Pixel bounds of the inner part of a box in parts of 1 (x, y, w, h)."""
        x, y, w, h = box
        x0, x1 = x + w * shrink, x + w * (1 - shrink)
        y0, y1 = y + h * shrink, y + h * (1 - shrink)
        clip = lambda v, n: max(0, min(n, round(v * n)))
        return (clip(x0, self.width), clip(x1, self.width), clip(y0, self.height),
                clip(y1, self.height))

    def detail(self, box):
        """Mean difference of neighbours: what hiding takes away."""
        x0, x1, y0, y1 = self.area(box)
        total = n = 0
        for y in range(y0, y1):
            row = self.pixels[y * self.width + x0:y * self.width + x1]
            total += sum(abs(a - b) for a, b in zip(row, row[1:]))
            n += len(row) - 1
        assert n > 0, (box, self.width, self.height)
        return total / n

    def spread(self):
        return max(self.pixels) - min(self.pixels)


class Case(unittest.TestCase):
    args = ()

    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="veil-web-")
        cls.prepare()
        cls.server = Server(*cls.args)

    @classmethod
    def prepare(cls):
        pass

    @classmethod
    def tearDownClass(cls):
        status = cls.server.close()
        messages = cls.server.last
        shutil.rmtree(cls.dir, ignore_errors=True)
        assert status == 0, f"the server ended with {status}:\n{messages}"

    def ok(self, answer, status=200):
        self.assertEqual(answer[0], status, answer)
        return answer[1]

    def problem(self, answer, *allowed):
        status, body = answer
        self.assertIn(status, allowed, answer)
        self.assertEqual(body["status"], status)
        self.assertTrue(body["detail"])
        return body["detail"]
