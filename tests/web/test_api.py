#!/usr/bin/env python3
"""The HTTP interface as a program uses it: state, settings, zones, a clip as live source, decisions
and the pixels that come of them, outputs, events, restart."""
import base64
import http.client
import json
import os
import re
import socket
import stat
import struct
import subprocess
import time
import unittest

import yaml

from support import Case, Picture, Server, ROOT, ffmpeg, need_clip, until


def nal_types(mdat):
    """Kinds of the parts of an H.264 frame, each with its length before it."""
    kinds = []
    while mdat:
        size = struct.unpack_from(">I", mdat)[0]
        kinds.append(mdat[4] & 31)
        mdat = mdat[4 + size:]
    return kinds


def tfdt(moof):
    """Time of a fragment in s."""
    at = moof.index(b"tfdt")
    return struct.unpack_from(">Q" if moof[at + 4] == 1 else ">I", moof, at + 8)[0] / 90000


class Basics(Case):
    def test_health_and_description(self):
        self.assertEqual(self.ok(self.server.json("GET", "/health")), {"status": "ok"})
        status, headers, text = self.server.request("GET", "/api")
        with open(os.path.join(ROOT, "docs", "openapi.yaml"), "rb") as f:
            self.assertEqual(text, f.read())
        self.assertIn("yaml", headers["Content-Type"])

    def test_description_and_server_agree(self):
        """Each path and method of the description is there, and no other method."""
        with open(os.path.join(ROOT, "docs", "openapi.yaml")) as f:
            text = f.read()
        whole = yaml.safe_load(text)
        for ref in re.findall(r'"#/(\S+)"', text):
            at = whole
            for part in ref.split("/"):
                at = at[part]
        paths = {path: {m.upper() for m in methods if m != "parameters"}
                 for path, methods in whole["paths"].items()}
        for path, methods in whole["paths"].items():
            self.assertEqual("{id}" in path, "parameters" in methods, path)
            for operation in [o for m, o in methods.items() if m != "parameters"]:
                self.assertTrue(operation["summary"] and operation["responses"], path)
        self.assertGreater(len(paths), 15)
        for path, methods in paths.items():
            status, headers, _ = self.server.request("OPTIONS", path.replace("{id}", "1"))
            self.assertEqual(status, 204, path)
            allowed = set(headers["Allow"].split(", ")) - {"HEAD", "OPTIONS"}
            self.assertEqual(allowed, methods, path)

    def test_page(self):
        total = 0
        status, headers, html = self.server.request("GET", "/")
        self.assertEqual(status, 200)
        names = re.findall(rb'(?:src|href)="(/[a-z.]+)"', html)
        scripts = {b"/app.js"}
        todo = [b"/app.js"]
        while todo:
            code = self.server.request("GET", todo.pop().decode())[2]
            for name in re.findall(rb"from '\.(/[a-z]+\.js)'", code):
                if name not in scripts:
                    scripts.add(name)
                    todo.append(name)
        for name in {b"/"} | scripts | {n for n in names if n != b"/api" and n != b"/snapshot"}:
            status, headers, body = self.server.request("GET", name.decode())
            self.assertEqual(status, 200, name)
            self.assertIn("default-src 'none'", headers["Content-Security-Policy"])
            self.assertNotIn("unsafe", headers["Content-Security-Policy"])
            self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
            total += len(body)
            self.assertEqual(self.server.request("GET", name.decode(), headers={
                "If-None-Match": headers["ETag"]})[0], 304)
        self.assertLess(total, 150000)
        self.assertNotRegex(html, rb"<script(?![^>]*src=)")
        self.assertNotRegex(html, rb"\son[a-z]+=|style=|https?://")

    def test_methods(self):
        status, headers, body = self.server.request("HEAD", "/state")
        self.assertEqual((status, body), (200, b""))
        status, headers, _ = self.server.request("DELETE", "/state")
        self.assertEqual((status, headers["Allow"]), (405, "GET, HEAD, OPTIONS"))
        self.problem(self.server.json("GET", "/nothing"), 404)
        self.problem(self.server.json("GET", "/jobs/abc/extra"), 404)
        self.assertEqual(self.server.request("BREW", "/state")[0], 501)

    def test_config(self):
        before = self.ok(self.server.json("GET", "/config"))
        self.assertEqual(before["keep"], "auto")
        self.assertEqual(before["style"], "blur")
        bad = [{"style": "none"}, {"style": "image"}, {"style": 3}, {"keep": "all"},
               {"padding": -1}, {"padding": "1"}, {"padding": 1e300}, {"detect_every": 1.5},
               {"fill": "red"}, {"fill": "#12345"}, {"unknown": 1}, {"cells": None},
               {"cells": 4, "hold_ms": 5}, {"min_score": 0.2, "low_score": 0.3}]
        for patch in bad:
            self.problem(self.server.json("PATCH", "/config", patch), 422)
        self.assertEqual(self.ok(self.server.json("GET", "/config")), before)
        after = self.ok(self.server.json("PATCH", "/config", {"cells": 3, "fill": "#a0B1c2"}))
        self.assertEqual((after["cells"], after["fill"]), (3, "#a0b1c2"))
        self.ok(self.server.json("POST", "/undo"))
        self.assertEqual(self.ok(self.server.json("GET", "/config")), before)

    def test_zones(self):
        zone = {"x": 0.1, "y": 0.2, "w": 0.25, "h": 0.5, "decision": "hide"}
        one = self.ok(self.server.json("POST", "/zones", zone), 201)["id"]
        two = self.ok(self.server.json("POST", "/zones", {**zone, "decision": "keep"}), 201)["id"]
        self.assertNotEqual(one, two)
        for bad in [{**zone, "x": -0.1}, {**zone, "w": 0}, {**zone, "decision": "auto"},
                    {**zone, "h": "all"}, {"x": 0.1}, {**zone, "y": 2}]:
            self.problem(self.server.json("POST", "/zones", bad), 422)
        listed = self.ok(self.server.json("GET", "/zones"))["zones"]
        self.assertEqual([z["id"] for z in listed], [one, two])
        self.assertAlmostEqual(listed[0]["w"], 0.25)
        self.ok(self.server.json("DELETE", f"/zones/{one}"), 204)
        self.problem(self.server.json("DELETE", f"/zones/{one}"), 404)
        self.ok(self.server.json("POST", "/undo"))
        self.assertEqual([z["id"] for z in self.ok(self.server.json("GET", "/zones"))["zones"]],
                         [one, two])
        self.ok(self.server.json("PUT", "/zones", {"zones": []}))
        self.assertEqual(self.ok(self.server.json("GET", "/zones"))["zones"], [])
        many = {"zones": [zone] * 65}
        self.problem(self.server.json("PUT", "/zones", many), 422)

    def test_sources_are_named_not_paths(self):
        bad = [{"url": "file:///etc/passwd"}, {"url": "concat:/etc/passwd|/etc/group"},
               {"url": "/etc/passwd"}, {"url": "subfile,,start,0,end,9,,:/etc/passwd"},
               {"url": "rtmp://host/app playpath=x"}, {"url": "data:text/plain,x"},
               {"url": "http://"}, {"url": "rtsp://a\nb"}, {"file": "../secret"},
               {"file": "/etc/passwd"}, {"file": ".hidden"}, {"device": "/etc/passwd"},
               {"device": "/dev/null"}, {"browser": "text/html"}, {}, {"file": 3},
               {"file": "a", "url": "rtsp://x/"}, {"again": True}]
        for body in bad:
            self.problem(self.server.json("POST", "/sources", body), 422)
        self.assertFalse(self.server.state()["running"])
        for body in [{"url": "file:///tmp/x.ts"}, {"url": "/tmp/x.ts"}, {}, {"url": "pipe:1"},
                     {"url": "tee:x"}, {"url": "rtmp://a/b", "record": True},
                     {"record": True, "format": "../../x"}]:
            self.problem(self.server.json("POST", "/outputs", body), 422)
        self.assertEqual(self.ok(self.server.json("GET", "/outputs"))["outputs"], [])
        self.problem(self.server.json("GET", "/snapshot"), 409)
        self.problem(self.server.json("POST", "/explain/live"), 409)

    def test_metrics(self):
        status, headers, text = self.server.request("GET", "/metrics")
        self.assertEqual(status, 200)
        values = dict(re.findall(r"^(veil_\w+) (\S+)$", text.decode(), re.M))
        self.assertEqual(values["veil_live"], "0")
        self.assertGreater(float(values["veil_http_requests_total"]), 0)
        for line in text.decode().splitlines():
            self.assertRegex(line, r"^(# (HELP|TYPE) veil_\w+ .+|veil_\w+(\{.*\})? \S+)$")


class Live(Case):
    """A clip that goes on for long, without a cut, in 360 lines."""

    @classmethod
    def prepare(cls):
        there_and_back = os.path.join(cls.dir, "once.mp4")
        clip = os.path.join(cls.dir, "clip.mp4")
        ffmpeg("-i", need_clip("interview-360.mp4"), "-filter_complex",
               "[0:v]split[a][b];[b]reverse[c];[a][c]concat", "-an", "-c:v", "libx264", "-preset",
               "ultrafast", "-g", "30", there_and_back)
        ffmpeg("-stream_loop", "30", "-i", there_and_back, "-c", "copy", clip)
        os.remove(there_and_back)
        os.symlink("/etc/passwd", os.path.join(cls.dir, "link.mp4"))
        cls.args = ("--media", cls.dir)

    def setUp(self):
        self.ok(self.server.json("PATCH", "/config", {"keep": "chosen"}))
        if not self.server.state()["running"]:
            self.ok(self.server.json("POST", "/sources", {"file": "clip.mp4"}), 202)
        until(lambda: self.server.state()["lamp"] == "protecting", "protecting")

    def tracks(self):
        return self.ok(self.server.json("GET", "/tracks"))["tracks"]

    def largest(self):
        return max(until(self.tracks, "faces"), key=lambda t: t["w"] * t["h"])

    def snapshot(self):
        def get():
            status, headers, data = self.server.request("GET", "/snapshot")
            return data if status == 200 else None
        data = until(get, "a snapshot")
        self.assertEqual(data[:3], b"\xff\xd8\xff")
        return Picture(data)

    def decided(self, decision):
        """Decides about the largest face. One that was lost and found has a new number: once more."""
        def get():
            track = self.largest()["id"]
            if self.server.json("PUT", f"/tracks/{track}", {"decision": decision})[0] != 200:
                return None
            done = lambda: any(t["id"] == track and t["decision"] == decision for t in self.tracks())
            for _ in range(40):
                if done():
                    return track
                time.sleep(0.05)
            return None
        return until(get, "the largest face: " + decision)

    def detail(self):
        """Of the largest face, in a picture taken now."""
        t = self.largest()
        return self.snapshot().detail((t["x"], t["y"], t["w"], t["h"]))

    def test_keep_and_hide_show_in_the_pixels(self):
        self.decided("hide")  # another test may have kept this face
        hidden = until(lambda: (d := self.detail()) < 0.5 and d, "the face is hidden")
        track = self.decided("keep")
        # the snapshot may be as old as the preview's last picture
        kept = until(lambda: (d := self.detail()) > 2 * hidden and d, "the face is seen")
        self.decided("hide")
        until(lambda: self.detail() < kept / 2, "the face is hidden again")
        self.decided("keep")
        until(lambda: self.detail() > 2 * hidden, "the face is seen again")
        self.ok(self.server.json("POST", "/undo"))
        until(lambda: self.detail() < kept / 2, "undo hides it")
        self.problem(self.server.json("PUT", "/tracks/999999", {"decision": "keep"}), 404)
        self.problem(self.server.json("PUT", "/tracks/abc", {"decision": "keep"}), 404)
        self.problem(self.server.json("PUT", f"/tracks/{track}", {"decision": "show"}), 422)
        audit = os.path.join(self.server.data, "audit.jsonl")
        with open(audit) as f:
            lines = [json.loads(x) for x in f]
        self.assertTrue(any(x["track"] == track and x["decision"] == "keep" for x in lines), lines)

    def frames(self):
        """What is told with each frame, for ever."""
        c = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        self.addCleanup(c.close)
        c.request("GET", "/events")
        r = c.getresponse()
        while True:
            if r.readline() == b"event: frame\n":
                yield json.loads(r.readline().decode()[6:])

    def test_a_change_acts_within_two_frames(self):
        """Counted in frames that have gone out, not in time."""
        frames = self.frames()
        next(frames)

        def then(method, path, body):
            """Changes something; the third to seventh frame that goes out after the answer."""
            if self.server.json(method, path, body)[0] != 200:
                return []
            out = self.server.state()["live"]["frames_out"]
            first = next(f for f in frames if f["serial"] > out + 2)
            return [first] + [next(frames) for _ in range(4)]

        def treated(decision):
            """How the largest face is treated then, where it is seen."""
            track = self.largest()["id"]
            after = then("PUT", f"/tracks/{track}", {"decision": decision})
            return {t["decision"] for f in after for t in f["tracks"] if t["id"] == track}
        for decision in ("keep", "hide", "keep", "hide"):
            self.assertEqual(until(lambda: treated(decision), "it is seen"), {decision})
        self.assertEqual({f["covered"] for f in then("POST", "/panic", {"on": True})}, {True})
        self.ok(self.server.json("POST", "/panic", {"on": False}))

    def test_hide_zone_shows_in_the_pixels(self):
        box = (0.02, 0.55, 0.3, 0.4)
        clear = until(lambda: (d := self.snapshot().detail(box)) > 2 and d, "detail")
        zone = dict(zip("xywh", box), decision="hide")
        number = self.ok(self.server.json("POST", "/zones", zone), 201)["id"]
        until(lambda: self.snapshot().detail(box) < clear / 3, "the zone is hidden")
        self.ok(self.server.json("DELETE", f"/zones/{number}"), 204)
        until(lambda: self.snapshot().detail(box) > clear / 2, "the zone is open again")

    def test_panic_covers_everything(self):
        self.assertGreater(until(lambda: (s := self.snapshot().spread()) > 100 and s, "open"), 100)
        self.ok(self.server.json("POST", "/panic", {"on": True}))
        until(lambda: self.snapshot().spread() < 12, "all is covered")
        state = self.server.state()
        self.assertEqual((state["lamp"], state["panic"]), ("covered", True))
        self.ok(self.server.json("POST", "/undo"))  # of whatever it was: not of this
        self.assertTrue(self.server.state()["panic"])
        self.problem(self.server.json("POST", "/panic", {"on": "no"}), 422)
        self.ok(self.server.json("POST", "/panic", {"on": False}))
        until(lambda: self.snapshot().spread() > 100, "it is open again")

    def watch(self, receive_bytes=None):
        """A viewer of the video: what is to be read from, after the head of the answer."""
        s = socket.create_connection(("127.0.0.1", self.server.port), timeout=60)
        self.addCleanup(s.close)
        if receive_bytes:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        s.sendall(b"GET /video HTTP/1.1\r\nHost: localhost\r\n\r\n")
        r = http.client.HTTPResponse(s)
        r.begin()
        self.assertEqual((r.status, r.headers["Content-Type"]), (200, "video/mp4"))
        return r

    def fragments(self, r, n):
        """Reads the head and n fragments; returns all bytes, and (time s, is key) of each."""
        data, found = b"", []
        while len(found) < n:
            size, kind = struct.unpack(">I4s", head := r.read(8))
            data += head + (body := r.read(size - 8))
            if kind == b"moof":
                time_s = tfdt(body)
            elif kind == b"mdat":
                found.append((time_s, 5 in nal_types(body)))
        self.assertEqual((data[4:8], data[32:36]), (b"ftyp", b"moov"))
        return data, found

    def decoded(self, data):
        """Frames that a strict decoder finds in it."""
        path = os.path.join(self.dir, "seen.mp4")
        with open(path, "wb") as f:
            f.write(data)
        done = subprocess.run(["ffmpeg", "-v", "error", "-xerror", "-i", path, "-f", "framecrc",
                               "-fps_mode", "passthrough", "-"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        return len([x for x in done.stdout.splitlines() if not x.startswith(b"#")])

    def test_video_for_early_and_late_viewers(self):
        early = self.watch()
        data, found = self.fragments(early, 20)
        self.assertTrue(found[0][1], "it begins with a key frame")
        self.assertEqual(self.decoded(data), 20)
        times = [t for t, _ in found]
        self.assertEqual(times, sorted(set(times)))
        late = self.watch()
        data, found = self.fragments(late, 5)
        self.assertTrue(found[0][1], "so it does for who comes later")
        self.assertEqual(self.decoded(data), 5)
        self.assertGreater(found[0][0], times[-1] - 0.5)
        self.ok(self.server.json("POST", "/panic", {"on": True}))
        until(lambda: self.server.state()["reason"] == "covered by hand" and
              self.snapshot().spread() < 12, "covered")
        time.sleep(0.5)
        path = os.path.join(self.dir, "covered.mp4")
        with open(path, "wb") as f:
            f.write(self.fragments(self.watch(), 3)[0])
        self.assertLess(Picture(path).spread(), 12)
        self.ok(self.server.json("POST", "/panic", {"on": False}))
        self.assertEqual(self.server.state()["viewers"] >= 2, True)
        # another session is another stream: the one before comes to its end
        self.ok(self.server.json("DELETE", "/sources"), 204)
        until(lambda: self.server.state()["live"] is None, "stopped")
        self.setUp()
        early.read()
        self.assertEqual(self.decoded(self.fragments(self.watch(), 5)[0]), 5)

    def box(self, r):
        """The next box of a stream: its kind and bytes, and its time if it begins a fragment."""
        size, kind = struct.unpack(">I4s", head := r.read(8))
        data = head + r.read(size - 8)
        return kind, data, tfdt(data) if kind == b"moof" else None

    def test_video_for_a_viewer_that_is_slow(self):
        self.ok(self.server.json("PATCH", "/config", {"preview_quality": 95}))
        slow, quick = self.watch(4096), self.watch()
        first, _ = self.fragments(slow, 1)
        times, size = [], 0
        while len(times) < 150 or size < 600000:  # more than is kept for anybody
            kind, data, time_s = self.box(quick)
            times += [time_s] if kind == b"moof" else []
            size += len(data)
        self.assertLess(max(b - a for a, b in zip(times, times[1:])), 0.5 * (times[-1] - times[0]),
                        "the other one has no gap")
        rest, seen, lost = b"", [], 0
        while not seen or seen[-1] < times[-1]:
            kind, data, time_s = self.box(slow)
            rest += data
            if kind == b"moof":
                between = [t for t in times if seen and seen[-1] < t < time_s]
                lost, jumped = lost + len(between), len(between) > 20
                seen.append(time_s)
            elif kind == b"mdat" and jumped:
                self.assertIn(5, nal_types(data[8:]), "it goes on with a key frame")
        self.assertGreater(lost, 20, "it lost some")
        self.decoded(first + rest[:rest.rindex(b"moof") - 4])

    def test_stream_and_events(self):
        c = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        c.request("GET", "/stream")
        r = c.getresponse()
        self.assertIn("multipart/x-mixed-replace", r.headers["Content-Type"])
        pictures = set()
        while len(pictures) < 4:
            line = r.readline()
            if line.startswith(b"Content-Length:"):
                r.readline()
                data = r.read(int(line.split(b":")[1]))
                self.assertEqual((data[:2], data[-2:]), (b"\xff\xd8", b"\xff\xd9"))
                pictures.add(data)
        c.close()
        c = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        c.request("GET", "/events")
        r = c.getresponse()
        self.assertEqual(r.headers["Content-Type"], "text/event-stream")
        seen = {}
        while set(seen) != {"frame", "state"}:
            name = r.readline().decode().strip()
            if name.startswith("event: "):
                seen[name[7:]] = json.loads(r.readline().decode()[6:])
        self.assertEqual(seen["state"]["lamp"], "protecting")
        self.assertLess(max(t["x"] for t in seen["frame"]["tracks"]), 1.01)
        c.close()

    def explained(self):
        """The live picture with its maps, and in it the largest face: its track, and its detail."""
        got = self.ok(self.server.json("POST", "/explain/live"))
        picture = Picture(base64.b64decode(got["picture"]))
        self.assertEqual((picture.width, picture.height), (got["width"], got["height"]))
        tracks = {t["id"]: t for t in got["tracks"]}
        self.assertLessEqual({f["track"] for f in got["faces"]}, set(tracks))
        largest = max(got["tracks"], key=lambda t: t["w"] * t["h"])
        detail = picture.detail([largest[k] for k in "xywh"])
        return largest, detail, [f for f in got["faces"] if f["track"] == largest["id"]]

    def test_explain_shows_what_went_out(self):
        self.decided("hide")
        hidden = until(lambda: (e := self.explained())[0]["decision"] == "hide" and e, "hidden")
        self.decided("keep")
        kept = until(lambda: (e := self.explained())[0]["decision"] == "keep" and e, "kept")
        self.assertGreater(kept[1], 2 * hidden[1], "the picture is the one that went out")
        face = kept[2][0]
        self.assertEqual([m["class"] for m in face["maps"]], ["interview", "background"])
        self.assertGreater(max(m["peak"] for m in face["maps"]), 0)
        self.assertLess(abs(face["box"][0] - kept[0]["x"]), 0.01)
        if hidden[2]:
            self.assertLess(hidden[2][0]["score"], 0.5 * face["score"])
        left = os.listdir(os.path.join(self.server.data, "jobs"))
        self.assertEqual([f for f in left if f.endswith(".picture")], [])

    def test_recording_is_whole(self):
        number = self.ok(self.server.json("POST", "/outputs", {"record": True}), 201)["id"]

        def recording():
            o = [o for o in self.server.state()["outputs"] if o["id"] == number][0]
            self.assertEqual(o["problem"], "")
            return o.get("frames", 0) > 30 and o
        name = until(recording, "30 frames")["url"]
        self.assertEqual(self.ok(self.server.json("PATCH", f"/outputs/{number}", {"on": False}),
                                 204), None)
        path = os.path.join(self.server.data, "recordings", name)
        until(lambda: os.path.exists(path), "the file is there")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode) & 0o077, 0)
        done = subprocess.run(["ffprobe", "-v", "error", "-count_frames", "-show_entries",
                               "stream=nb_read_frames,width", "-of", "json", path],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)
        self.assertEqual(done.stderr, b"")
        stream = json.loads(done.stdout)["streams"][0]
        self.assertGreaterEqual(int(stream["nb_read_frames"]), 30)
        self.assertEqual(stream["width"], 640)
        self.ok(self.server.json("DELETE", f"/outputs/{number}"), 204)
        until(lambda: self.server.state()["outputs"] == [], "the output is gone")

    def test_link_in_the_media_folder_is_no_file(self):
        self.problem(self.server.json("POST", "/sources", {"file": "link.mp4"}), 422)
        files = self.ok(self.server.json("GET", "/sources"))["files"]
        self.assertEqual(files, ["clip.mp4"])

    def test_state_tells_no_paths(self):
        text = json.dumps(self.server.state())
        self.assertNotIn(self.dir, text)
        self.assertNotIn(self.server.data, text)

    def test_zz_stop_and_broken_source(self):
        self.ok(self.server.json("DELETE", "/sources"), 204)
        until(lambda: self.server.state()["lamp"] == "stopped", "stopped")
        self.problem(self.server.json("GET", "/snapshot"), 409)
        self.problem(self.server.json("PUT", "/tracks/1", {"decision": "keep"}), 404, 409)
        with open(os.path.join(self.dir, "broken.mp4"), "w") as f:
            f.write("nothing of value")
        self.ok(self.server.json("POST", "/sources", {"file": "broken.mp4"}), 202)
        state = until(lambda: (s := self.server.state())["problem"] and s, "a problem is told")
        self.assertNotEqual(state["lamp"], "protecting")
        self.ok(self.server.json("DELETE", "/sources"), 204)
        until(lambda: self.server.state()["live"] is None, "stopped")


class Weak(unittest.TestCase):
    def test_weak_styles_need_the_command_line(self):
        import shutil
        import tempfile
        folder = tempfile.mkdtemp(prefix="veil-web-")
        self.addCleanup(shutil.rmtree, folder, True)
        one = Server(data=folder)
        status, body = one.json("PATCH", "/config", {"style": "weak-blur"})
        self.assertEqual(status, 422)
        self.assertIn("--force-weak", body["detail"])
        self.assertEqual(one.request("POST", "/jobs?style=weak-mosaic", b"x", {
            "Content-Type": "application/octet-stream"})[0], 422)
        self.assertEqual((one.state()["config"]["style"], one.state()["force_weak"]),
                         ("blur", False))
        self.assertEqual(one.close(), 0)
        two = Server("--force-weak", data=folder)
        self.assertEqual(two.json("PATCH", "/config", {"style": "weak-mosaic"})[0], 200)
        self.assertEqual(two.json("PATCH", "/config", {"style": "none"})[0], 422)
        self.assertEqual(two.close(), 0)
        three = Server("--force-weak", data=folder)
        self.assertEqual(three.state()["config"]["style"], "weak-mosaic")
        self.assertEqual(three.close(), 0)
        four = Server(data=folder)  # not allowed any more: the strong one of its kind
        self.assertEqual(four.state()["config"]["style"], "mosaic")
        self.assertEqual(four.close(), 0)


class Restart(unittest.TestCase):
    def test_nothing_that_was_set_is_lost(self):
        import shutil
        import tempfile
        folder = tempfile.mkdtemp(prefix="veil-web-")
        self.addCleanup(shutil.rmtree, folder, True)
        one = Server(data=folder)
        self.assertEqual(one.json("PATCH", "/config", {"style": "mosaic", "padding": 0.5})[0], 200)
        one.json("POST", "/zones", {"x": 0, "y": 0, "w": 0.5, "h": 0.5, "decision": "hide"})
        one.json("POST", "/panic", {"on": True})
        secret = "rtmp://user:secret@live.example/app/streamkey"
        self.assertEqual(one.json("POST", "/outputs", {"url": secret})[0], 201)
        shown = json.dumps(one.state())
        self.assertNotIn("secret", shown)
        self.assertNotIn("streamkey", shown)
        before = one.state()
        self.assertEqual(one.stop(), 0)
        path = os.path.join(folder, "settings.json")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        two = Server(data=folder)
        after = two.state()
        for key in ("config", "panic", "zones"):
            self.assertEqual(after[key], before[key], key)
        self.assertEqual(after["outputs"][0]["url"], before["outputs"][0]["url"])
        with self.assertRaises(AssertionError) as refused:
            Server(data=folder)
        self.assertIn("another veil serve", str(refused.exception))
        two.process.kill()  # settings were written long before
        two.process.wait()
        three = Server(data=folder)
        self.assertEqual(three.state()["config"], before["config"])
        self.assertEqual(three.close(), 0)
        with open(path, "w") as f:
            f.write('{"version": 1, "config": ')
        with self.assertRaises(AssertionError) as refused:
            Server(data=folder)
        self.assertIn("cannot be read", str(refused.exception))


if __name__ == "__main__":
    unittest.main()
