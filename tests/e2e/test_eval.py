"""veil eval: the same figures from every kind of labels, from tracks and from pixels; WIDER lists;
bad input."""
import json
import os
import unittest

from support import Case, ffmpeg, raw_frame, stream, veil

# Ten frames of 40 ms: speaker 1, bystanders 2 and 3. Bystander 2 is lost in frames 3 and 4; the
# speaker is hidden by mistake in frame 8.
N, BOXES = 10, {1: [100, 20, 80, 100], 2: [10, 10, 40, 50], 3: [250, 30, 16, 20]}
LEAK, MISTAKE = (3, 4), (8,)


def tracks(skip=()):
    yield {"veil": "0", "width": 320, "height": 240}
    for n in range(N):
        here = [{"id": 10 + i, "box": box, "score": 0.9, "interview": 0.5, "reason": "class",
                 "decision": "hide" if i != 1 or n in MISTAKE else "keep"}
                for i, box in BOXES.items() if not (i == 2 and n in LEAK)]
        if n not in skip:
            yield {"frame": n, "pts": n / 25, "tracks": here, "latency_ms": 1 + n}


def json_labels():
    for n in range(N):
        yield {"frame": n, "pts": n / 25,
               "faces": [{"id": i, "class": "interview" if i == 1 else "background", "box": box,
                          "occluded": 0} for i, box in BOXES.items()]}


def mot_labels():
    for n in range(N):
        for i, (x, y, w, h) in BOXES.items():
            yield f"{n + 1},{i},{x},{y},{w},{h},1,{2 if i == 1 else 1},1.0"


def cvat_labels():
    yield "<?xml version=\"1.0\"?><annotations><meta><task><size>10</size></task></meta>"
    for i, (x, y, w, h) in BOXES.items():
        yield f"<track id=\"{i}\" label=\"{'interview' if i == 1 else 'background'}\">"
        for n in (0, N - 1):  # what lies between is filled in
            yield (f"<box frame=\"{n}\" outside=\"0\" occluded=\"0\" xtl=\"{x}\" ytl=\"{y}\" "
                   f"xbr=\"{x + w}\" ybr=\"{y + h}\"></box>")
        yield "</track>"
    yield "</annotations>"


class Eval(Case):
    def write(self, name, lines):
        path = self.path(name)
        with open(path, "w") as f:
            f.writelines((l if isinstance(l, str) else json.dumps(l)) + "\n" for l in lines)
        return path

    def figures(self, *args, status=0):
        r = self.good(veil("eval", "video", "--json", "-", *args), status)
        return json.loads(r.out)

    def test_labels_of_every_kind(self):
        result = self.write("tracks.jsonl", tracks())
        seen = []
        for name, lines in (("a.jsonl", json_labels()), ("gt.txt", mot_labels()),
                            ("a.xml", cvat_labels())):
            f = self.figures("--truth", self.write(name, lines), "--result", result)
            self.assertEqual((f["frames"], f["bystander_faces"], f["bystander_faces_hidden"]),
                             (10, 20, 18), name)
            self.assertEqual((f["big_faces"], f["big_faces_hidden"]), (10, 8))
            self.assertAlmostEqual(f["longest_leak_ms"], 80, 3)
            self.assertAlmostEqual(f["exposed_per_minute"], 2 / (0.4 / 60), 3)
            self.assertEqual((f["speaker_faces"], f["speaker_faces_hidden"]), (10, 1))
            self.assertEqual(f["id_switches"], 0)
            self.assertEqual(f["latency_ms"], {"p50": 5, "p95": 10, "p99": 10})
            self.assertEqual([(l["id"], l["first"], l["last"]) for l in f["leaks"]], [(2, 3, 4)])
            seen.append(f)
        self.assertEqual(seen[0], seen[1])
        self.assertEqual(seen[0], seen[2])

    def test_missing_and_covered_frames(self):
        truth = self.write("a.jsonl", json_labels())
        f = self.figures("--truth", truth, "--result", self.write("t.jsonl", tracks(skip=(5,))))
        self.assertEqual((f["missing_frames"], f["bystander_faces_hidden"]), (1, 16))
        lines = list(tracks())
        for line in lines[1:]:
            line["covered"] = "error"
        f = self.figures("--truth", truth, "--result", self.write("c.jsonl", lines))
        self.assertEqual((f["covered_frames"], f["bystander_faces_hidden"]), (10, 20))
        self.assertEqual(f["speaker_faces_hidden"], 10)

    def test_strict(self):
        truth, result = self.write("a.jsonl", json_labels()), self.write("t.jsonl", tracks())
        r = veil("eval", "video", "--truth", truth, "--result", result, "--strict")
        self.assertEqual(r.status, 1)
        self.assertIn("exposed", r.lines[-1])
        self.good(veil("eval", "video", "--truth", truth, "--result", result, "--strict", "--big",
                       "60"))

    def two_clips(self):
        """A noisy clip, and the same with bystander 2 painted over but for frames 3 and 4."""
        a = self.clip("noise.mkv", "-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=0.4", "-vf",
                      "noise=alls=60:all_seed=7", "-pix_fmt", "yuv420p", "-c:v", "ffv1")
        boxes = ",".join(f"drawbox=x={x}:y={y}:w={w}:h={h}:t=fill:color=gray:enable='{when}'"
                         for (x, y, w, h), when in ((BOXES[2], "not(between(n,3,4))"),
                                                    (BOXES[3], "1"), (BOXES[1], "eq(n,8)")))
        b = self.clip("painted.mkv", "-i", a, "-vf", boxes, "-pix_fmt", "yuv420p", "-c:v", "ffv1")
        return a, b

    def test_pixels_give_the_same(self):
        a, b = self.two_clips()
        truth, page = self.write("a.jsonl", json_labels()), self.path("report.html")
        f = self.figures("--truth", truth, "--original", a, "--redacted", b, "--html", page)
        self.assertEqual((f["bystander_faces"], f["bystander_faces_hidden"]), (20, 18))
        self.assertEqual((f["speaker_faces"], f["speaker_faces_hidden"]), (10, 1))
        self.assertEqual([(l["id"], l["first"], l["last"]) for l in f["leaks"]], [(2, 3, 4)])
        with open(page) as file:
            html = file.read()
        self.assertEqual(html.count("<img src=\"data:image/png;base64,"), 1)
        self.assertIn("80 ms, frames 3 to 4", html)
        self.assertEqual(html.count("fill=\"#d7263d\"/>"), 1)  # one red bar
        same = self.figures("--truth", truth, "--original", a, "--redacted", a)
        self.assertEqual(same["bystander_faces_hidden"], 0)
        self.assertEqual(same["speaker_faces_hidden"], 0)

    def test_bad_input(self):
        truth, result = self.write("a.jsonl", json_labels()), self.write("t.jsonl", tracks())
        self.refused(veil("eval", "video"), "--truth", status=2)
        self.refused(veil("eval", "films"), "films", status=2)
        self.refused(veil("eval", "video", "--truth", truth), "--result", status=2)
        self.refused(veil("eval", "video", "--truth", truth, "--result", result, "--fsp", "3"),
                     "--fsp", status=2)
        self.refused(veil("eval", "video", "--truth", truth, "--result", result, "--fps", "x"),
                     "--fps", status=2)
        for name, text, word in (
                ("cut.jsonl", "{\"frame\":0,\"faces\":[]}\n{\"frame\":1,", "cut.jsonl:2"),
                ("class.jsonl", "{\"frame\":0,\"faces\":[{\"id\":1,\"class\":\"cat\",\"box\":"
                                "[1,2,3,4]}]}", "class"),
                ("back.jsonl", "{\"frame\":3,\"faces\":[]}\n{\"frame\":2,\"faces\":[]}", "rise"),
                ("gt.txt", "1,1,10,10,20,20,1,1,1\n2,1,here\n", "gt.txt:2"),
                ("far.txt", "99999999,1,10,10,20,20\n", "far.txt:1"),
                ("cut.xml", "<annotations><track id=\"1\" label=\"background\">", "cut.xml"),
                ("box.xml", "<annotations><track id=\"1\" label=\"background\"><box frame=\"-4\" "
                            "xtl=\"1\" ytl=\"1\" xbr=\"2\" ybr=\"2\"/></track></annotations>",
                 "track 1"),
                ("empty.jsonl", "", "no labelled frame")):
            self.refused(veil("eval", "video", "--truth", self.write(name, [text]), "--result",
                              result), word, status=1)
        self.refused(veil("eval", "video", "--truth", truth, "--result", "nowhere.jsonl"),
                     "nowhere.jsonl", status=1)
        self.refused(veil("eval", "wider", "--data", self.dir, "--size", "7"), "--size", status=2)
        self.refused(veil("eval", "wider", "--data", self.dir), "wider_face_val.mat", status=1)
        self.refused(veil("eval", "subject", "--data", self.dir), "train.jsonl", status=1)


class Wider(Case):
    """A made-up WIDER FACE of two events; one picture of three is missing."""

    def data(self):
        import numpy as np
        from scipy.io import savemat

        def cells(items):
            out = np.empty((len(items), 1), dtype=object)
            for i, item in enumerate(items):
                out[i, 0] = item
            return out

        names = [["0_A_1", "0_A_2"], ["1_B_1"]]
        boxes = [[[[10, 10, 40, 40], [100, 20, 30, 36], [200, 50, 10, 10]], [[5, 5, 9, 9]]],
                 [[[60, 60, 50, 60], [150, 60, 50, 60]]]]
        keeps = {"easy": [[[1], [1]], [[2]]], "medium": [[[1, 2], [1]], [[1, 2]]],
                 "hard": [[[1, 2, 3], [1]], [[1, 2]]]}
        os.makedirs(self.path("eval"))
        truth = {"event_list": cells(["0--A", "1--B"]),
                 "file_list": cells([cells(n) for n in names]),
                 "face_bbx_list": cells([cells([np.array(p, float) for p in e]) for e in boxes]),
                 "invalid_label_list": cells([cells([np.zeros((len(p), 1), np.uint8) for p in e])
                                              for e in boxes])}
        savemat(self.path("eval/wider_face_val.mat"), truth)
        for name, keep in keeps.items():
            savemat(self.path(f"eval/wider_{name}_val.mat"),
                    {"gt_list": cells([cells([np.array([k], np.uint16).T for k in e])
                                       for e in keep])})
        for event, name in (("0--A", "0_A_1"), ("1--B", "1_B_1")):
            folder = self.path("val/images/" + event)
            os.makedirs(folder)
            ffmpeg("-f", "lavfi", "-i", "color=gray:s=320x240", "-frames:v", "1",
                   f"{folder}/{name}.png")

    def run_wider(self, text):
        with open(self.path("boxes.txt"), "w") as f:
            f.write(text)
        r = self.good(veil("eval", "wider", "--data", self.dir, "--detections",
                           self.path("boxes.txt"), "--json", "-", "--plot", self.path("p.png"),
                           "--misses", self.path("m.png")))
        for name, size in (("p.png", (900, 700)), ("m.png", (1280, 710))):
            seen = stream(self.path(name))
            self.assertEqual((seen["width"], seen["height"]), size)
        return json.loads(r.out)

    def test_ap(self):
        try:
            self.data()
        except ImportError:
            self.skipTest("needs numpy and scipy to write MATLAB files")
        perfect = ("0--A/0_A_1.jpg\n3\n10 10 40 40 0.9\n100 20 30 36 0.8\n200 50 10 10 0.7\n"
                   "1--B/1_B_1.jpg\n2\n60 60 50 60 0.9\n150 60 50 60 0.2\n")
        f = self.run_wider(perfect)
        self.assertEqual(f["pictures"], 2)
        self.assertEqual(f["ap"], {"easy": 1, "medium": 1, "hard": 1})
        heights = [(b["faces"], b["found"]) for b in f["recall_by_height"][1]]
        self.assertEqual(heights, [(1, 1), (0, 0), (0, 0), (2, 2), (2, 2)])
        self.assertEqual(set(raw_frame(self.path("m.png"))), {255})  # nothing missed: an empty sheet
        # Without the second picture, whose faces still count: easy 1 of 2, medium 2 of 4, hard 3 of 5.
        f = self.run_wider(perfect[:perfect.index("1--B")])
        for name, want in (("easy", 1 / 2), ("medium", 2 / 4), ("hard", 3 / 5)):
            self.assertAlmostEqual(f["ap"][name], want, 5)
        row = raw_frame(self.path("m.png"))[64 * 1280:65 * 1280]  # two faces missed: two cells
        self.assertNotIn(255, row[:256])
        self.assertEqual(set(row[256:]), {255})
        self.refused(veil("eval", "wider", "--data", self.dir, "--detections",
                          self.path("eval/wider_face_val.mat")), "wider_face_val.mat", status=1)


if __name__ == "__main__":
    unittest.main()
