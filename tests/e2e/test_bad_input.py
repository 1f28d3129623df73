"""Bad input: one clear line, a failing status, no output, nothing raw."""
import os
import resource
import signal
import subprocess
import time
import unittest

import support
from support import Case, X264, ffmpeg, veil


class BadInput(Case):
    def run_to(self, source, *options, words=(), name="out.mp4", **more):
        out = self.path(name)
        self.refused(veil("run", source, "-o", out, *options, **more), *words, output=out)

    def test_missing_file(self):
        self.run_to("nowhere.mp4", words=["run: cannot open 'nowhere.mp4': No such file"])

    def test_folder_to_file(self):
        self.run_to(self.dir, words=["is a folder", "-o FOLDER/"])

    def test_empty_folder(self):
        os.mkdir(self.path("in"))
        self.refused(veil("run", self.path("in"), "-o", self.path("out") + "/"),
                     "no video or picture")

    def test_text_file(self):
        for name in ("a.txt", "a.mp4", "a"):
            text = self.path(name)
            with open(text, "w") as f:
                f.write("This is a text about nothing.\n" * 200)
            self.run_to(text, words=["cannot open"])

    def test_zero_byte_file(self):
        empty = self.path("empty.mp4")
        open(empty, "w").close()
        self.run_to(empty, words=["the file is empty"])

    def test_random_bytes(self):
        path = self.path("noise.mp4")
        with open(path, "wb") as f:
            f.write(os.urandom(100000))
        self.run_to(path, words=["noise.mp4"])

    def test_truncated_mp4_without_index(self):
        with open(self.simple(), "rb") as f:
            whole = f.read()
        path = self.path("cut.mp4")
        with open(path, "wb") as f:
            f.write(whole[:len(whole) * 6 // 10])
        self.run_to(path, words=["cannot open", "moov"])

    def cut_short(self, name, *args):
        source = self.clip(name, "-f", "lavfi", "-i", support.SRC, *X264, *args)
        with open(source, "rb") as f:
            whole = f.read()
        path = self.path("cut" + os.path.splitext(name)[1])
        with open(path, "wb") as f:
            f.write(whole[:len(whole) * 6 // 10])
        return path

    def test_truncated_files(self):
        for name, args in (("fast.mp4", ["-movflags", "+faststart"]), ("whole.mkv", []),
                           ("whole.avi", [])):
            with self.subTest(name):
                path = self.cut_short(name, *args)
                self.run_to(path, words=["truncated", "--allow-truncated"])
                out = self.path("taken.mp4")
                self.good(veil("run", path, "-o", out, "-y", "--allow-truncated"), status=3)
                n = len(support.frame_times(out))
                self.assertTrue(10 < n < 50, n)

    def test_truncated_picture(self):
        for ending in ("png", "jpg", "webp"):
            whole = self.clip("whole." + ending, "-f", "lavfi", "-i", support.SRC, "-frames:v", "1")
            with open(whole, "rb") as f:
                data = f.read()
            path = self.path("cut." + ending)
            with open(path, "wb") as f:
                f.write(data[:len(data) // 3])
            self.run_to(path, name="out." + ending)
            more = self.path("more." + ending)  # what follows a picture's end does not matter
            with open(more, "wb") as f:
                f.write(data + os.urandom(5000))
            self.good(veil("run", more, "-o", self.path("more-out." + ending)))

    def test_tiny_video(self):
        path = self.clip("tiny.mkv", "-f", "lavfi", "-i", "color=s=16x16:r=5:d=1,format=gray,crop=1:1",
                         "-c:v", "ffv1")
        self.run_to(path, words=["1x1", "16 to 8192"])

    def test_huge_picture(self):
        path = self.clip("huge.png", "-f", "lavfi", "-i", "color=s=16384x16:d=1:r=1", "-frames:v", "1")
        self.run_to(path, words=["16384x16", "8192"], name="out.png")

    def test_unwritable_folder(self):
        self.run_to(self.simple(), words=["cannot write", "No such file or directory"],
                    name="nowhere/out.mp4")
        self.run_to(self.simple(), words=["cannot write"], name="../../proc/veil-out.mp4")

    @unittest.skipIf(os.geteuid() == 0, "root may write everywhere")
    def test_read_only_folder(self):
        os.mkdir(self.path("ro"), 0o500)
        self.run_to(self.simple(), words=["Permission denied"], name="ro/out.mp4")

    def test_full_disk(self):
        def small_files():
            resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
        for name in ("out.mp4", "out.mkv", "out.ts"):
            self.run_to(self.simple(), words=["cannot write", "File too large"], name=name,
                        preexec=small_files)
        picture = self.clip("one.png", "-f", "lavfi", "-i", support.SRC, "-frames:v", "1")

        def tiny_files():
            resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
        self.run_to(picture, words=["cannot write"], name="out.png", preexec=tiny_files)

    def test_no_space(self):
        r = veil("run", self.simple(), "-o", "/dev/full", "-f", "matroska")
        self.refused(r, "cannot write '/dev/full': No space left on device")

    def test_stdout_full(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([support.VEIL, "run", self.simple(), "-o", "-"], stdout=full,
                                  stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"No space left", done.stderr)

    def test_detect_full(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([support.VEIL, "detect", self.simple()], stdout=full,
                                  stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)

    def test_damaged_model(self):
        model = self.path("bad.veil")
        with open(model, "wb") as f:
            f.write(b"not a model")
        self.run_to(self.simple(), "--model", model, words=["cannot use the model", "bad.veil"])
        self.run_to(self.simple(), "--model", self.path("none"), words=["cannot open"])
        self.refused(veil("detect", self.simple(), "--model", model), "cannot use the model")

    def test_options(self):
        clip, out = self.simple(), self.path("out.mp4")
        cases = [
            (["--stile", "blur"], "did you mean '--style'?"),
            (["--xyzzyplugh"], "unknown option '--xyzzyplugh'"),
            (["--style", "fog"], "takes one of blur|mosaic"),
            (["--thresh", "2"], "takes a number from 0.01 to 1"),
            (["--thresh", "nan"], "takes a number"),
            (["-t", "abc"], "'-t' takes a number"),
            (["-s", "640"], "takes a size"),
            (["-s", "640x100"], "multiples of 32"),
            (["--detect-every", "1.5"], "takes a number"),
            (["--fill", "red"], "takes a colour"),
            (["--hide-zone", "1,2"], "a zone is X,Y,W,H"),
            (["--style", "image"], "--replaceimg"),
            (["--quiet=yes"], "takes no value"),
        ]
        for options, words in cases:
            with self.subTest(options):
                self.refused(veil("run", clip, "-o", out, *options), words, status=2, output=out)
        self.refused(veil("run", clip, "-o"), "'-o' needs a value", status=2)
        self.refused(veil("run", "-o", out), "no input", status=2)
        self.refused(veil("run", clip), "no output", status=2)
        self.refused(veil("rum", clip), "did you mean 'run'?", status=2)
        self.refused(veil("doctor", clip), "takes no input", status=2)

    def test_encoder_options(self):
        clip = self.simple()
        self.run_to(clip, "-c:v", "copy", words=["cannot be copied"])
        self.run_to(clip, "-c:v", "libx263", words=["no video encoder is called 'libx263'"])
        self.run_to(clip, "-c:v", "mpeg4", "--preset", "fast", words=["no option 'preset'"])
        self.run_to(clip, "-c:v", "ffv1", words=["ffv1 video does not fit into mp4"])
        self.run_to(clip, "--preset", "warp", words=["libx264"])
        self.run_to(clip, "-f", "nonsense", words=["no output format is called"])
        self.run_to(clip, "--pix-fmt", "yuv9", words=["no pixel format"])

    def test_no_video(self):
        sound = self.clip("sound.mp3", "-f", "lavfi", "-i", "sine=d=1")
        self.run_to(sound, words=["has no video, only sound"])
        cover = self.clip("cover.m4a", "-f", "lavfi", "-i", "sine=d=1", "-f", "lavfi", "-i",
                          "color=s=64x64:d=0.04", "-map", "0", "-map", "1", "-c:v", "png",
                          "-disposition:v", "attached_pic", "-f", "mp4")
        self.run_to(cover, words=["has no video"])

    def test_unknown_ending(self):
        self.run_to(self.simple(), words=["cannot tell the format", "-f"], name="out.xyz")
        self.run_to(self.simple(), words=["cannot tell the format"], name="out")

    def test_film_to_picture(self):
        self.run_to(self.simple(), words=["a film cannot become the picture"], name="out.png")

    def test_same_file(self):
        path = self.path("a.mp4")
        with open(self.simple(), "rb") as f:
            whole = f.read()
        with open(path, "wb") as f:
            f.write(whole)
        os.link(path, self.path("b.mp4"))
        os.symlink(path, self.path("c.mp4"))
        for name in ("a.mp4", "b.mp4", "c.mp4", "../" + os.path.basename(self.dir) + "/a.mp4"):
            self.refused(veil("run", path, "-y", "-o", self.path(name)), "both input and output")
            self.refused(veil("detect", path, "-y", "-o", self.path(name)), "both input and output")
        with open(path, "rb") as f:
            self.assertEqual(f.read(), whole)

    def test_existing_output(self):
        out = self.path("out.mp4")
        with open(out, "wb") as f:
            f.write(b"precious")
        self.refused(veil("run", self.simple(), "-o", out), "exists already; -y")
        with open(out, "rb") as f:
            self.assertEqual(f.read(), b"precious")
        self.good(veil("run", self.simple(), "-o", out, "-y"))
        self.assertEqual(len(support.frame_times(out)), 50)

    def test_failure_keeps_old_output(self):
        out = self.path("out.mp4")
        with open(out, "wb") as f:
            f.write(b"precious")
        path = self.cut_short("fast.mp4", "-movflags", "+faststart")
        self.refused(veil("run", path, "-o", out, "-y"), "truncated")
        with open(out, "rb") as f:
            self.assertEqual(f.read(), b"precious")

    def test_stream_that_does_not_fit(self):
        path = self.clip("pcm.mkv", "-f", "lavfi", "-i", support.SRC, "-f", "lavfi", "-i",
                         "sine=d=2", *X264, "-c:a", "pcm_s16le")
        self.run_to(path, words=["audio stream 1 (pcm_s16le) does not fit into mp4", "--no-audio"])
        self.good(veil("run", path, "-o", self.path("silent.mp4"), "--no-audio"))
        self.good(veil("run", path, "-o", self.path("whole.mkv")))

    def test_several_inputs(self):
        a, b = self.simple(), self.clip("b.mkv", "-i", self.simple(), "-c", "copy")
        self.run_to(a, b, words=["2 inputs need a folder"])
        self.refused(veil("run", a, a, "-o", self.path("d") + "/"), "would both be written to")
        self.refused(veil("run", self.path("*.mov"), "-o", self.path("d") + "/"), "no file matches")

    def test_one_bad_of_several(self):
        bad = self.path("bad.mp4")
        with open(bad, "wb") as f:
            f.write(b"0" * 1000)
        r = veil("run", bad, self.simple(), "-o", self.path("d") + "/")
        self.assertEqual(r.status, 1)
        self.assertIn("1 of 2 inputs failed", r.err)
        self.assertEqual(os.listdir(self.path("d")), ["simple.mp4"])

    def test_interrupted(self):
        long = self.clip("long.mp4", "-f", "lavfi", "-i", "testsrc2=s=960x540:r=30:d=12", *X264)
        for number in (signal.SIGINT, signal.SIGTERM):
            out = self.path("out.mp4")
            p = subprocess.Popen([support.VEIL, "run", long, "-o", out, "--preset", "veryslow"],
                                 stderr=subprocess.PIPE)
            until = time.monotonic() + 20
            while not [n for n in os.listdir(self.dir) if ".part-" in n]:
                self.assertLess(time.monotonic(), until, "no part file appeared")
                time.sleep(0.02)
            time.sleep(0.3)
            p.send_signal(number)
            err = p.communicate(timeout=20)[1]
            self.assertEqual(p.returncode, 130, err)
            self.assertEqual(len(err.splitlines()), 1, err)
            self.assertEqual(os.listdir(self.dir), [])

    def test_interrupted_while_waiting(self):
        """A pipe that gives nothing does not keep it from ending."""
        out = self.path("out.mkv")
        with open(self.clip("part.ts", "-f", "lavfi", "-i", support.SRC, *X264), "rb") as f:
            whole = f.read()
        p = subprocess.Popen([support.VEIL, "run", "-", "-o", out], stdin=subprocess.PIPE,
                             stderr=subprocess.PIPE)
        p.stdin.write(whole)
        p.stdin.flush()
        time.sleep(2)
        p.send_signal(signal.SIGTERM)
        until = time.monotonic() + 10
        while p.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        ended = p.poll()
        p.kill()
        p.stdin.close()
        p.stderr.close()
        p.wait()
        self.assertEqual(ended, 130)
        self.assertEqual(os.listdir(self.dir), [])

    def test_damaged_packets(self):
        """Frames that a decoder makes of damaged data are hidden like others; none is skipped."""
        path = self.clip("whole.ts", "-f", "lavfi", "-i", support.SRC, *X264, "-g", "10")
        with open(path, "rb") as f:
            data = bytearray(f.read())
        for at in range(len(data) // 3, len(data) // 3 + 3000):
            if at % 188 > 20:
                data[at] = (data[at] * 7 + 13) & 255
        bad, out = self.path("bad.ts"), self.path("out.mp4")
        with open(bad, "wb") as f:
            f.write(data)
        r = veil("run", bad, "-o", out)
        self.assertIn(r.status, (0, 3), r.err)
        self.assertGreater(len(support.frame_times(out)), 40)


if __name__ == "__main__":
    unittest.main()
