"""Helpers for tests that drive the program: clips made by ffmpeg, and what ffprobe says of them.

The program is $VEIL. Only the standard library, ffmpeg and ffprobe are used."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

VEIL = os.environ.get("VEIL", "veil")
SRC = "testsrc2=s=320x240:r=25:d=2"
X264 = ["-c:v", "libx264", "-preset", "ultrafast"]


class Result:
    def __init__(self, done):
        self.status = done.returncode
        self.out = done.stdout
        self.err = done.stderr.decode(errors="replace")
        self.lines = [l for l in self.err.splitlines() if l]


def veil(*args, stdin=None, cwd=None, env=None, preexec=None, timeout=300):
    """Runs the program; with a tiny network input, since here nothing depends on finding faces."""
    if args and args[0] in ("run", "detect") and "-s" not in args and "-o" in args:
        args = (args[0], "-s", "64x64", *args[1:])
    return Result(subprocess.run([VEIL, *map(str, args)], input=stdin, cwd=cwd, preexec_fn=preexec,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout,
                                 env={**os.environ, **(env or {})}))


def ffmpeg(*args):
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-nostdin", *map(str, args)], check=True)


def probe(path, *args):
    done = subprocess.run(["ffprobe", "-v", "error", "-of", "json", *args, str(path)],
                          stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def stream(path, kind="v:0"):
    found = probe(path, "-show_streams", "-select_streams", kind)["streams"]
    return found[0] if found else None


def frame_times(path):
    """Seconds of every video frame, as decoded."""
    frames = probe(path, "-select_streams", "v:0", "-show_entries",
                   "frame=pts_time,best_effort_timestamp_time")["frames"]
    return [float(f.get("pts_time", f.get("best_effort_timestamp_time"))) for f in frames]


def packets(path, kind):
    """(seconds, hash of the bytes) of every packet of a kind of streams."""
    found = probe(path, "-select_streams", kind, "-show_packets", "-show_data_hash", "sha256")
    return [(p["stream_index"], p.get("pts_time"), p["size"], p["data_hash"])
            for p in found["packets"]]


def raw_frame(path, index=0, pix_fmt="gray"):
    """Bytes of one decoded frame, not turned."""
    return subprocess.run(["ffmpeg", "-v", "error", "-noautorotate", "-i", str(path), "-vf",
                           f"select=eq(n\\,{index})", "-frames:v", "1", "-pix_fmt", pix_fmt, "-f",
                           "rawvideo", "-"], stdout=subprocess.PIPE, check=True).stdout


def mean_difference(a, b):
    assert len(a) == len(b) and a, (len(a), len(b))
    return sum(abs(x - y) for x, y in zip(a, b)) / len(a)


class Case(unittest.TestCase):
    """Each test has an empty folder of its own: self.dir. Clips are made once: self.clip."""
    clips = {}

    @classmethod
    def setUpClass(cls):
        cls.clips_dir = tempfile.mkdtemp(prefix="veil-clips-")
        cls.clips = {}

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.clips_dir, ignore_errors=True)

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="veil-e2e-")
        self.addCleanup(shutil.rmtree, self.dir, True)

    def path(self, name):
        return os.path.join(self.dir, name)

    def clip(self, name, *args):
        path = os.path.join(self.clips_dir, name)
        if name not in self.clips:
            ffmpeg(*args, path)
            self.clips[name] = path
        return path

    def simple(self):
        return self.clip("simple.mp4", "-f", "lavfi", "-i", SRC, "-f", "lavfi", "-i", "sine=d=2",
                         *X264, "-c:a", "aac")

    def good(self, result, status=0):
        self.assertEqual(result.status, status, result.err)
        return result

    def refused(self, result, *words, status=None, output=None):
        """One clear line, a status, and nothing left behind."""
        self.assertNotEqual(result.status, 0, "it should have failed: " + result.err)
        if status is not None:
            self.assertEqual(result.status, status, result.err)
        self.assertGreater(result.status, 0, "killed by a signal: " + result.err)
        self.assertEqual(len(result.lines), 1, "not one line:\n" + result.err)
        self.assertTrue(result.lines[0].startswith("veil: "), result.err)
        for word in words:
            self.assertIn(word, result.lines[0])
        self.assertEqual(result.out, b"")
        if output:
            self.assertFalse(os.path.exists(output), "an output was left")
        left = [n for n in os.listdir(self.dir) if ".part-" in n]
        self.assertEqual(left, [], "a part file was left")


if __name__ == "__main__":
    unittest.main()
