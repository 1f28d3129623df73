"""Closed, never open: whatever stage fails, no frame comes out that was not analysed."""
import os
import pty
import subprocess
import unittest

import support
from support import Case, frame_times, raw_frame, veil

N = 25


class Closed(Case):
    def lossless(self):
        return self.clip("flat.mkv", "-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=1",
                         "-pix_fmt", "yuv420p", "-c:v", "ffv1")

    def frames(self, path):
        data = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt",
                               "gray", "-"], stdout=subprocess.PIPE, check=True).stdout
        size = 320 * 240
        return [data[i:i + size] for i in range(0, len(data), size)]

    def states(self, out):
        """c: covered, s: as in the source (the clip has no faces), x: anything else."""
        before, after = self.frames(self.lossless()), self.frames(out)
        self.assertEqual(len(before), N)
        self.assertEqual(len(after), N)
        return "".join("c" if max(b) - min(b) < 3 else "s" if a == b else "x"
                       for a, b in zip(before, after))

    def run_with(self, fault, *options):
        out = self.path("out.mkv")
        r = veil("run", self.lossless(), "-o", out, "-y", "-c:v", "ffv1", "-t", "0.99", *options,
                 env={"VEIL_TEST_FAULT": fault})
        return r, out

    def test_no_fault(self):
        r, out = self.run_with("nothing")
        self.good(r)
        self.assertEqual(self.states(out), "s" * N)

    def test_every_frame_fails(self):
        for stage in ("scale", "infer", "decode", "track", "redact"):
            for lookahead in ("0", "200", "1000"):
                with self.subTest(stage=stage, lookahead=lookahead):
                    r, out = self.run_with(stage, "--lookahead", lookahead)
                    if r.status == 1:
                        self.assertFalse(os.path.exists(out))
                        self.assertEqual(len(r.lines), 1, r.err)
                        continue
                    self.good(r, 3)
                    self.assertIn("covered", r.err)
                    self.assertEqual(self.states(out), "c" * N)
                    os.unlink(out)

    def test_one_frame_fails(self):
        for stage in ("scale", "infer", "decode", "track"):
            for lookahead in ("0", "200"):
                with self.subTest(stage=stage, lookahead=lookahead):
                    r, out = self.run_with(stage + ":9", "--lookahead", lookahead)
                    if r.status == 1:
                        self.assertFalse(os.path.exists(out))
                        continue
                    self.good(r, 3)
                    states = self.states(out)
                    self.assertEqual(states[8], "c", states)
                    self.assertNotIn("x", states)
                    self.assertEqual(states[:8], "s" * 8)
                    os.unlink(out)

    def test_start_fails(self):
        for stage in ("model", "alloc", "thread"):
            with self.subTest(stage):
                r, out = self.run_with(stage)
                if r.status == 0:  # one thread less is no reason to stop
                    self.assertEqual(stage, "thread")
                    self.assertEqual(self.states(out), "s" * N)
                    os.unlink(out)
                    continue
                self.assertEqual(r.status, 1, r.err)
                self.assertEqual(len(r.lines), 1, r.err)
                self.assertFalse(os.path.exists(out))

    def test_picture_fails(self):
        picture = self.clip("one.png", "-f", "lavfi", "-i", "testsrc2=s=320x240:d=1", "-frames:v",
                            "1")
        out = self.path("out.png")
        r = veil("run", picture, "-o", out, env={"VEIL_TEST_FAULT": "infer"})
        if r.status == 1:
            self.assertFalse(os.path.exists(out))
        else:
            self.good(r, 3)
            data = raw_frame(out)
            self.assertLess(max(data) - min(data), 3)

    def test_detect_says_so(self):
        out = self.path("t.json")
        r = veil("detect", self.lossless(), "-o", out, env={"VEIL_TEST_FAULT": "infer:5"})
        self.good(r, 3)
        with open(out) as f:
            lines = f.read().splitlines()
        self.assertIn('"covered"', lines[5])
        self.assertEqual(len(lines), N + 1)

    def test_covered_frames_keep_their_time(self):
        r, out = self.run_with("infer")
        self.good(r, 3)
        self.assertEqual(frame_times(self.lossless()), frame_times(out))


class Bar(Case):
    def test_bar_on_a_terminal(self):
        master, slave = pty.openpty()
        p = subprocess.Popen([support.VEIL, "run", self.simple(), "-s", "64x64", "-o",
                              self.path("o.mp4")], stderr=slave)
        os.close(slave)
        text = b""
        while True:
            try:
                piece = os.read(master, 4096)
            except OSError:
                break
            if not piece:
                break
            text += piece
        os.close(master)
        self.assertEqual(p.wait(timeout=60), 0, text)
        self.assertIn(b"/50 frames", text)
        self.assertIn(b"ETA", text)
        self.assertIn(b"\r\x1b[K", text)  # the bar is taken away before the summary
        self.assertNotIn(b"ETA", text.split(b"\r\x1b[K")[-1])


if __name__ == "__main__":
    unittest.main()
