#!/usr/bin/env python3
"""`veil serve` behind nginx that does TLS, set up as docs/web.md says: the page signs in, its requests
pass and those of other sites do not, events and uploads come through."""
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest

from support import JSON, ROOT, Server, until
from test_tls import make_certificate

NAME, TOKEN = "veil.example.org", "abcdefghijklmnopqrst"


def recipe(folder, cert, key, port, upstream):
    """The nginx block of the documentation, with ports and files of this test."""
    with open(os.path.join(ROOT, "docs", "web.md")) as f:
        block = re.search(r"```nginx\n(.*?)```", f.read(), re.S).group(1)
    for old, new in (("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"), ("/etc/ssl/veil.pem", cert),
                     ("/etc/ssl/veil.key", key), ("http://127.0.0.1:8080", f"http://127.0.0.1:{upstream}")):
        assert block.count(old) == 1, (old, block)
        block = block.replace(old, new)
    temporary = "".join(f"{kind}_temp_path {folder}/{kind}; " for kind in
                        ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return (f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\n"
            f"events {{ worker_connections 64; }}\nhttp {{ access_log off; {temporary}\n{block}}}\n")


class Proxy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="veil-web-")
        cert, key = make_certificate(cls.dir, "proxy")
        token = os.path.join(cls.dir, "token")
        with open(token, "w") as f:
            f.write(TOKEN)
        cls.server = Server("--name", NAME, "--token-file", token)
        with socket.create_server(("127.0.0.1", 0)) as s:
            cls.port = s.getsockname()[1]
        conf = os.path.join(cls.dir, "nginx.conf")
        with open(conf, "w") as f:
            f.write(recipe(cls.dir, cert, key, cls.port, cls.server.port))
        cls.tls = ssl.create_default_context(cafile=cert)
        cls.log = open(os.path.join(cls.dir, "stderr"), "w+")
        cls.nginx = subprocess.Popen(["nginx", "-p", cls.dir, "-c", conf], stderr=cls.log)
        until(cls.listens, "nginx listens")

    @classmethod
    def listens(cls):
        if cls.nginx.poll() is not None:
            cls.log.seek(0)
            raise AssertionError(cls.log.read())
        try:
            socket.create_connection(("127.0.0.1", cls.port), timeout=5).close()
            return True
        except OSError:
            return False

    @classmethod
    def tearDownClass(cls):
        cls.nginx.terminate()
        cls.nginx.wait(60)
        cls.log.close()
        status = cls.server.close()
        shutil.rmtree(cls.dir, ignore_errors=True)
        assert status == 0, cls.server.last

    def ask(self, method, path, body=None, headers=None):
        """The connection, and the answer that is still to be read."""
        c = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.tls, timeout=60)
        self.addCleanup(c.close)
        c.request(method, path, body, {"Host": NAME, **(headers or {})})
        return c.getresponse()

    def sign_in(self):
        r = self.ask("POST", "/login", json.dumps({"token": TOKEN}), {**JSON, "Origin": f"https://{NAME}"})
        self.assertEqual(r.status, 204)
        return r.headers["Set-Cookie"]

    def test_page_and_requests(self):
        self.assertIn(b"<title>veil", self.ask("GET", "/").read())
        self.assertEqual(self.ask("GET", "/state").status, 401)
        cookie = self.sign_in()
        for word in ("HttpOnly", "SameSite=Strict", "Secure"):
            self.assertIn(word.lower(), cookie.lower())
        mine = {**JSON, "Cookie": cookie.split(";")[0]}
        for origin, status in ((f"https://{NAME}", 200), ("https://evil.example", 403), ("null", 403)):
            got = self.ask("POST", "/panic", '{"on":false}', {**mine, "Origin": origin})
            self.assertEqual(got.status, status, origin)
        self.assertEqual(self.ask("GET", "/state", headers={**mine, "Host": "evil.example"}).status, 421)

    def test_events_come_at_once_and_uploads_whole(self):
        mine = {"Cookie": self.sign_in().split(";")[0]}
        r = self.ask("GET", "/events", headers=mine)
        seen = [r.readline() for _ in range(6)]  # two events of three lines: nothing waits for more
        self.assertEqual(seen[0], b"event: state\n")
        self.assertEqual(seen[3], b"event: state\n")
        data = os.urandom(3 << 20)  # above what nginx takes by itself
        r = self.ask("POST", "/jobs?name=x", data, {**mine, "Content-Type": "application/octet-stream"})
        self.assertEqual(r.status, 201)
        job = json.loads(r.read())["id"]
        r = self.ask("GET", f"/jobs/{job}", headers=mine)
        self.assertEqual(json.loads(r.read())["bytes"], len(data))


if __name__ == "__main__":
    if not shutil.which("nginx"):
        print("skipped: nginx is missing: tools/setup.sh test")
        sys.exit(77)
    unittest.main()
