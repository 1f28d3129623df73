#!/usr/bin/env python3
"""Requests that mean no good: malformed, too large, too slow, from other sites, without the token.
At the end the server still answers, and it ends with status 0."""
import http.client
import json
import os
import socket
import threading
import time
import unittest

from support import Case, JSON, Server, VEIL, statuses, until

GOOD = b"Host: localhost\r\n"


class Malformed(Case):
    args = ("--max-upload", "1", "--max-jobs", "2")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Slow clients begin first and are looked at last: the limit is 10 seconds.
        cls.slow = []
        for first in (b"", b"GET /state HTTP/1.1\r\nHost: lo", b"POST /config HTTP/1.1\r\n" + GOOD +
                      b"Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{"):
            for _ in range(10):
                s = socket.create_connection(("127.0.0.1", cls.server.port), timeout=60)
                s.sendall(first)
                cls.slow.append(s)
        cls.began = time.monotonic()
        cls.dripping = True

        def drip():
            while cls.dripping:
                for s in cls.slow:
                    try:
                        s.send(b"x")
                    except OSError:
                        pass
                time.sleep(0.5)
        cls.dripper = threading.Thread(target=drip, daemon=True)
        cls.dripper.start()

    def tearDown(self):
        self.assertEqual(self.server.json("GET", "/health"), (200, {"status": "ok"}))

    def refused(self, request, *allowed):
        """One answer at most, and none of them a success."""
        answer = self.server.raw(request)
        got = statuses(answer)
        self.assertLessEqual(len(got), 1, answer[:400])
        for status in got:
            self.assertIn(status, allowed or range(400, 506), answer[:400])
        if allowed:
            self.assertEqual(len(got), 1, (request[:200], answer[:200]))
        return answer

    def test_smuggling(self):
        tail = b"GET /state HTTP/1.1\r\n" + GOOD + b"\r\n"
        post = b"POST /panic HTTP/1.1\r\n" + GOOD + b"Content-Type: application/json\r\n"
        for head in (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                     b"Content-Length: 5\r\nContent-Length: 6\r\n",
                     b"Content-Length: 5, 6\r\n", b"Content-Length: +5\r\n",
                     b"Content-Length: 0x5\r\n", b"Content-Length: -1\r\n",
                     b"Content-Length: 99999999999999999999999\r\n",
                     b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
                     b"Transfer-Encoding: xchunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n"):
            answer = self.server.raw(post + head + b"\r\n0\r\n\r\n" + tail)
            got = statuses(answer)
            self.assertLessEqual(len(got), 1, (head, answer))
            self.assertNotIn(b'"lamp"', answer, head)
            if got:
                self.assertIn(got[0], (400, 413), (head, answer))

    def test_request_lines(self):
        for line in (b"GET /state HTTP/2.0", b"GET /state HTTP/0.9", b"GET /state", b"GET",
                     b"", b"\x16\x03\x01\x02\x00\x01", b"PRI * HTTP/2.0", b"GET  /state  HTTP/1.1",
                     b"GET /st\x00ate HTTP/1.1", b"GET /" + b"a" * 100000 + b" HTTP/1.1",
                     b"GET * HTTP/1.1", b"get /state HTTP/1.1", b"GET http://[::1 HTTP/1.1"):
            answer = self.server.raw(line + b"\r\n" + GOOD + b"\r\n")
            self.assertFalse(any(s < 400 for s in statuses(answer)), (line[:40], answer[:200]))

    def test_traversal(self):
        for path in ("/../../etc/passwd", "/..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/etc/passwd",
                     "//etc/passwd", "/page/../../x", "/jobs/../state", "/app.js/..", "/app.js%00",
                     "/app.js/", "/./state", "/jobs/..%5c..%5cx/result", "/state;x", "/state\\x"):
            answer = self.server.raw(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            self.assertIn(statuses(answer), ([400], [404]), path)
            self.assertNotIn(b"root:", answer)

    def test_hosts(self):
        for host in (b"evil.example", b"evil.example:80", b"localhost.evil.example", b"127.0.0.1.x",
                     b"", b"[::1", b"localhost:99999999", b"a@localhost", b"localhost:80@evil"):
            self.refused(b"GET /state HTTP/1.1\r\nHost: " + host + b"\r\n\r\n", 400, 421)
        self.refused(b"GET /state HTTP/1.1\r\n\r\n", 400, 421)
        self.refused(b"GET /state HTTP/1.1\r\n" + GOOD + b"Host: evil.example\r\n\r\n", 400)
        for host in (b"localhost", b"127.0.0.1:1234", b"[::1]:8080"):
            answer = self.server.raw(b"GET /health HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
            self.assertEqual(statuses(answer), [200], host)

    def test_other_sites(self):
        here = f"http://127.0.0.1:{self.server.port}"
        body = {"on": False}
        for origin in ("http://evil.example", "null", here + "0", "https://localhost.evil",
                       f"http://localhost:{self.server.port}"):
            self.problem(self.server.json("POST", "/panic", body, {"Origin": origin}), 403)
        self.ok(self.server.json("POST", "/panic", body, {"Origin": here}))
        for site in ("cross-site", "same-site"):
            for path in ("/state", "/stream", "/snapshot", "/events"):
                self.assertEqual(self.server.request("GET", path, headers={
                    "Sec-Fetch-Site": site})[0], 403)
        self.assertEqual(self.server.request("GET", "/", headers={
            "Sec-Fetch-Site": "cross-site"})[0], 200)
        # what a form of another site can send without being asked
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
            status, _, _ = self.server.request("POST", "/panic", '{"on": false}',
                                               {"Content-Type": kind})
            self.assertEqual(status, 415, kind)
            self.assertEqual(self.server.request("POST", "/jobs", "x", {"Content-Type": kind})[0],
                             415)
        _, headers, _ = self.server.request("OPTIONS", "/config", headers={
            "Origin": "http://evil.example", "Access-Control-Request-Method": "PATCH"})
        self.assertIsNone(headers.get("Access-Control-Allow-Origin"))

    def test_bodies(self):
        for body in ("", "{", '{"on": tru}', "[" * 5000, '{"on": true}x', "null", "3", '"x"',
                     '{"on": true, "on": false}', '{"a": "\ud800"}'.encode("utf-8", "surrogatepass"),
                     b'{"on": "\xff\xfe"}', b'{"on":\x00true}', '{"on": 1e999}'):
            status, _, _ = self.server.request("POST", "/panic", body, JSON)
            self.assertIn(status, (400, 422), body[:50])
        self.assertFalse(self.server.state()["panic"])
        status, _, _ = self.server.request("PATCH", "/config", '{"fill": "' + "a" * 70000 + '"}', JSON)
        self.assertEqual(status, 413)
        chunk = b"1000\r\n" + b" " * 4096 + b"\r\n"
        self.refused(b"PATCH /config HTTP/1.1\r\n" + GOOD + b"Content-Type: application/json\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 30 + b"0\r\n\r\n", 413)
        answer = self.server.raw(b"PATCH /config HTTP/1.1\r\n" + GOOD +
                                 b"Content-Type: application/json\r\n"
                                 b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 400)
        self.assertEqual(statuses(answer), [])
        self.refused(b"PATCH /config HTTP/1.1\r\n" + GOOD + b"Content-Type: application/json\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n")
        many = b"".join(b"X-%d: y\r\n" % i for i in range(5000))
        self.refused(b"GET /state HTTP/1.1\r\n" + GOOD + many + b"\r\n")

    def test_uploads_too_large(self):
        video = {"Content-Type": "video/mp4"}
        status, _, _ = self.server.request("POST", "/jobs", b"", {**video, "Content-Length": "0"})
        self.assertEqual(status, 400)
        answer = self.server.raw(b"POST /jobs HTTP/1.1\r\n" + GOOD + b"Content-Type: video/mp4\r\n"
                                 b"Content-Length: 2000000\r\n\r\n" + b"x" * 1000)
        self.assertEqual(statuses(answer), [413])
        part = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        self.server.raw(b"POST /jobs HTTP/1.1\r\n" + GOOD + b"Content-Type: video/mp4\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n" + part * 40 + b"0\r\n\r\n")
        until(lambda: os.listdir(os.path.join(self.server.data, "jobs")) == [],
              "nothing is left of them")
        self.assertEqual(self.ok(self.server.json("GET", "/jobs"))["jobs"], [])
        # cut off in the middle
        with socket.create_connection(("127.0.0.1", self.server.port)) as s:
            s.sendall(b"POST /jobs HTTP/1.1\r\n" + GOOD +
                      b"Content-Type: video/mp4\r\nContent-Length: 900000\r\n\r\n" + b"x" * 5000)
            until(lambda: os.listdir(os.path.join(self.server.data, "jobs")) != [], "it began")
        until(lambda: os.listdir(os.path.join(self.server.data, "jobs")) == [], "it is deleted")

    def test_files_that_name_other_files(self):
        """Lists, scripts and pictures that point elsewhere are refused, and nothing of it is read."""
        secret = os.path.join(self.dir, "secret.mp4")
        with open(secret, "wb") as f:
            f.write(b"SECRETSECRET" * 100)
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        port = listener.getsockname()[1]
        lists = [
            "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://%s\n#EXT-X-ENDLIST\n" % secret,
            "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:%d/x.ts\n" % port,
            "ffconcat version 1.0\nfile '%s'\n" % secret,
            "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video %d RTP/AVP 96\n"
            "a=rtpmap:96 H264/90000\n" % port,
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
            "<BaseURL>http://127.0.0.1:%d/</BaseURL></MPD>" % port,
            '<svg xmlns="http://www.w3.org/2000/svg"><image href="file://%s"/></svg>' % secret,
            "[playlist]\nFile1=%s\n" % secret, "RTSPtext\nrtsp://127.0.0.1:%d/x\n" % port,
            "#!/bin/sh\necho x\n" * 50,
        ]
        for text in lists:
            number = until(lambda: self.upload(text.encode()), "uploaded")
            job = until(lambda: (j := self.ok(self.server.json("GET", f"/jobs/{number}")))["state"]
                        in ("done", "failed") and j, "it ended")
            self.assertEqual(job["state"], "failed", text[:60])
            self.assertEqual(job["name"], "x.m3u8")
            self.assertNotIn(self.server.data, job["problem"])
            self.assertNotIn("SECRET", job["problem"])
            self.assertEqual(self.server.request("GET", f"/jobs/{number}/result")[0], 409)
            self.ok(self.server.json("DELETE", f"/jobs/{number}"), 204)
        with self.assertRaises(BlockingIOError):
            listener.accept()
        listener.close()

    def upload(self, data):
        status, _, body = self.server.request("POST", "/jobs?name=..%2F..%2Fx.m3u8", data,
                                              {"Content-Type": "application/octet-stream"})
        return json.loads(body)["id"] if status == 201 else None

    def test_zz_slow_clients_are_closed(self):
        waited = time.monotonic() - self.began

        def closed(s):
            try:
                s.settimeout(0.01)
                while s.recv(4096):
                    pass
                return True
            except TimeoutError:
                return False
            except OSError:
                return True
        until(lambda: all(closed(s) for s in self.slow), f"closed, {waited:.0f} s after the start", 40)
        type(self).dripping = False
        self.dripper.join()
        for s in self.slow:
            s.close()


class Token(Case):
    token = "abcdefghijklmnopqrstuvwxyz-0123_9"

    @classmethod
    def prepare(cls):
        path = os.path.join(cls.dir, "token")
        with open(path, "w") as f:
            f.write(cls.token + "\n")
        cls.args = ("--token-file", path)

    def bearer(self, token):
        return {"Authorization": "Bearer " + token}

    def test_nothing_without_it(self):
        self.assertEqual(self.server.token, self.token)
        self.ok(self.server.json("GET", "/health"))
        self.assertEqual(self.server.request("GET", "/")[0], 200)
        for path in ("/state", "/stream", "/snapshot", "/events"):
            self.assertEqual(self.server.request("GET", path)[0], 401, path)
        for wrong in (self.token[:-1], self.token + "a", "", self.token.upper(), "a" * 200):
            self.assertIn(self.server.request("GET", "/state", headers=self.bearer(wrong))[0],
                          (401, 429))
        self.ok(self.server.json("GET", "/state", headers=self.bearer(self.token)))

    def test_page_signs_in(self):
        def login(token):
            return self.server.request("POST", "/login", json.dumps({"token": token}), JSON)
        status, headers, _ = until(lambda: (r := login(self.token))[0] != 429 and r, "allowed")
        self.assertEqual(status, 204)
        cookie = headers["Set-Cookie"]
        for part in ("HttpOnly", "SameSite=Strict", "Path=/"):
            self.assertIn(part, cookie)
        self.ok(self.server.json("GET", "/state", headers={"Cookie": cookie.split(";")[0]}))
        self.ok(self.server.json("GET", "/state", headers={"Cookie": "a=b; " + cookie.split(";")[0]}))

    def test_zz_guessing_is_slowed(self):
        got = [self.server.request("POST", "/login", json.dumps({"token": f"{i:016d}"}), JSON)[0]
               for i in range(40)]
        self.assertIn(429, got)
        self.assertEqual({s for s in got} - {401, 429}, set())
        # who knows it is let in nevertheless
        self.ok(self.server.json("GET", "/state", headers=self.bearer(self.token)))


class Rate(Case):
    args = ("--max-rate", "20")

    def test_too_many_requests(self):
        got = [self.server.request("GET", "/health")[0] for _ in range(120)]
        self.assertEqual(got[:20], [200] * 20)
        self.assertIn(429, got)
        until(lambda: self.server.request("GET", "/health")[0] == 200, "it is let in again")


class Crowd(Case):
    def test_one_address_cannot_take_all_connections(self):
        many = [socket.create_connection(("127.0.0.1", self.server.port), timeout=60)
                for _ in range(300)]
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=60,
                                      source_address=("127.0.0.2", 0)) as other:
            other.sendall(b"GET /health HTTP/1.1\r\n" + GOOD + b"Connection: close\r\n\r\n")
            self.assertEqual(statuses(other.recv(65536)), [200])
        for s in many:
            s.settimeout(0.01)

        def closed(s):
            try:
                return s.recv(1) == b""
            except TimeoutError:
                return False
            except OSError:
                return True
        self.assertGreater(sum(map(closed, many)), 90, "some of them are refused")
        for s in many:
            s.close()

        def answers():
            try:
                return self.server.request("GET", "/health")[0] == 200
            except (OSError, http.client.HTTPException):  # they are being closed
                return False
        until(answers, "it answers again")


class Elsewhere(unittest.TestCase):
    def test_other_addresses_need_a_token(self):
        import shutil
        import tempfile
        folder = tempfile.mkdtemp(prefix="veil-web-")
        self.addCleanup(shutil.rmtree, folder, True)
        tokens = set()
        for _ in range(2):
            server = Server(data=folder, listen="0.0.0.0:0")
            self.assertRegex(server.token or "", "^[a-z2-7]{32}$")
            tokens.add(server.token)
            self.assertEqual(server.request("GET", "/state")[0], 401)
            self.assertEqual(server.close(), 0)
        self.assertEqual(len(tokens), 1, "the token lasts")

    def test_command_line(self):
        import subprocess
        for args, word in ((("--listen", "nowhere"), "ADDRESS:PORT"), (("--lisen", "x"), "--listen"),
                           (("--max-rate", "-1"), "number"), (("--cert", "/x"), "--key"),
                           (("--token-file", "/nonexistent"), "cannot open"),
                           (("--media", "/nonexistent"), "folder"),
                           (("--listen", "192.0.2.1:1"), "cannot listen"), (("file",), "unknown")):
            p = subprocess.run([VEIL, "serve", "--data", "/tmp/veil-test-none", *args],
                               stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
            self.assertGreater(p.returncode, 0)
            self.assertEqual(len(p.stderr.splitlines()), 1, p.stderr)
            self.assertIn(word, p.stderr)


if __name__ == "__main__":
    unittest.main()
