"""Live sessions without a server: files at their own speed, several outputs, status, metrics,
signals, settings, secrets in logs."""
import json
import os
import re
import signal
import subprocess
import time
import unittest
import urllib.request

from live_support import FRAMES, RATE, LiveCase, Veil, free_port


class Basics(LiveCase):
    def test_tee_and_record(self):
        """One encoder, three outputs, every frame of a file in each."""
        a, b, c = self.path("a.mkv"), self.path("b.ts"), self.path("c.mp4")
        v = self.veil(self.source, "-o", a, "-o", b, "--record", c)
        self.assertEqual(v.end(0, 60), 0, v.text())
        for out in (a, b, c):
            self.assertEqual(self.closed(out).numbers, list(range(FRAMES)))

    def test_own_speed(self):
        began = time.time()
        v = self.veil(self.source, "--realtime", "-o", self.path("a.mkv"))
        self.assertEqual(v.end(0, 60), 0, v.text())
        self.assertGreater(time.time() - began, 0.9 * FRAMES / RATE, "faster than real time")
        seen = [n for n in self.closed(self.path("a.mkv"), least=0).numbers if n is not None]
        self.assertEqual(seen, sorted(set(seen)), "frames come twice or out of order")

    def test_sound_stays_with_the_picture(self):
        """A flash and a beep at the same moment stay within 10 ms, look-ahead or not."""
        src = self.path("flash.mkv")
        # Flash and beep for 100 ms, 0.9 s into each second, on frame borders.
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i",
                        "color=gray:s=320x240:r=30:d=3,drawbox=c=white:t=fill:"
                        "enable='gte(mod(n,30),27)'", "-f", "lavfi", "-i",
                        "sine=f=1000:r=48000:d=3,volume='if(gte(mod(t,1),0.9),1,0)':eval=frame,"
                        "asetnsamples=n=480", "-c:v", "ffv1", "-c:a", "pcm_s16le", src], check=True)
        for lookahead in ("0", "400"):
            out = self.path(f"out{lookahead}.mkv")
            v = self.veil(src, "--live", "-o", out, "--lookahead", lookahead)
            self.assertEqual(v.end(0, 40), 0, v.text())
            before, after = offset(src), offset(out)
            self.assertEqual(len(before), len(after), (before, after))
            for x, y in zip(before, after):
                self.assertLess(abs(x - y), 0.010 + 1 / 60, (before, after))
            mean = sum(y - x for x, y in zip(before, after)) / len(before)
            self.assertLess(abs(mean), 0.010, (before, after))

    def test_metrics_and_status(self):
        port = free_port()
        v = self.veil(self.source, "--realtime", "--loop", "-o", self.path("a.mkv"), "--metrics",
                      port)
        v.wait_event("state", "protecting")
        v.wait_frames(30)
        for _ in range(200):  # a busy machine may be covering just now
            text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
            figures = dict(re.findall(r"^(veil_\S+) (\S+)$", text, re.M))
            if figures["veil_protecting"] == "1":
                break
            time.sleep(0.1)
        self.assertEqual(figures["veil_protecting"], "1")
        self.assertGreaterEqual(float(figures["veil_frames_out_total"]), 30)
        self.assertGreater(float(figures["veil_faces_hidden"]), 0)
        self.assertEqual(figures['veil_output_up{output="1"}'], "1")
        with self.assertRaises(urllib.error.HTTPError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/other", timeout=10)
        state = v.states[-1]
        self.assertEqual(state["state"], "protecting")
        self.assertEqual((state["output"]["width"], state["output"]["height"]), (640, 360))
        self.assertGreater(state["latency_p99_ms"], 0)
        stages = state["stages_ms"]
        self.assertEqual(list(stages), ["decode", "prepare", "wait", "analyse", "hold", "send",
                                        "queued", "encode"])
        for i, whole in enumerate(("latency_all_p50_ms", "latency_all_p99_ms")):
            for name, parts in stages.items():  # no part takes longer than the whole
                self.assertGreater(parts[i], 0, name)
                self.assertGreaterEqual(state[whole], parts[i], name)
        self.assertEqual(v.end(), 0, v.text())
        self.closed(self.path("a.mkv"))

    def test_settings_on_hangup(self):
        """SIGHUP reads the settings again; a mistake in them changes nothing."""
        config, out = self.path("c.json"), self.path("a.mkv")
        with open(config, "w") as f:
            json.dump({"keep": "none"}, f)
        v = self.veil(self.source, "--realtime", "--loop", "-o", out, "--config", config)
        v.wait_event("state", "protecting")
        v.wait_frames(30)
        with open(config, "w") as f:
            f.write('{"keep": "nobody"}')
        v.process.send_signal(signal.SIGHUP)
        v.wait_for("a refusal", lambda: "stay as they are" in v.text())
        with open(config, "w") as f:
            json.dump({"keep": "none", "zones": [{"x": 0, "y": 0, "w": 1, "h": 1,
                                                  "decision": "hide"}]}, f)
        v.process.send_signal(signal.SIGHUP)
        v.wait_for("an answer", lambda: "are in force" in v.text())
        v.wait_frames(45)
        self.assertEqual(v.end(), 0, v.text())
        verdict = self.judge(out)
        self.assertEqual(verdict.count("r"), 0, verdict.text())
        # The whole picture is a hide zone now: even the number cannot be read.
        self.assertIn(verdict.kinds[-1], "?c", verdict.text())
        self.assertIn("h" * 5, verdict.text())

    def test_end_signal_leaves_whole_files(self):
        for name in ("a.mp4", "a.mkv", "a.m3u8"):
            out = self.path(name)
            v = self.veil(self.source, "--realtime", "--loop", "-o", out)
            v.wait_frames(20)
            self.assertEqual(v.end(), 0, v.text())
            self.assertEqual([n for n in os.listdir(self.dir) if ".part-" in n], [])
            self.closed(out)

    def test_duration(self):
        out = self.path("a.mkv")
        v = self.veil(self.source, "--loop", "-o", out, "--duration", "1.5")
        self.assertEqual(v.end(0, 40), 0, v.text())
        self.assertAlmostEqual(len(self.judge(out).kinds), 45, delta=1)

    def test_cover_until_something_comes(self):
        """With a size given, covers go out before the source is there, and nothing else."""
        out = self.path("a.mkv")
        v = self.veil("udp://127.0.0.1:%d" % free_port(), "-o", out, "--size", "320x240", "--fps",
                      "25", "--duration", "1")
        self.assertEqual(v.end(0, 40), 0, v.text())
        verdict = self.judge(out, (320, 240))
        self.assertEqual(set(verdict.kinds), {"c"}, verdict.text())
        self.assertAlmostEqual(len(verdict.kinds), 25, delta=2)

    def test_analysis_fails(self):
        """Frames whose analysis fails are covered, and the reason is told."""
        out = self.path("a.mkv")
        v = self.veil(self.source, "--realtime", "-o", out, env={"VEIL_TEST_FAULT": "infer"})
        v.wait_event("state", "the analysis failed")
        self.assertEqual(v.end(0, 40), 0, v.text())
        self.assertEqual(set(self.judge(out).kinds), {"c"})

    def test_secrets_are_not_told(self):
        v = self.veil("rtmp://user:tooth@127.0.0.1:1/live/stream-key-77", "-o",
                      "srt://127.0.0.1:1?passphrase=elephant-8", "-o", "rtmp://127.0.0.1:1/a/other-key-5",
                      "-v", "--size", "320x240", "--duration", "1.5")
        v.end(0, 40)
        v.wait_for("lines", lambda: len(v.lines) > 3, 1)
        for secret in ("tooth", "stream-key-77", "elephant-8", "other-key-5"):
            self.assertNotIn(secret, v.text())
        self.assertIn("rtmp://***@127.0.0.1:1/live/***", v.text())

    def test_refused(self):
        for args, words in ((["nothing.mp4", "--live", "-o", "a.mkv"], "No such file"),
                            ([self.source, "--live", "-o", "a.nothing"], "format"),
                            ([self.source, "--live", "-o", "a.mkv", "-c:v", "libx999"], "libx999"),
                            ([self.source, "--live", "-o", "a.mkv", "--hwaccel", "warp"], "hwaccel"),
                            ([self.source, "--live", "-o", "a.mkv", "--metrics", "x:y"], "metrics"),
                            ([self.source, "--live", "-o", "a.mkv", "--size", "33"], "size"),
                            ([self.source, "--live", "-o", "a.mkv", "--config", "none.json"], "none.json"),
                            ([self.source, self.source, "--live", "-o", "a.mkv"], "one input")):
            with self.subTest(args=args):
                v = Veil(*args, who=[])
                self.assertGreater(v.end(0, 20), 0, v.text())
                self.assertIn(words, v.text())
                self.assertFalse(os.path.exists("a.mkv"))


def offset(path):
    """Seconds from each flash to its beep."""
    def run(*args):
        return subprocess.run(["ffmpeg", "-v", "error", "-i", path, *args], stdout=subprocess.PIPE,
                              check=True).stdout
    import numpy as np
    times = json.loads(subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "frame=pts_time",
         "-of", "json", path], stdout=subprocess.PIPE, check=True).stdout)["frames"]
    pts = [float(f["pts_time"]) for f in times]
    light = np.frombuffer(run("-map", "0:v", "-fps_mode", "passthrough", "-vf", "scale=8:8", "-f",
                              "rawvideo", "-pix_fmt", "gray", "-"), np.uint8).reshape(-1, 64).mean(1)
    flashes = [pts[i] for i in range(1, len(light)) if light[i] > 180 >= light[i - 1]]
    sound = np.abs(np.frombuffer(run("-map", "0:a", "-af", "aresample=48000:async=1:first_pts=0",
                                     "-ac", "1", "-f", "s16le", "-"), np.int16).astype(int))
    loud = np.flatnonzero(sound > sound.max() // 3)
    beeps = [loud[0] / 48000] + [loud[i] / 48000 for i in range(1, len(loud))
                                 if loud[i] - loud[i - 1] > 4800]
    return [b - f for f, b in zip(flashes, beeps)]


if __name__ == "__main__":
    unittest.main()
