"""veil explain: maps point at the person they explain, in pictures, clips and a labelled set; bad
input is refused. The clips come from `make fixtures-small`; without them those tests are skipped."""
import json
import os
import re
import struct
import unittest

from support import Case, ffmpeg, frame_times, stream, veil

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
FIXTURES = os.environ.get("VEIL_FIXTURES") or os.path.join(ROOT, "out", "fixtures")
CLIP = os.path.join(FIXTURES, "interview-360.mp4")
FRAME = 40


def read_npy(path):
    """Shape and float values of a little-endian float32 array."""
    with open(path, "rb") as f:
        data = f.read()
    assert data[:8] == b"\x93NUMPY\x01\x00"
    n = struct.unpack("<H", data[8:10])[0]
    head = eval(data[10:10 + n])  # a literal written by the program under test
    values = struct.unpack(f"<{(len(data) - 10 - n) // 4}f", data[10 + n:])
    assert head["descr"] == "<f4" and not head["fortran_order"] and (10 + n) % 64 == 0
    return head["shape"], values


class BadInput(Case):
    def refused(self, *args, status=2, says=""):
        r = veil("explain", *args)
        self.assertEqual(r.status, status, r.err)
        self.assertEqual(len(r.lines), 1, r.err)
        self.assertIn(says, r.err)

    def test_arguments(self):
        self.refused(says="no input")
        self.refused("a.png", says="no output")
        self.refused("a.png", "b.png", "-o", "c.png", says="one input")
        self.refused("a.png", "-o", "c.png", "--class", "host", says="--class is one of")
        self.refused("a.png", "-o", "c.png", "--method", "magic", says="--method is one of")
        self.refused("a.png", "-o", "c.png", "--patch", "7", says="--patch")
        self.refused("a.png", "-o", "c.png", "--colours", "grey", says="--colours is one of")
        self.refused("a.png", "-o", "c.png", "--dataset", ".", says="not both")
        self.refused("missing.png", "-o", self.path("c.png"), status=1, says="missing.png")
        self.refused("--dataset", self.dir, "-o", self.path("r.html"), status=1, says="train.jsonl")

    def test_no_face_and_no_overwriting(self):
        picture, out = self.path("flat.png"), self.path("out.png")
        ffmpeg("-f", "lavfi", "-i", "color=gray:s=320x240", "-frames:v", "1", picture)
        self.refused(picture, "-o", out, status=1, says="no face")
        self.assertFalse(os.path.exists(out))
        with open(out, "w") as f:
            f.write("mine")
        self.refused(picture, "-o", out, says="exists")
        with open(out) as f:
            self.assertEqual(f.read(), "mine")
        self.refused(picture, "-o", picture, "-y", says="both input and output")


@unittest.skipUnless(os.path.exists(CLIP) or os.environ.get("VEIL_FIXTURES"), "no fixtures")
class Faces(Case):
    def setUp(self):
        super().setUp()
        self.picture = self.clip("frame.png", "-i", CLIP, "-vf", f"select=eq(n\\,{FRAME})",
                                 "-frames:v", "1")
        with open(CLIP.replace(".mp4", ".jsonl")) as f:
            self.faces = [json.loads(l) for l in f][FRAME]["faces"]

    def explain(self, *args):
        r = veil("explain", *args, "--size", "640x384")
        self.assertEqual(r.status, 0, r.err)
        return r

    def test_picture(self):
        png, npy, js = self.path("o.png"), self.path("o.npy"), self.path("o.json")
        self.explain(self.picture, "-o", png, "--npy", npy, "--json", js)
        with open(js) as f:
            found = json.load(f)
        self.assertGreater(stream(png)["width"], 3 * 420)  # the picture and both maps
        chosen = found["faces"][found["face"] - 1]["box"]
        speaker = next(f["box"] for f in self.faces if f["class"] == "interview")
        self.assertLess(abs(chosen[0] + chosen[2] / 2 - speaker[0] - speaker[2] / 2), speaker[2] / 3)
        (n, h, w), values = read_npy(npy)
        self.assertEqual((n, h, w), (2, found["height"], found["width"]))
        x, y, fw, fh = chosen
        for k, m in enumerate(found["maps"]):
            here = values[k * h * w:(k + 1) * h * w]
            self.assertGreaterEqual(min(here), 0)
            self.assertAlmostEqual(max(here), m["peak"], delta=0.1 * m["peak"])
            self.assertEqual(m["layer_size"][0] * 8, 640)
            if m["class"] == "interview":
                # most of it on the speaker: three face widths, down to the lower edge
                mine = sum(v for i, v in enumerate(here)
                           if x - fw < i % w < x + 2 * fw and i // w > y - fh / 2)
                area = 3 * fw * (h - y + fh / 2) / (w * h)
                self.assertGreater(mine / sum(here), max(0.6, 1.2 * area))
        self.assertAlmostEqual(found["maps"][0]["logit"], -found["maps"][1]["logit"], places=4)

    def test_methods_differ_and_repeat(self):
        maps = {}
        for method in ("hirescam", "gradcam", "gradcam++", "eigencam", "hirescam"):
            npy = self.path(method + ".npy")
            self.explain(self.picture, "--npy", npy, "--method", method, "--class", "interview", "-y")
            values = read_npy(npy)[1]
            if method in maps:
                self.assertEqual(maps[method], values)
            self.assertNotIn(values, [v for k, v in maps.items() if k != method])
            maps[method] = values
        x, y, w, h = map(round, next(f["box"] for f in self.faces if f["class"] == "interview"))
        gx, gy, gw, gh = x - w // 2, y - h // 2, 2 * w, 2 * h
        r = self.explain(self.picture, "--json", "-", "--grey", f"{gx},{gy},{gw},{gh}")
        boxes = [f["box"] for f in json.loads(r.out)["faces"]]
        found = [(b[0] + b[2] / 2, b[1] + b[3] / 2) for b in boxes]
        self.assertGreater(len(found), 3)
        for cx, cy in found:  # who is greyed is not found
            self.assertFalse(gx < cx < gx + gw and gy < cy < gy + gh, f"a face at {cx:.0f}, {cy:.0f}")
        r = veil("explain", self.picture, "--npy", self.path("x.npy"), "--grey", "1,2,3")
        self.assertIn("--grey takes", r.err)
        r = veil("explain", self.picture, "--npy", self.path("x.npy"), "--layer", "none such")
        self.assertEqual(r.status, 1)
        self.assertIn("no such layer", r.err)
        r = veil("explain", self.picture, "--npy", self.path("x.npy"), "--face", "99")
        self.assertIn("none is 99", r.err)

    def test_clip(self):
        src, out = self.path("in.mp4"), self.path("out.mp4")
        ffmpeg("-i", CLIP, "-frames:v", "12", "-c:v", "libx264", "-preset", "ultrafast", "-an", src)
        r = self.explain(src, "-o", out)
        self.assertIn(b"12 frames", r.out)
        self.assertEqual(frame_times(out), frame_times(src))
        grey = []
        for path in (src, out):
            raw = self.path("raw")
            ffmpeg("-i", path, "-vf", "select=eq(n\\,6),scale=64:36,format=rgb24", "-frames:v", "1",
                   "-f", "rawvideo", raw)
            with open(raw, "rb") as f:
                p = f.read()
            grey.append(sum(max(p[i:i + 3]) - min(p[i:i + 3]) for i in range(0, len(p), 3)))
        self.assertLess(grey[1], 0.8 * grey[0])  # what is no evidence is drawn nearly grey

    def test_dataset(self):
        entry = {"image": "frame.png", "split": "test", "labelled": True, "doubtful": False,
                 "width": 640, "height": 360,
                 "faces": [{"box": f["box"], "ignore": False, "class": f["class"]}
                           for f in self.faces if f["occluded"] < 0.3]}
        os.symlink(self.picture, self.path("frame.png"))
        with open(self.path("train.jsonl"), "w") as f:
            f.write(json.dumps(entry) + "\n" + json.dumps({**entry, "split": "train"}) + "\n")
        js, html = self.path("r.json"), self.path("r.html")
        self.explain("--dataset", self.dir, "-o", html, "--json", js, "--check", "--check-faces", "1")
        with open(js) as f:
            r = json.load(f)
        self.assertEqual(r["pictures"], 1)
        self.assertGreaterEqual(r["faces"], 3)
        groups = [g for g in r["groups"].values() if g["faces"]]
        self.assertEqual(sum(g["faces"] for g in groups), r["faces"])
        for g in groups:
            self.assertAlmostEqual(sum(g["evidence"].values()), 1, places=5)
            self.assertAlmostEqual(sum(g["area"].values()), 1, places=5)
        speaker = r["groups"]["interview, rightly"]
        self.assertEqual(speaker["faces"], 1)
        self.assertAlmostEqual(speaker["deeds"]["mirrored"]["before"], speaker["p_interview"], places=5)
        check = r["check"]["interview"]["maps"]
        self.assertLess(check["hirescam"]["deletion"], 0.7 * check["random"]["deletion"])
        self.assertLess(r["check"]["randomised"][-1]["correlation"], 0.9)
        with open(html) as f:
            page = f.read()
        words, n = re.subn("data:image/png;base64,[A-Za-z0-9+/=]{1000,}", "", page)
        self.assertGreaterEqual(n, 3)
        self.assertFalse(re.search("<script|[^a-z]nan[^a-z]", words))


if __name__ == "__main__":
    unittest.main()
