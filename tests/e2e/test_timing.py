"""Nothing but the faces changes: frames, time stamps, sound, subtitles, chapters, rotation."""
import os
import subprocess
import unittest

import support
from support import Case, X264, ffmpeg, frame_times, packets, probe, stream, veil

CHAPTERS = """;FFMETADATA1
title=secret title
location=+52.5200+013.4050/
com.apple.quicktime.make=Camera Maker
[CHAPTER]
TIMEBASE=1/1000
START=0
END=700
title=Opening
[CHAPTER]
TIMEBASE=1/1000
START=700
END=2000
title=Talk
"""
SUBTITLES = "1\n00:00:00,200 --> 00:00:00,900\nGuten Tag\n\n2\n00:00:01,000 --> 00:00:01,500\nBye\n"


class Timing(Case):
    def convert(self, source, name, *options, status=0):
        out = self.path(name)
        self.good(veil("run", source, "-o", out, *options), status=status)
        return out

    def same_times(self, source, out, unit=1e-6):
        before, after = frame_times(source), frame_times(out)
        self.assertEqual(len(before), len(after), "frames in and out")
        self.assertGreater(len(before), 5)
        worst = max(abs(a - b) for a, b in zip(before, after))
        self.assertLessEqual(worst, unit, "time stamps moved by %g s" % worst)

    def same_packets(self, source, out, kind):
        before, after = packets(source, kind), packets(out, kind)
        self.assertGreater(len(before), 0)
        self.assertEqual(before, after)

    def test_constant_rate(self):
        clip = self.clip("ntsc.mp4", "-f", "lavfi", "-i", "testsrc2=s=320x240:r=30000/1001:d=3",
                         "-f", "lavfi", "-i", "sine=d=3", *X264, "-c:a", "aac")
        out = self.convert(clip, "out.mp4")
        self.same_times(clip, out)
        self.same_packets(clip, out, "a")
        a, b = stream(clip), stream(out)
        for key in ("codec_name", "pix_fmt", "width", "height", "avg_frame_rate", "r_frame_rate",
                    "nb_frames", "duration", "time_base"):
            self.assertEqual(a[key], b[key], key)

    VFR = ["-f", "lavfi", "-i", "testsrc2=s=320x240:r=60:d=3", "-vf",
           "select=not(mod(n\\,3))+not(mod(n\\,7))+between(n\\,50\\,70)", "-vsync", "vfr"]

    def test_variable_rate(self):
        clip = self.clip("vfr.mp4", *self.VFR, *X264, "-bf", "3")
        steps = {round(b - a, 3) for a, b in zip(frame_times(clip), frame_times(clip)[1:])}
        self.assertGreater(len(steps), 2, "the clip is not of variable rate")
        for name in ("out.mp4", "out.mov"):
            self.same_times(clip, self.convert(clip, name))
        self.same_times(clip, self.convert(clip, "out.mkv"), unit=0.00051)

    def test_variable_rate_any_encoder(self):
        clip = self.clip("vfr.mp4", *self.VFR, *X264, "-bf", "3")
        for codec, name in (("mpeg4", "a.mp4"), ("libx265", "b.mp4"), ("libvpx-vp9", "c.mp4"),
                            ("mjpeg", "d.mov"), ("libsvtav1", "e.mp4")):
            with self.subTest(codec):
                fast = ["--encoder-options", "cpu-used=8:deadline=realtime"] \
                    if "vpx" in codec else []
                if codec == "libx265":
                    fast = ["--preset", "ultrafast"]
                if codec == "libsvtav1":
                    fast = ["--preset", "12"]
                out = self.convert(clip, name, "-c:v", codec, *fast)
                self.same_times(clip, out)

    def test_no_b_frames_and_many(self):
        for name, args in (("b0.mp4", ["-bf", "0"]),
                           ("b8.mp4", ["-bf", "8", "-x264-params", "b-pyramid=normal"])):
            clip = self.clip(name, "-f", "lavfi", "-i", support.SRC, "-c:v", "libx264", "-preset",
                             "medium", *args)
            self.same_times(clip, self.convert(clip, "out_" + name, "--preset", "medium"))

    def test_start_offset(self):
        clip = self.clip("late.mp4", "-f", "lavfi", "-i", support.SRC, "-f", "lavfi", "-i",
                         "sine=d=3", "-vf", "setpts=PTS+0.75/TB", "-vsync", "passthrough", *X264,
                         "-c:a", "aac")
        self.assertGreater(frame_times(clip)[0], 0.5)
        out = self.convert(clip, "out.mp4")
        self.same_times(clip, out)
        self.same_packets(clip, out, "a")

    def test_edit_list(self):
        """A cut made without encoding: the file holds frames that are not shown."""
        source = self.clip("gop.mp4", "-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=4", "-f",
                           "lavfi", "-i", "sine=d=4", *X264, "-g", "50", "-c:a", "aac")
        clip = self.clip("edit.mp4", "-ss", "1.3", "-i", source, "-c", "copy")
        shown = len(frame_times(clip))
        self.assertLess(shown, int(stream(clip)["nb_frames"]) + 1)
        out = self.convert(clip, "out.mp4")
        self.same_times(clip, out)
        hashes = [[p[3] for p in packets(f, "a")] for f in (clip, out)]
        self.assertEqual(*hashes)

    def rich(self):
        for name, text in (("meta.txt", CHAPTERS), ("subs.srt", SUBTITLES)):
            with open(os.path.join(self.clips_dir, name), "w") as f:
                f.write(text)
        return ["-f", "lavfi", "-i", support.SRC, "-f", "lavfi", "-i", "sine=f=440:d=2", "-f",
                "lavfi", "-i", "sine=f=880:d=2", "-i", os.path.join(self.clips_dir, "subs.srt"),
                "-i", os.path.join(self.clips_dir, "meta.txt"), "-map", "0", "-map", "1", "-map",
                "2", "-map", "3", "-map_metadata", "4", "-map_chapters", "4", *X264,
                "-metadata:s:a:0", "language=ger", "-metadata:s:a:1", "language=eng",
                "-metadata:s:v", "handler_name=Secret Camera"]

    def everything_same(self, clip, out):
        self.same_times(clip, out, unit=0.00051 if clip.endswith("mkv") else 1e-6)
        self.same_packets(clip, out, "a")
        self.same_packets(clip, out, "s")
        chapters = [probe(f, "-show_chapters")["chapters"] for f in (clip, out)]
        self.assertEqual(len(chapters[0]), 2)
        for a, b in zip(*chapters):
            self.assertAlmostEqual(float(a["start_time"]), float(b["start_time"]), places=6)
            self.assertAlmostEqual(float(a["end_time"]), float(b["end_time"]), places=6)
            self.assertEqual(a["tags"]["title"], b["tags"]["title"])
        kinds = [[(s["codec_type"], s.get("codec_name"), s.get("tags", {}).get("language"),
                   s["disposition"]["default"])
                  for s in probe(f, "-show_streams")["streams"] if s["codec_type"] != "data"]
                 for f in (clip, out)]
        self.assertEqual(*kinds)
        with open(out, "rb") as f:
            data = f.read()
        for secret in (b"secret title", b"+52.52", b"Camera Maker", b"Secret Camera"):
            self.assertNotIn(secret, data)
        with open(clip, "rb") as f:
            self.assertIn(b"secret title", f.read())

    def test_everything_mp4(self):
        clip = self.clip("rich.mp4", *self.rich(), "-c:a", "aac", "-c:s", "mov_text", "-movflags",
                         "use_metadata_tags")
        r = veil("run", clip, "-o", self.path("out.mp4"))
        self.good(r)
        self.assertNotIn("left out", r.err)
        self.everything_same(clip, self.path("out.mp4"))

    def test_everything_mkv(self):
        font = os.path.join(self.clips_dir, "font.ttf")
        with open(font, "wb") as f:
            f.write(bytes(range(256)) * 20)
        clip = self.clip("rich.mkv", *self.rich(), "-c:a:0", "flac", "-c:a:1", "libopus", "-c:s",
                         "srt", "-attach", font, "-metadata:s:t", "mimetype=font/ttf")
        out = self.convert(clip, "out.mkv")
        self.everything_same(clip, out)
        attached = stream(out, "t")
        self.assertEqual(attached["tags"]["filename"], "font.ttf")
        got = self.path("got.ttf")
        subprocess.run(["ffmpeg", "-v", "quiet", "-y", "-dump_attachment:t:0", got, "-i", out])
        with open(got, "rb") as a, open(font, "rb") as b:
            self.assertEqual(a.read(), b.read())

    def test_pictures_beside_are_not_passed(self):
        cover = self.clip("cover.png", "-f", "lavfi", "-i", support.SRC, "-frames:v", "1")
        clip = self.clip("covered.mkv", "-i", self.simple(), "-c", "copy", "-attach", cover,
                         "-metadata:s:t", "mimetype=image/png")
        r = veil("run", clip, "-o", self.path("out.mkv"))
        self.good(r)
        self.assertIn("left out", r.err)
        self.assertEqual(len(probe(self.path("out.mkv"), "-show_streams")["streams"]), 2)

    def test_transport_stream(self):
        clip = self.clip("a.ts", "-f", "lavfi", "-i", support.SRC, "-f", "lavfi", "-i", "sine=d=2",
                         *X264, "-bf", "2", "-c:a", "mp2")
        self.assertGreater(frame_times(clip)[0], 1)
        out = self.convert(clip, "out.ts")
        self.same_times(clip, out)
        self.same_packets(clip, out, "a")

    def test_metadata_kept_when_asked(self):
        clip = self.clip("rich.mp4", *self.rich(), "-c:a", "aac", "-c:s", "mov_text", "-movflags",
                         "use_metadata_tags")
        tags = probe(self.convert(clip, "out.mp4", "-m"), "-show_format")["format"]["tags"]
        self.assertEqual(tags["title"], "secret title")
        self.assertEqual(tags["com.apple.quicktime.make"], "Camera Maker")
        self.assertIn("+52.52", tags["location"])

    def test_no_audio_no_subtitles(self):
        clip = self.clip("rich.mp4", *self.rich(), "-c:a", "aac", "-c:s", "mov_text", "-movflags",
                         "use_metadata_tags")
        out = self.convert(clip, "out.mp4", "--no-audio", "--no-subtitles")
        self.assertIsNone(stream(out, "a"))
        self.assertIsNone(stream(out, "s"))

    def rotated(self, degrees):
        plain = self.clip("plain.mp4", "-f", "lavfi", "-i", "testsrc2=s=320x192:r=25:d=1", *X264)
        return self.clip("r%d.mp4" % degrees, "-i", plain, "-c", "copy", "-metadata:s:v",
                         "rotate=%d" % degrees)

    def rotation(self, path):
        sides = stream(path).get("side_data_list", [])
        return [s["rotation"] for s in sides if "rotation" in s]

    def test_rotation_kept(self):
        for degrees in (90, 180, 270):
            clip = self.rotated(degrees)
            self.assertEqual(len(self.rotation(clip)), 1)
            out = self.convert(clip, "out%d.mp4" % degrees)
            self.assertEqual(self.rotation(clip), self.rotation(out))
            self.same_times(clip, out)
            self.assertEqual((stream(out)["width"], stream(out)["height"]), (320, 192))

    def test_rotation_in_a_file_that_cannot_say_it(self):
        """Then the pixels are turned, as players would have done."""
        for degrees, size in ((90, (192, 320)), (180, (320, 192)), (270, (192, 320))):
            clip = self.rotated(degrees)
            out = self.convert(clip, "out%d.mkv" % degrees, "--style", "none")
            self.assertEqual((stream(out)["width"], stream(out)["height"]), size)
            self.assertEqual(self.rotation(out), [])
            turned = self.path("turned.mkv")
            ffmpeg("-i", clip, *X264, turned)
            self.assertLess(support.mean_difference(support.raw_frame(turned, 5),
                                                    support.raw_frame(out, 5)), 3)

    def test_odd_size(self):
        clip = self.clip("odd.mkv", "-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=1", "-vf",
                         "scale=321:241,format=yuv420p", "-c:v", "ffv1")
        out = self.convert(clip, "out.mkv")
        self.assertEqual((stream(out)["width"], stream(out)["height"]), (321, 241))
        self.same_times(clip, out)

    def test_ten_bit(self):
        clip = self.clip("deep.mkv", "-f", "lavfi", "-i", support.SRC, "-vf", "format=yuv420p10le",
                         *X264)
        self.assertEqual(stream(clip)["pix_fmt"], "yuv420p10le")
        out = self.convert(clip, "out.mkv")
        self.assertEqual(stream(out)["pix_fmt"], "yuv420p10le")
        self.same_times(clip, out)

    def test_pixel_formats(self):
        for fmt, codec, out_fmt in (("nv12", "rawvideo", "nv12"), ("yuv422p", "ffv1", "yuv422p"),
                                    ("yuv444p", "ffv1", "yuv444p"), ("gray", "ffv1", "gray"),
                                    ("bgra", "ffv1", "bgra"), ("uyvy422", "rawvideo", "uyvy422")):
            name = "nut" if codec == "rawvideo" else "mkv"
            clip = self.clip(f"{fmt}.{name}", "-f", "lavfi", "-i", support.SRC, "-frames:v", "10",
                             "-pix_fmt", fmt, "-c:v", codec)
            out = self.convert(clip, f"out-{fmt}.{name}", "-c:v", codec, "--style", "none")
            self.assertEqual(stream(out)["pix_fmt"], out_fmt)
            # Lossless in, lossless out, nothing drawn: not a sample may change.
            self.assertEqual(support.raw_frame(clip, 7, fmt), support.raw_frame(out, 7, fmt))

    def test_colour_description(self):
        clip = self.clip("colour.mp4", "-f", "lavfi", "-i", support.SRC, *X264, "-vf",
                         "setsar=4/3", "-color_primaries", "bt2020", "-color_trc", "smpte2084",
                         "-colorspace", "bt2020nc", "-color_range", "tv")
        full = self.clip("full.mp4", "-f", "lavfi", "-i", support.SRC, *X264, "-pix_fmt",
                         "yuvj420p")
        for source in (clip, full):
            a, b = stream(source), stream(self.convert(source, "out-" + os.path.basename(source)))
            for key in ("color_primaries", "color_transfer", "color_space", "color_range",
                        "sample_aspect_ratio", "pix_fmt"):
                self.assertEqual(a.get(key), b.get(key), key)

    def test_interlaced(self):
        clip = self.clip("fields.ts", "-f", "lavfi", "-i", "testsrc2=s=320x240:r=50:d=2", "-vf",
                         "interlace", *X264, "-flags", "+ildct+ilme")
        out = self.convert(clip, "out.ts")
        fields = [[(f["interlaced_frame"], f["top_field_first"]) for f in
                   probe(p, "-select_streams", "v", "-show_frames")["frames"]] for p in (clip, out)]
        self.assertEqual(fields[0][5], (1, 1))
        self.assertEqual(*fields)

    def test_resolution_changes(self):
        a = self.clip("big.ts", "-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=1", *X264)
        b = self.clip("small.ts", "-f", "lavfi", "-i", "testsrc2=s=160x128:r=25:d=1",
                      "-output_ts_offset", "1", *X264)
        both = self.path("both.ts")
        with open(both, "wb") as f:
            for part in (a, b):
                with open(part, "rb") as g:
                    f.write(g.read())
        out = self.convert(both, "out.mp4")
        self.assertEqual(len(frame_times(out)), 50)
        self.assertEqual(stream(out)["width"], 320)


if __name__ == "__main__":
    unittest.main()
