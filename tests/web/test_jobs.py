#!/usr/bin/env python3
"""Uploads: pictures and a video come back hidden, with a report; cancel, ranges, limits, deletion."""
import json
import os
import subprocess
import unittest

from support import Case, Picture, ffmpeg, need_clip, until

OCTETS = {"Content-Type": "application/octet-stream"}


class Jobs(Case):
    args = ("--max-jobs", "3")

    @classmethod
    def prepare(cls):
        cls.clip = need_clip("interview-360.mp4")
        with open(need_clip("interview-360.jsonl")) as f:
            cls.truth = json.loads(f.readline())["faces"]
        cls.png = os.path.join(cls.dir, "frame.png")
        ffmpeg("-i", cls.clip, "-frames:v", "1", cls.png)

    def setUp(self):
        for job in self.ok(self.server.json("GET", "/jobs"))["jobs"]:
            self.server.json("DELETE", f"/jobs/{job['id']}")
        # what was running counts until it has ended
        until(lambda: os.listdir(os.path.join(self.server.data, "jobs")) == [], "all is deleted")

    def upload(self, path, query="", kind=OCTETS):
        with open(path, "rb") as f:
            status, _, body = self.server.request("POST", "/jobs?name=" + query, f.read(), kind)
        self.assertEqual(status, 201, body)
        return json.loads(body)["id"]

    def ended(self, number):
        return until(lambda: (j := self.ok(self.server.json("GET", f"/jobs/{number}")))["state"]
                     not in ("waiting", "running") and j, "it ended")

    def result(self, number):
        status, headers, data = self.server.request("GET", f"/jobs/{number}/result")
        self.assertEqual(status, 200)
        self.assertIn("attachment", headers["Content-Disposition"])
        return headers["Content-Type"], data

    def test_picture(self):
        number = self.upload(self.png, "my%20face.png&style=solid")
        job = self.ended(number)
        self.assertEqual((job["state"], job["name"]), ("done", "my face.png"))
        self.assertEqual((job["result"]["width"], job["result"]["height"]), (640, 360))
        kind, data = self.result(number)
        self.assertEqual(kind, "image/png")
        before, after = Picture(self.png), Picture(data)
        seen = 0
        for face in self.truth:
            x, y, w, h = face["box"]
            box = (x / 640, y / 360, w / 640, h / 360)
            if face["occluded"] or w < 30 or before.detail(box) < 3:
                continue
            seen += 1
            self.assertLess(after.detail(box), 0.3 * before.detail(box), face)
        self.assertGreater(seen, 2)
        same = sum(a == b for a, b in zip(before.pixels, after.pixels))
        self.assertGreater(same, 0.2 * len(before.pixels), "what is no face stays as it is")
        report = self.ok(self.server.json("GET", f"/jobs/{number}/report"))
        self.assertEqual((report["frames"], report["input"]), (1, "my face.png"))
        self.assertGreaterEqual(report["boxes_hidden"], seen)
        # the upload is gone, the result goes when it is told to
        files = os.listdir(os.path.join(self.server.data, "jobs"))
        self.assertEqual([f for f in files if f.endswith(".in")], [])
        self.assertTrue(any(f.startswith(number) for f in files))
        self.ok(self.server.json("DELETE", f"/jobs/{number}"), 204)
        files = os.listdir(os.path.join(self.server.data, "jobs"))
        self.assertEqual([f for f in files if f.startswith(number)], [])
        for part in ("", "/result", "/report"):
            self.assertEqual(self.server.request("GET", f"/jobs/{number}{part}")[0], 404)

    def test_video_and_ranges(self):
        number = self.upload(self.clip, "clip.mp4", {"Content-Type": "video/mp4"})
        job = self.ended(number)
        self.assertEqual(job["state"], "done", job)
        probe = json.loads(subprocess.run(["ffprobe", "-v", "error", "-count_frames",
                                           "-show_streams", "-of", "json", self.clip],
                                          stdout=subprocess.PIPE, check=True).stdout)["streams"]
        kind, data = self.result(number)
        self.assertEqual(kind, "video/mp4")
        path = os.path.join(self.dir, "result.mp4")
        with open(path, "wb") as f:
            f.write(data)
        after = json.loads(subprocess.run(["ffprobe", "-v", "error", "-count_frames",
                                           "-show_streams", "-of", "json", path],
                                          stdout=subprocess.PIPE, check=True).stdout)["streams"]
        key = lambda s: (s["codec_type"], s.get("nb_read_frames"), s.get("width"))
        self.assertEqual(sorted(map(key, after)), sorted(map(key, probe)))
        self.assertEqual(job["result"]["frames"], int(probe[0]["nb_read_frames"]))
        self.assertEqual(job["result"]["covered"], 0)
        url = f"/jobs/{number}/result"
        for text, part in (("bytes=0-99", data[:100]), ("bytes=100-", data[100:]),
                           ("bytes=-50", data[-50:]), ("bytes=5-5", data[5:6])):
            status, headers, got = self.server.request("GET", url, headers={"Range": text})
            self.assertEqual((status, got), (206, part), text)
            self.assertTrue(headers["Content-Range"].endswith(f"/{len(data)}"))
        status, _, _ = self.server.request("GET", url, headers={"Range": f"bytes={len(data)}-"})
        self.assertEqual(status, 416)
        for odd in ("bytes=9-2", "bytes=a-b", "bytes=0-1,3-4", "lines=1-2", "bytes=--5"):
            status, _, got = self.server.request("GET", url, headers={"Range": odd})
            self.assertEqual((status, got), (200, data), odd)

    def test_queue_cancel_and_limits(self):
        long = os.path.join(self.dir, "long.mp4")
        ffmpeg("-stream_loop", "20", "-i", self.clip, "-c", "copy", "-an", long)
        numbers = [self.upload(long, "long.mp4")]
        until(lambda: self.ok(self.server.json("GET", f"/jobs/{numbers[0]}"))["frames"] > 0, "runs")
        self.assertEqual(self.server.request("GET", f"/jobs/{numbers[0]}/result")[0], 409)
        numbers += [self.upload(long) for _ in range(3)]
        with open(self.png, "rb") as f:
            status, _, _ = self.server.request("POST", "/jobs", f.read(), OCTETS)
        self.assertEqual(status, 503)
        self.assertEqual(len(self.ok(self.server.json("GET", "/jobs"))["jobs"]), 4)
        for number in numbers:
            self.ok(self.server.json("DELETE", f"/jobs/{number}"), 204)
        until(lambda: os.listdir(os.path.join(self.server.data, "jobs")) == [], "all is deleted")
        number = self.upload(self.png)
        self.assertEqual(self.ended(number)["state"], "done")

    def test_wrong_files(self):
        wrong = os.path.join(self.dir, "wrong")
        with open(self.png, "rb") as f:
            start = f.read()[:3000]
        for data in (start, b"\x00" * 5000, b"RIFF\x00\x00\x00\x00AVI LIST", os.urandom(4000)):
            with open(wrong, "wb") as f:
                f.write(data)
            job = self.ended(self.upload(wrong, "wrong.mp4"))
            if job["state"] == "done":  # a picture that was cut off may be shown as far as it goes
                self.assertEqual(data, start)
                continue
            self.assertTrue(job["problem"])
            self.assertNotIn(self.server.data, job["problem"])
        for query in ("x&style=none", "x&keep=everybody", "x&shape="):
            status, _, _ = self.server.request("POST", "/jobs?name=" + query, start, OCTETS)
            self.assertEqual(status, 422, query)

    def test_explain_sends_maps_only(self):
        with open(self.png, "rb") as f:
            status, _, body = self.server.request("POST", "/explain", f.read(), OCTETS)
        self.assertEqual(status, 200, body[:200])
        got = json.loads(body)
        self.assertEqual((got["width"], got["height"]), (640, 360))
        self.assertGreater(len(got["faces"]), 0)
        import base64
        box = max(self.truth, key=lambda f: f["box"][2] * f["box"][3])["box"]
        first = got["faces"][0]["box"]
        self.assertLess(abs(first[0] * 640 - box[0]), box[2] / 2)
        for face in got["faces"]:
            self.assertEqual([m["class"] for m in face["maps"]], ["interview", "background"])
            for m in face["maps"]:
                picture = Picture(base64.b64decode(m["png"]))
                self.assertEqual((picture.width, picture.height), (320, 180))
        self.assertEqual(self.server.request("POST", "/explain", b"no picture", OCTETS)[0], 422)
        self.assertEqual(self.server.request("POST", "/explain", b"", OCTETS)[0], 400)
        # the last one goes when its connection has had the answer
        left = lambda: [f for f in os.listdir(os.path.join(self.server.data, "jobs")) if f.endswith(".picture")]
        until(lambda: not left(), "pictures are gone")


if __name__ == "__main__":
    unittest.main()
