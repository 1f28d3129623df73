"""Live sessions with real servers: nginx's RTMP module, an SRT pair, GStreamer's RTSP server, HLS
over HTTP, MPEG-TS over UDP, a pipe."""
import os
import signal
import socket
import subprocess
import sys
import time
import unittest

from live_support import LiveCase, Nginx, free_port, need, serve_folder, start_rtsp


class Servers(LiveCase):
    def play(self, url, out):
        """A player that records what it is given."""
        return self.start("ffmpeg", "-v", "error", "-nostdin", "-y", "-i", url, "-c", "copy", out)

    def played(self, v, player, out):
        """Once enough has come, however slow the machine is."""
        v.wait_event("output up")
        v.wait_event("state", "protecting")
        v.wait_for("a player", lambda: os.path.exists(out) and os.path.getsize(out) > 0)
        v.wait_frames(60, timeout=90)
        player.process.send_signal(signal.SIGINT)
        player.process.wait(30)
        self.assertEqual(v.end(), 0, v.text())

    def test_rtmp_through_nginx(self):
        """Push in, veil pulls, pushes back, a player records; veil's own recording beside it."""
        server = Nginx(self, self.dir)
        played, record = self.path("played.mkv"), self.path("record.mkv")
        self.push(server.url("in", "cam"), "-f", "flv")
        v = self.veil(server.url("in", "cam"), "-o", server.url("out", "key"), "--record", record)
        v.wait_event("output up", "rtmp")
        v.wait_event("state", "protecting")
        player = self.play(server.url("out", "key"), played)
        self.played(v, player, played)
        self.closed(played, least=10)
        self.closed(record, least=10)
        self.assertTrue(self.times(played, "a:0"), "the sound is missing")

    def test_rtmp_listen(self):
        """veil is the server a phone or OBS pushes to."""
        port, out = free_port(), self.path("a.mkv")
        url = f"rtmp://127.0.0.1:{port}/live/key"
        v = self.veil(url, "--listen", "-o", out)
        wait_listening(port)
        first = self.push(url, "-f", "flv")
        v.wait_event("state", "protecting")
        v.wait_frames(30)
        first.stop()
        n = v.wait_event("input lost")
        wait_listening(port)
        self.push(url, "-f", "flv")  # and again
        v.wait_event("state", "protecting", n)
        v.wait_frames(30)
        self.assertEqual(v.end(), 0, v.text())
        self.closed(out, least=10)

    def test_srt_pair(self):
        """Listener in, caller out to another listener."""
        need("ffmpeg")
        here, there = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM)
        out = self.path("a.ts")
        player = self.play(f"srt://127.0.0.1:{there}?mode=listener&passphrase=long-enough-1", out)
        v = self.veil(f"srt://127.0.0.1:{here}?mode=listener", "-o",
                      f"srt://127.0.0.1:{there}?passphrase=long-enough-1")
        time.sleep(0.5)
        self.push(f"srt://127.0.0.1:{here}", "-f", "mpegts")
        self.played(v, player, out)
        self.closed(out, least=10)

    def rtsp(self):
        need("/usr/bin/python3")
        port, film = free_port(), self.path("long.mkv")
        subprocess.run(["ffmpeg", "-v", "error", "-stream_loop", "9", "-i", self.source, "-c",
                        "copy", "-an", film], check=True)
        start_rtsp(self, port, film)
        return f"rtsp://127.0.0.1:{port}/cam"

    def test_rtsp(self):
        """A camera over TCP, then over UDP, recorded."""
        url = self.rtsp()
        for transport in ("tcp", "udp"):
            with self.subTest(transport=transport):
                out = self.path(f"{transport}.mkv")
                v = self.veil(url, "-o", out, "--input-options", f"rtsp_transport={transport}")
                v.wait_event("state", "protecting")
                v.wait_frames(45)
                self.assertEqual(v.end(), 0, v.text())
                self.closed(out, least=10)

    def test_hls(self):
        """Segments on disk, served over HTTP, hidden again by a second veil that reads them."""
        folder, out = self.path("hls"), self.path("a.mkv")
        os.mkdir(folder)
        v = self.veil(self.source, "--realtime", "--loop", "-o", os.path.join(folder, "live.m3u8"))
        port = serve_folder(self, folder)
        playlist = os.path.join(folder, "live.m3u8")
        v.wait_for("a playlist", lambda: os.path.exists(playlist))
        w = self.veil(f"http://127.0.0.1:{port}/live.m3u8", "-o", out)
        w.wait_event("state", "protecting")
        w.wait_frames(60)
        self.assertEqual(w.end(), 0, w.text())
        self.assertEqual(v.end(), 0, v.text())
        self.closed(out, least=10)
        with open(playlist) as f:
            text = f.read()
        self.assertIn("#EXT-X-ENDLIST", text)
        segments = [line for line in text.splitlines() if line and line[0] != "#"]
        self.assertTrue(all(os.path.exists(os.path.join(folder, s)) for s in segments), segments)

    def test_udp(self):
        """MPEG-TS over UDP in and out."""
        here, there = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM)
        out = self.path("a.ts")
        player = self.play(f"udp://127.0.0.1:{there}?timeout=20000000", out)
        v = self.veil(f"udp://127.0.0.1:{here}", "-o", f"udp://127.0.0.1:{there}")
        self.push(f"udp://127.0.0.1:{here}?pkt_size=1316", "-f", "mpegts")
        self.played(v, player, out)
        self.closed(out, least=10)

    def test_pipe(self):
        """Standard input as fast as it is written; its end is the end."""
        out = self.path("a.mkv")
        sender = subprocess.Popen(["ffmpeg", "-v", "error", "-nostdin", "-re", "-i", self.source,
                                   "-c", "copy", "-f", "mpegts", "-"], stdout=subprocess.PIPE)
        v = self.veil("-", "--live", "-o", out, stdin=sender.stdout)
        sender.stdout.close()
        self.assertEqual(v.end(0, 40), 0, v.text())
        sender.wait(10)
        self.closed(out, least=10)


def wait_listening(port, timeout=20):
    """Without connecting, since the one connection is the sender's."""
    end = time.time() + timeout
    want = f":{port:04X} "
    while time.time() < end:
        with open("/proc/net/tcp") as f:
            if any(want in line.split(" 0", 1)[0] + line and " 0A " in line and want in line
                   for line in f):
                return
        time.sleep(0.05)
    raise AssertionError(f"nothing listens on port {port}")


if __name__ == "__main__":
    unittest.main()
