"""Pictures, pipes, folders, progress, reports."""
import json
import os
import re
import struct
import subprocess
import unittest

import support
from support import Case, X264, ffmpeg, stream, veil


def exif(orientation):
    """A JPEG APP1 segment with an orientation and a maker's name."""
    maker = b"SecretMaker\0"
    tiff = b"MM\0*" + struct.pack(">I", 8) + struct.pack(">H", 2)
    tiff += struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    tiff += struct.pack(">HHII", 0x010F, 2, len(maker), 38)
    tiff += struct.pack(">I", 0) + maker
    body = b"Exif\0\0" + tiff
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body, tiff


class Pictures(Case):
    def picture(self, ending, *args):
        return self.clip("p." + ending, "-f", "lavfi", "-i", "testsrc2=s=320x192:d=1", "-frames:v",
                         "1", *args)

    def test_same_kind(self):
        for ending, codec in (("png", "png"), ("jpg", "mjpeg"), ("webp", "webp"), ("bmp", "bmp"),
                              ("tiff", "tiff"), ("ppm", "ppm")):
            with self.subTest(ending):
                source, out = self.picture(ending), self.path("out." + ending)
                self.good(veil("run", source, "-o", out, "--style", "none"))
                s = stream(out)
                self.assertEqual((s["codec_name"], s["width"], s["height"]), (codec, 320, 192))
                limit = 0 if ending in ("png", "bmp", "tiff", "ppm") else 4
                self.assertLessEqual(support.mean_difference(support.raw_frame(source),
                                                             support.raw_frame(out)), limit)

    def test_other_kind(self):
        self.good(veil("run", self.picture("png"), "-o", self.path("out.jpg")))
        self.assertEqual(stream(self.path("out.jpg"))["codec_name"], "mjpeg")

    def test_transparency_kept(self):
        source = self.clip("alpha.png", "-f", "lavfi", "-i", "testsrc2=s=320x192:d=1", "-vf",
                           "format=rgba,colorchannelmixer=aa=0.5", "-frames:v", "1")
        self.good(veil("run", source, "-o", self.path("out.png"), "--style", "none"))
        self.assertEqual(support.raw_frame(source, 0, "rgba"),
                         support.raw_frame(self.path("out.png"), 0, "rgba"))

    TURNS = {1: "null", 2: "hflip", 3: "hflip,vflip", 4: "vflip", 5: "transpose=0",
             6: "transpose=1", 7: "transpose=3", 8: "transpose=2"}

    def test_exif_orientation(self):
        """The picture comes out upright, as viewers showed it, and without its maker's name."""
        with open(self.picture("jpg", "-q:v", "2"), "rb") as f:
            plain = f.read()
        for orientation, how in self.TURNS.items():
            with self.subTest(orientation):
                source, out = self.path("in%d.jpg" % orientation), self.path("o%d.jpg" % orientation)
                with open(source, "wb") as f:
                    f.write(plain[:2] + exif(orientation)[0] + plain[2:])
                self.good(veil("run", source, "-o", out, "--style", "none"))
                want = self.path("want.png")
                ffmpeg("-noautorotate", "-i", self.picture("jpg"), "-vf", how, want)
                self.assertEqual((stream(out)["width"], stream(out)["height"]),
                                 (stream(want)["width"], stream(want)["height"]))
                self.assertLess(support.mean_difference(support.raw_frame(want),
                                                        support.raw_frame(out)), 4)
                with open(out, "rb") as f:
                    data = f.read()
                self.assertNotIn(b"SecretMaker", data)
                self.assertNotIn(b"Exif", data)

    def test_exif_orientation_png(self):
        import zlib
        with open(self.picture("png"), "rb") as f:
            png = f.read()
        for orientation, how in self.TURNS.items():
            tiff = exif(orientation)[1]
            chunk = b"eXIf" + tiff
            chunk = struct.pack(">I", len(tiff)) + chunk + struct.pack(">I", zlib.crc32(chunk))
            source, out = self.path("in%d.png" % orientation), self.path("o%d.png" % orientation)
            with open(source, "wb") as f:
                f.write(png[:33] + chunk + png[33:])
            self.good(veil("run", source, "-o", out, "--style", "none"))
            want = self.path("want%d.png" % orientation)
            ffmpeg("-noautorotate", "-i", self.picture("png"), "-vf", how, want)
            self.assertEqual(support.raw_frame(want, 0, "rgb24"),
                             support.raw_frame(out, 0, "rgb24"), orientation)
            with open(out, "rb") as f:
                self.assertNotIn(b"SecretMaker", f.read())

    def test_percent_in_name(self):
        source = self.path("a%03d[1].png")
        os.link(self.picture("png"), source)
        self.good(veil("run", source, "-o", self.path("o%d.png")))
        self.assertTrue(os.path.exists(self.path("o%d.png")))

    def test_animated_gif(self):
        source = self.clip("a.gif", "-f", "lavfi", "-i", "testsrc2=s=160x96:r=10:d=1")
        out = self.path("out.mp4")
        self.good(veil("run", source, "-o", out))
        self.assertEqual(stream(out)["nb_frames"], "10")
        self.assertEqual(stream(out)["pix_fmt"], "yuv420p")


class Pipes(Case):
    def through(self, data, *options):
        r = veil("run", "-", "-o", "-", *options, stdin=data)
        self.good(r)
        path = self.path("piped")
        with open(path, "wb") as f:
            f.write(r.out)
        return path

    def test_formats(self):
        for name, fmt in (("a.ts", "mpegts"), ("a.mkv", "matroska"), ("a.y4m", "y4m")):
            with self.subTest(name):
                codec = X264 if name != "a.y4m" else []
                clip = self.clip(name, "-f", "lavfi", "-i", support.SRC, *codec)
                with open(clip, "rb") as f:
                    out = self.through(f.read(), "-f", fmt)
                before, after = support.frame_times(clip), support.frame_times(out)
                self.assertEqual(len(before), len(after))
                for a, b in zip(before, after):
                    self.assertAlmostEqual(a - before[0], b - after[0], places=3)

    def test_y4m_unchanged(self):
        clip = self.clip("b.y4m", "-f", "lavfi", "-i", support.SRC, "-pix_fmt", "yuv420p")
        with open(clip, "rb") as f:
            data = f.read()
        out = self.through(data, "-f", "y4m", "--style", "none")
        with open(out, "rb") as f:
            self.assertEqual(len(f.read()), len(data))
        self.assertEqual(support.raw_frame(clip, 30), support.raw_frame(out, 30))

    def test_default_is_matroska(self):
        with open(self.clip("c.mkv", "-i", self.simple(), "-c", "copy"), "rb") as f:
            out = self.through(f.read())
        self.assertIn("matroska", support.probe(out, "-show_format")["format"]["format_name"])
        self.assertEqual(len(support.frame_times(out)), 50)

    def test_index_at_the_end(self):
        with open(self.simple(), "rb") as f:
            data = f.read()
        self.refused(veil("run", "-", "-o", self.path("o.mp4"), stdin=data), "+faststart")
        fast = self.clip("fast.mp4", "-i", self.simple(), "-c", "copy", "-movflags", "+faststart")
        with open(fast, "rb") as f:
            self.good(veil("run", "-", "-o", self.path("o.mp4"), stdin=f.read()))
        self.assertEqual(support.frame_times(self.path("o.mp4")), support.frame_times(fast))

    def test_closed_pipe(self):
        long = self.clip("long.mp4", "-f", "lavfi", "-i", "testsrc2=s=640x360:r=30:d=10", *X264)
        p = subprocess.Popen([support.VEIL, "run", long, "-o", "-", "-s", "64x64"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        p.stdout.read(1000)
        p.stdout.close()
        err = p.stderr.read().decode()
        p.stderr.close()
        self.assertEqual(p.wait(timeout=60), 1, err)
        self.assertIn("Broken pipe", err)


class Folders(Case):
    def test_folder(self):
        os.makedirs(self.path("in/sub"))
        os.link(self.simple(), self.path("in/a.mp4"))
        os.link(self.simple(), self.path("in/sub/b.mp4"))
        ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x64:d=1", "-frames:v", "1", self.path("in/c.jpg"))
        with open(self.path("in/notes.txt"), "w") as f:
            f.write("not a film")
        out = self.path("in/hidden")
        for _ in range(2):  # the second time what is in the output folder is no input
            self.good(veil("run", self.path("in"), "-o", out + "/", "-y"))
            found = sorted(os.path.relpath(os.path.join(d, n), out)
                           for d, _, names in os.walk(out) for n in names)
            self.assertEqual(found, ["a.mp4", "c.jpg", "sub/b.mp4"])

    def test_pattern(self):
        for n in "abc":
            os.link(self.simple(), self.path(n + "1.mp4"))
        self.good(veil("run", self.path("[ab]1.mp4"), "-o", self.path("out") + "/", "-f", "mkv"))
        self.assertEqual(sorted(os.listdir(self.path("out"))), ["a1.mkv", "b1.mkv"])


class Messages(Case):
    def test_summary_and_quiet(self):
        r = veil("run", self.simple(), "-o", self.path("a.mp4"))
        self.good(r)
        self.assertEqual(len(r.lines), 1, r.err)
        self.assertIn("50 frames", r.lines[0])
        r = veil("run", self.simple(), "-o", self.path("b.mp4"), "-q")
        self.assertEqual((r.status, r.err), (0, ""))

    def test_progress_json(self):
        r = veil("run", self.simple(), "-o", self.path("a.mp4"), "--progress", "json")
        self.good(r)
        lines = [json.loads(l) for l in r.lines if l.startswith("{")]
        self.assertGreaterEqual(len(lines), 1)
        self.assertEqual(lines[0]["frames"], 50)
        self.assertLessEqual(lines[-1]["frame"], 50)

    def test_report(self):
        report, audit = self.path("report.json"), self.path("audit.jsonl")
        self.good(veil("run", self.simple(), "-o", self.path("a.mp4"), "--report", report,
                       "--audit", audit))
        with open(report) as f:
            r = json.load(f)
        self.assertEqual(r["frames"], 50)
        self.assertEqual(r["covered"], [])
        self.assertTrue(os.path.exists(audit))
        self.refused(veil("run", self.simple(), "-o", self.path("b.mp4"), "--report", report),
                     "exists already")

    def test_help(self):
        top = veil("--help")
        self.good(top)
        for name in ("run", "detect", "redact", "doctor"):
            self.assertIn(name.encode(), top.out)
            one = veil("help", name)
            self.good(one)
            self.assertIn(b"Usage: veil " + name.encode(), one.out)
            self.assertEqual(one.out, veil(name, "--help").out)
            self.assertLessEqual(max(map(len, one.out.decode().splitlines())), 100)
        self.assertRegex(veil("--version").out.decode(), r"^veil \d+\.\d+\.\d+\n$")

    def test_manual_names_every_option(self):
        here = os.path.dirname(os.path.abspath(__file__))
        with open(os.path.join(here, "..", "..", "docs", "veil.1")) as f:
            manual = f.read().replace("\\-", "-")
        for command in ("run", "detect", "redact", "doctor"):
            text = veil("help", command).out.decode()
            options = [w for l in text.splitlines() if l.startswith("  -")
                       for w in re.findall(r"(?<![\w-])--?[\w:-]+", l[:28])]
            self.assertGreater(len(options), 1)
            for option in options:
                self.assertIn(option, manual, command)

    def test_doctor(self):
        r = veil("doctor")
        for word in (b"Processor", b"Model", b"FFmpeg", b"Cameras", b"libx264"):
            self.assertIn(word, r.out)


if __name__ == "__main__":
    unittest.main()
