"""veil detect writes tracks, veil redact hides what they say."""
import json
import os
import unittest

import support
from support import Case, X264, ffmpeg, frame_times, packets, raw_frame, veil


ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CLIP = os.path.join(os.environ.get("VEIL_FIXTURES") or os.path.join(ROOT, "out", "fixtures"),
                    "interview-360.mp4")


class Tracks(Case):
    def lossless(self):
        return self.clip("flat.mkv", "-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=1", "-f",
                         "lavfi", "-i", "sine=d=1", "-pix_fmt", "yuv444p", "-c:v", "ffv1", "-c:a",
                         "flac")

    def edits(self, lines, name="tracks.json"):
        path = self.path(name)
        with open(path, "w") as f:
            for line in lines:
                f.write(json.dumps(line) + "\n")
        return path

    def redact(self, edits, *options, status=0):
        out = self.path("out.mkv")
        r = veil("redact", self.lossless(), "--edits", edits, "-o", out, "-y", "-c:v", "ffv1",
                 *options)
        self.good(r, status)
        return out

    def test_detect(self):
        vfr = self.clip("vfr.mp4", "-f", "lavfi", "-i", "testsrc2=s=320x240:r=60:d=2", "-vf",
                        "select=not(mod(n\\,3))+not(mod(n\\,7))", "-vsync", "vfr", *X264)
        for options in ([], ["--lookahead", "0"]):
            out = self.path("tracks%d.json" % len(options))
            self.good(veil("detect", vfr, "-o", out, *options))
            with open(out) as f:
                lines = [json.loads(l) for l in f]
            head, frames = lines[0], lines[1:]
            self.assertEqual((head["width"], head["height"], head["rotation"]), (320, 240, 0))
            self.assertIn("time_base", head)
            times = frame_times(vfr)
            self.assertEqual([f["frame"] for f in frames], list(range(len(times))))
            for frame, time in zip(frames, times):
                self.assertAlmostEqual(frame["pts"], time, places=5)
                self.assertNotIn("covered", frame)
                for t in frame["tracks"]:
                    self.assertEqual(set(t), {"id", "box", "score", "interview", "decision",
                                              "reason"})

    def test_detect_stdout(self):
        r = veil("detect", self.lossless(), "-s", "64x64")
        self.good(r)
        self.assertEqual(len(r.out.splitlines()), 26)

    def test_model_by_name(self):
        clip = self.lossless()
        self.good(veil("detect", clip, "-s", "64x64", "--model", "veil-p"))
        self.good(veil("detect", clip, "-s", "64x64", env={"VEIL_MODEL": "veil-p"}))
        for r in (veil("detect", clip, "--model", "veil-q"), veil("detect", clip, env={"VEIL_MODEL": "veil-q"})):
            self.assertEqual(r.status, 1)
            self.assertEqual(len(r.lines), 1, r.err)
            self.assertIn("cannot open 'veil-q'", r.lines[0])

    def test_detect_formats(self):
        clip = CLIP if os.path.exists(CLIP) else self.lossless()  # no faces: no lines
        rows = {}
        for name in ("jsonl", "mot", "csv"):
            out = self.path("tracks." + name)
            self.good(veil("detect", clip, "-o", out, "--format", name, "--latency", "-s", "640x384"))
            with open(out) as f:
                rows[name] = f.read().splitlines()
        frames = [json.loads(l) for l in rows["jsonl"][1:]]
        tracks = [(f["frame"], t) for f in frames for t in f["tracks"]]
        for f in frames:
            self.assertGreater(f["latency_ms"], 0)
        self.assertEqual(rows["csv"][0].split(",")[:4], ["input", "frame", "pts", "id"])
        self.assertEqual(len(rows["csv"]) - 1, len(tracks))
        self.assertEqual(len(rows["mot"]), len(tracks))
        for (frame, t), mot, csv in zip(tracks, rows["mot"], rows["csv"][1:]):
            mot, csv = mot.split(","), csv.split(",")
            self.assertEqual((int(mot[0]), int(mot[1])), (frame + 1, t["id"]))
            self.assertEqual([float(v) for v in mot[2:6]], t["box"])
            self.assertEqual(mot[7], "2" if t["decision"] == "keep" else "1")
            self.assertEqual((int(csv[-11]), int(csv[-9])), (frame, t["id"]))
            self.assertEqual(csv[-2], t["decision"])
        r = veil("detect", clip, clip, "--format", "mot")
        self.assertEqual(r.status, 2)
        self.assertIn("one input", r.err)

    def test_mask_video(self):
        out = self.path("masks.mkv")
        self.good(veil("detect", CLIP, "-o", self.path("t.json"), "-y", "--mask-video", out,
                       "--keep", "none"))
        self.assertEqual(len(packets(out, "v")), len(packets(CLIP, "v")))
        for i in (0, 12, 24):
            luma = raw_frame(out, i)
            white, black = (sum(map(f, luma)) / len(luma) for f in (lambda v: v > 231, lambda v: v < 24))
            self.assertGreater(white, 0.02, "frame %d: faces" % i)
            self.assertGreater(black, 0.2, "frame %d: what is between them" % i)
            self.assertGreater(white + black, 0.97, "frame %d: little in between" % i)

    def test_redact_hides_around_the_box_only(self):
        box = [80, 60, 100, 90]
        lines = [{"veil": "0.1.0", "width": 320, "height": 240, "rotation": 0}]
        for i in range(25):
            t = [{"id": 1, "box": box, "decision": "hide"},
                 {"id": 2, "box": [220, 20, 60, 60], "decision": "keep"}]
            lines.append({"frame": i, "tracks": t if i < 20 else []})
        out = self.redact(self.edits(lines), "--shape", "box", "--padding", "0", "--feather", "0",
                          "--style", "solid", "--fill", "ff0000")
        self.assertEqual(frame_times(self.lossless()), frame_times(out))
        self.assertEqual(packets(self.lossless(), "a"), packets(out, "a"))
        for index, hidden in ((0, True), (19, True), (20, False)):
            before = support.raw_frame(self.lossless(), index)
            after = support.raw_frame(out, index)
            inside = outside = 0
            for y in range(240):
                for x in range(320):
                    if before[y * 320 + x] == after[y * 320 + x]:
                        continue
                    # a box 100 wide gets the mask of 116 x 144 px (0.8 as wide as high)
                    near = 130 - 62 <= x < 130 + 62 and 105 - 76 <= y < 105 + 76
                    inside += near
                    outside += not near
            self.assertEqual(outside, 0, "something else changed in frame %d" % index)
            self.assertEqual(inside > 14000, hidden, "frame %d: %d px changed" % (index, inside))

    def test_edits(self):
        lines = [{"veil": "0.1.0", "width": 320, "height": 240}]
        lines += [{"frame": i, "tracks": [{"id": 7, "box": [10, 10, 80, 80], "decision": "hide"}]}
                  for i in range(25)]
        plain = support.raw_frame(self.lossless(), 12)
        same = self.redact(self.edits(lines + [{"edit": {"track": 7, "decision": "keep"}}]))
        self.assertEqual(plain, support.raw_frame(same, 12))
        box = {"edit": {"box": [200, 100, 60, 60], "from": 0.4, "to": 0.6, "decision": "hide"}}
        keep = {"edit": {"track": 7, "decision": "keep"}}
        both = self.redact(self.edits(lines + [keep, box]))
        self.assertEqual(support.raw_frame(self.lossless(), 5), support.raw_frame(both, 5))
        self.assertNotEqual(plain, support.raw_frame(both, 12))

    def test_unknown_decision_hides(self):
        lines = [{"frame": i, "tracks": [{"id": 1, "box": [10, 10, 80, 80], "decision": "keeep"}]}
                 for i in range(25)]
        out = self.redact(self.edits(lines))
        self.assertNotEqual(support.raw_frame(self.lossless(), 3), support.raw_frame(out, 3))

    def test_unknown_frames_are_covered(self):
        lines = [{"frame": i, "tracks": []} for i in range(25) if i != 8]
        r = veil("redact", self.lossless(), "--edits", self.edits(lines), "-o",
                 self.path("o.mkv"), "-c:v", "ffv1")
        self.good(r, 3)
        self.assertIn("1 frames are covered", r.err)
        covered = support.raw_frame(self.path("o.mkv"), 8)
        self.assertLess(max(covered) - min(covered), 3)
        self.assertEqual(support.raw_frame(self.lossless(), 7),
                         support.raw_frame(self.path("o.mkv"), 7))

    def test_tracks_of_another_size(self):
        lines = [{"veil": "0.1.0", "width": 640, "height": 480}]
        lines += [{"frame": i, "tracks": []} for i in range(25)]
        out = self.redact(self.edits(lines), status=3)
        frame = support.raw_frame(out, 3)
        self.assertLess(max(frame) - min(frame), 3)

    def test_rotated(self):
        """Tracks are in pixels as stored; the output may have to be turned upright."""
        plain = self.clip("plain.mp4", "-f", "lavfi", "-i", "color=gray:s=320x192:r=25:d=0.4", *X264)
        for degrees in (90, 180, 270):
            clip = self.clip("r%d.mp4" % degrees, "-i", plain, "-c", "copy", "-metadata:s:v",
                             "rotate=%d" % degrees)
            lines = [{"veil": "0.1.0", "width": 320, "height": 192, "rotation": degrees}]
            lines += [{"frame": i, "tracks": [{"id": 1, "box": [20, 30, 60, 40],
                                               "decision": "hide"}]} for i in range(10)]
            edits = self.edits(lines)
            results = []
            for name in ("out.mp4", "out.mkv"):
                out = self.path(name)
                self.good(veil("redact", clip, "--edits", edits, "-o", out, "-y", "--style",
                               "solid", "--fill", "ffffff", "--shape", "box"))
                shown = self.path("shown.png")
                ffmpeg("-i", out, "-frames:v", "1", shown)
                results.append(support.raw_frame(shown))
            self.assertLess(support.mean_difference(*results), 2, degrees)
            self.assertGreater(max(results[1]), 200)

    def test_bad_edits(self):
        out = self.path("out.mkv")
        clip = self.lossless()
        self.refused(veil("redact", clip, "-o", out), "--edits", status=2)
        self.refused(veil("redact", clip, "--edits", self.path("none"), "-o", out), "cannot open")
        for text, words in (("", "says nothing"), ("{", "value 1"), ("[1]", "neither"),
                            ('{"frame":0}', "tracks"),
                            ('{"frame":0,"tracks":[{"id":1}]}', "box"),
                            ('{"frame":0,"tracks":[{"id":1,"box":[1,2,"x",4]}]}', "box"),
                            ('{"frame":-1,"tracks":[]}', "out of range"),
                            ('{"frame":0,"tracks":[]}{"frame":0,"tracks":[]}', "twice"),
                            ('{"edit":{"track":1}}', "decision")):
            with self.subTest(text):
                path = self.path("bad.json")
                with open(path, "w") as f:
                    f.write(text)
                self.refused(veil("redact", clip, "--edits", path, "-o", out), words, output=out)

    def test_detect_keeps_old_file(self):
        out = self.path("t.json")
        with open(out, "w") as f:
            f.write("precious")
        self.refused(veil("detect", self.lossless(), "-o", out), "exists already")
        with open(out) as f:
            self.assertEqual(f.read(), "precious")
        self.assertEqual(os.listdir(self.dir), ["t.json"])


if __name__ == "__main__":
    unittest.main()
