#!/usr/bin/env python3
"""HTTPS by certificate files: who checks the certificate is served, in clear nobody is, cookies are
for HTTPS only, and files that do not fit are refused in one line."""
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import unittest

from support import JSON, Server, VEIL


def make_certificate(folder, name):
    """A key, and a certificate for 127.0.0.1 that it has signed itself."""
    cert, key = (os.path.join(folder, f"{name}.{end}") for end in ("pem", "key"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-days", "2", "-subj", "/CN=veil", "-addext",
                    "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert], check=True,
                   capture_output=True)
    return cert, key


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="veil-web-")
        cls.cert, cls.key = make_certificate(cls.dir, "one")
        cls.token = os.path.join(cls.dir, "token")
        with open(cls.token, "w") as f:
            f.write("abcdefghijklmnopqrst")
        cls.server = Server("--cert", cls.cert, "--key", cls.key, "--token-file", cls.token,
                            tls=ssl.create_default_context(cafile=cls.cert))

    @classmethod
    def tearDownClass(cls):
        status = cls.server.close()
        shutil.rmtree(cls.dir, ignore_errors=True)
        assert status == 0, cls.server.last

    def test_served_to_those_who_check(self):
        self.assertEqual(self.server.json("GET", "/health"), (200, {"status": "ok"}))
        self.assertIn(b"<title>veil", self.server.request("GET", "/")[2])

    def test_nothing_in_clear(self):
        answer = self.server.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertNotIn(b"HTTP/1.1 200", answer)
        self.assertNotIn(b"ok", answer)

    def test_old_versions_are_refused(self):
        for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = version
            with socket.create_connection(("127.0.0.1", self.server.port), timeout=15) as s:
                with self.assertRaises((ssl.SSLError, OSError)):
                    context.wrap_socket(s).close()

    def test_cookie_is_for_https_only(self):
        status, headers, _ = self.server.request("POST", "/login",
                                                 '{"token":"abcdefghijklmnopqrst"}', JSON)
        self.assertEqual(status, 204)
        cookie = headers["Set-Cookie"]
        for word in ("Secure", "HttpOnly", "SameSite=Strict"):
            self.assertIn(word, cookie)
        mine = {"Cookie": cookie.split(";")[0]}
        self.assertEqual(self.server.request("GET", "/state", headers=mine)[0], 200)
        self.assertEqual(self.server.request("GET", "/state")[0], 401)
        for origin, status in (("https", 200), ("http", 403)):
            got = self.server.request("POST", "/panic", '{"on":false}', {
                **JSON, **mine, "Host": "127.0.0.1:1", "Origin": f"{origin}://127.0.0.1:1"})
            self.assertEqual(got[0], status, origin)

    def test_files_that_do_not_fit(self):
        other = make_certificate(self.dir, "two")[1]
        for cert, key, word in ((self.cert, other, "belong together"),
                                (self.token, self.key, "PEM"), (self.cert, self.token, "PEM"),
                                ("/nonexistent", self.key, "/nonexistent"),
                                (self.cert, self.dir, self.dir)):
            with tempfile.TemporaryDirectory(prefix="veil-web-") as data:
                p = subprocess.run([VEIL, "serve", "--listen", "127.0.0.1:0", "--data", data,
                                    "--cert", cert, "--key", key], stdin=subprocess.DEVNULL,
                                   capture_output=True, text=True, timeout=60)
            self.assertGreater(p.returncode, 0, (cert, key))
            self.assertEqual((len(p.stderr.splitlines()), p.stdout), (1, ""), p.stderr)
            self.assertIn(word, p.stderr)


if __name__ == "__main__":
    unittest.main()
