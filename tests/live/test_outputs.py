"""Where a live session sends its frames: an RTSP server that records, RTMP inside TLS, and several
places at once of which some fail. Everything that arrived is looked at frame by frame."""
import os
import signal
import socket
import ssl
import subprocess
import threading
import unittest

from live_support import LiveCase, Nginx, free_port, need, start_rtsp, wait_port


class TlsFront(threading.Thread):
    """TLS before a server that has none, as stunnel would be."""

    def __init__(self, certificate, key, to):
        super().__init__(daemon=True)
        self.to, self.connections = to, 0
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            try:
                inner = socket.create_connection(("127.0.0.1", self.to))
                outer = self.context.wrap_socket(plain, server_side=True)
            except OSError:  # whoever does not trust the certificate hangs up
                plain.close()
                continue
            self.connections += 1
            for a, b in ((outer, inner), (inner, outer)):
                threading.Thread(target=self.copy, args=(a, b), daemon=True).start()

    @staticmethod
    def copy(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.join()


class Outputs(LiveCase):
    def play(self, url, out):
        """A player that records what it is given."""
        player = self.start("ffmpeg", "-v", "error", "-nostdin", "-y", "-i", url, "-c", "copy", out)
        self.addCleanup(player.stop, signal.SIGINT)
        return player

    def end_player(self, v, player, out, frames=45):
        v.wait_for("a player", lambda: os.path.exists(out) and os.path.getsize(out) > 0)
        v.wait_frames(frames, timeout=90)
        player.process.send_signal(signal.SIGINT)
        player.process.wait(30)

    def test_rtsp_push(self):
        """The server records picture and sound; it is killed, comes back, and records again."""
        first, second, port = self.path("first.mkv"), self.path("second.mkv"), free_port()
        url = f"rtsp://127.0.0.1:{port}/cam"
        server = start_rtsp(self, port, "--record", first)
        v = self.veil(self.source, "--realtime", "--loop", "-o", url)
        v.wait_event("output up", "rtsp")
        self.wait_recorded(v, first)
        server.stop(signal.SIGKILL)
        down = v.wait_event("output lost")
        start_rtsp(self, port, "--record", second)
        v.wait_event("output up", "rtsp", down)
        self.wait_recorded(v, second)
        self.assertEqual(v.end(), 0, v.text())
        for out in (first, second):
            verdict = self.judge(out)  # what the server lost on a busy machine may be unreadable
            self.assertEqual(verdict.count("r"), 0, verdict.text())
            self.assertGreater(verdict.count("h"), 10, verdict.text())
            self.assertTrue(self.times(out, "a:0"), "the sound is missing")

    def wait_recorded(self, v, out):
        v.wait_for("a recording", lambda: os.path.exists(out) and os.path.getsize(out) > 200000, 120)

    def certificate(self):
        key, certificate = self.path("key.pem"), self.path("certificate.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key,
                        "-out", certificate, "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost"], check=True, stderr=subprocess.DEVNULL)
        return certificate, key

    def test_rtmps(self):
        """RTMP inside TLS; a certificate nobody vouches for is refused, and nothing is sent."""
        need("openssl")
        certificate, key = self.certificate()
        server, played = Nginx(self, self.dir), self.path("played.mkv")
        front = TlsFront(certificate, key, server.port)
        self.addCleanup(front.stop)
        url = f"rtmps://localhost:{front.port}/out/key"
        v = self.veil(self.source, "--realtime", "--loop", "-o", url)
        v.wait_event("output lost")
        self.assertEqual(v.end(), 0, v.text())
        self.assertEqual(v.states[-1]["outputs"][0]["frames"] if v.states else 0, 0)
        self.assertNotIn("out/key", v.text())
        v = self.veil(self.source, "--realtime", "--loop", "-o", url, "--output-options",
                      f"ca_file={certificate}")
        v.wait_event("output up", "rtmps")
        player = self.play(server.url("out", "key"), played)
        self.end_player(v, player, played)
        self.assertEqual(v.end(), 0, v.text())
        self.assertGreater(front.connections, 0)
        self.closed(played, least=10, unreadable=20)  # masks over both strips of the number

    def test_some_fail(self):
        """Two good outputs, one whose disk is full, one server that is only there later."""
        server, played = Nginx(self, self.dir), self.path("played.ts")
        record, full, folder = self.path("record.ts"), self.path("full.ts"), self.path("late")
        os.symlink("/dev/full", full)
        os.mkdir(folder)
        late = Nginx(self, folder)
        late.process.stop()
        v = self.veil(self.source, "--realtime", "--loop", "-o", server.url("out", "key"), "-o",
                      full, "-o", late.url("out", "key"), "--record", record)
        v.wait_event("output lost", "No space left")
        v.wait_event("output lost", f":{late.port}/")
        v.wait_event("output up", f":{server.port}/")
        v.wait_frames(30, timeout=90)
        late.begin()
        v.wait_event("output up", f":{late.port}/")
        player = self.play(late.url("out", "key"), played)
        self.end_player(v, player, played)
        states = {o["id"]: o for o in v.states[-1]["outputs"]}
        self.assertEqual([states[i]["up"] for i in (1, 2, 3, 4)], [True, False, True, True])
        self.assertEqual([states[i]["failed"] for i in (1, 2, 3, 4)], [False, True, False, False])
        self.assertEqual(states[1]["reconnects"], 0, "a good output suffered from another")
        # The session went on, and still says at its end that something was lost.
        self.assertEqual(v.end(), 1, v.text())
        self.assertRegex(v.lines[-1], "^veil: run: .*No space left on device$")
        self.closed(played, least=10, unreadable=20)  # masks over both strips of the number
        numbers = self.closed(record, least=60, unreadable=20).numbers
        self.assertGreater(len([n for n in numbers if n is not None]), 60)


if __name__ == "__main__":
    unittest.main()
