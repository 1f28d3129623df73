"""Faults on the way: sender killed, server killed and restarted, sender stalled, size changed in the
stream, damaged stream, packets lost and late. Whatever happens, every frame that came out is
hidden or covered, and the session goes on."""
import os
import random
import signal
import socket
import subprocess
import threading
import time
import unittest

from live_support import (HEIGHT, WIDTH, LiveCase, Nginx, free_port, luma, make_source)


class Relay(threading.Thread):
    """Forwards UDP packets, and mistreats them."""

    def __init__(self, to, mistreat):
        super().__init__(daemon=True)
        self.port = free_port(socket.SOCK_DGRAM)
        self.to, self.mistreat, self.running = ("127.0.0.1", to), mistreat, True
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", self.port))
        self.socket.settimeout(0.01)
        self.out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.start()

    def run(self):
        late, n = [], 0
        while self.running:
            try:
                data = self.socket.recv(65536)
                n += 1
                when, data = self.mistreat(n, data)
                if data:
                    late.append((time.time() + when, n, data))
            except socket.timeout:
                pass
            now = time.time()
            for item in sorted(i for i in late if i[0] <= now):
                self.out.sendto(item[2], self.to)
            late = [i for i in late if i[0] > now]
        self.socket.close()
        self.out.close()

    def stop(self):
        self.running = False
        self.join()


class Faults(LiveCase):
    def relay(self, to, mistreat):
        r = Relay(to, mistreat)
        self.addCleanup(r.stop)
        return r

    def runs(self, verdict):
        """The kinds in order without repetitions, short ones left out: e.g. hch."""
        out, last, n = "", None, 0
        for kind in verdict.kinds + [None]:
            if kind == last:
                n += 1
                continue
            if last and n >= 6 and out[-1:] != last:
                out += last
            last, n = kind, 1
        return out

    def test_sender_killed_and_back(self):
        """Covers at the nominal rate meanwhile, with silence, and time goes on."""
        server, out = Nginx(self, self.dir), self.path("a.mkv")
        first = self.push(server.url("in", "cam"), "-f", "flv")
        v = self.veil(server.url("in", "cam"), "-o", out, "--input-timeout", "2")
        v.wait_event("state", "protecting")
        v.wait_frames(45)
        first.stop(signal.SIGKILL)
        n = v.wait_event("state", "input lost")
        v.wait_covers(45)
        self.push(server.url("in", "cam"), "-f", "flv")
        v.wait_event("state", "protecting", n)
        v.wait_frames(60)
        self.assertEqual(v.end(), 0, v.text())
        verdict = self.closed(out, least=10)
        self.assertIn("hch", self.runs(verdict), verdict.text())
        pts = [p for p, _ in self.times(out)]
        gaps = [b - a for a, b in zip(pts, pts[1:])]
        self.assertLess(max(gaps), 3, "covers are missing")
        covers = [g for g, a, b in zip(gaps, verdict.kinds, verdict.kinds[1:]) if a == b == "c"]
        self.assertGreater(len(covers), 30)
        self.assertLess(sorted(covers)[len(covers) // 2], 1.2 / 30, "covers come slowly")
        sound = [p for p, _ in self.times(out, "a:0")]
        self.assertLess(max(b - a for a, b in zip(sound, sound[1:])), 0.1, "the sound has a gap")

    def test_server_killed_and_back(self):
        """Source and output are lost together and come back together; the recording goes on."""
        server, out = Nginx(self, self.dir), self.path("a.mkv")
        sender = self.push(server.url("in", "cam"), "-f", "flv")
        v = self.veil(server.url("in", "cam"), "-o", server.url("out", "key"), "--record", out)
        v.wait_event("output up", "rtmp")
        v.wait_frames(30)
        server.process.stop(signal.SIGKILL)
        lost = v.wait_event("input lost")
        down = v.wait_event("output lost")
        v.wait_covers(30)
        sender.stop(signal.SIGKILL)
        server.begin()
        self.push(server.url("in", "cam"), "-f", "flv")
        v.wait_event("input up", after=lost)
        v.wait_event("output up", "rtmp", after=down)
        v.wait_event("state", "protecting", after=lost)
        v.wait_frames(45)
        self.assertEqual(v.end(), 0, v.text())
        self.assertGreaterEqual(v.states[-1]["reconnects"], 1)
        self.assertGreaterEqual(v.states[-1]["outputs"][0]["reconnects"], 1)
        verdict = self.closed(out, least=10)
        self.assertIn("hch", self.runs(verdict), verdict.text())

    def test_sender_stalls(self):
        """Stopped for two seconds, then going on where it was."""
        port, out = free_port(), self.path("a.mkv")
        url = f"tcp://127.0.0.1:{port}"
        v = self.veil(url + "?listen=1", "-o", out)
        time.sleep(1)
        sender = self.push(url, "-f", "mpegts")
        v.wait_event("state", "protecting")
        v.wait_frames(40)
        sender.process.send_signal(signal.SIGSTOP)
        n = v.wait_event("state", "input lost")
        v.wait_covers(40)
        sender.process.send_signal(signal.SIGCONT)
        v.wait_event("state", "protecting", n)
        v.wait_frames(45)
        self.assertEqual(v.end(), 0, v.text())
        verdict = self.closed(out, least=10)
        self.assertIn("hch", self.runs(verdict), verdict.text())

    def test_size_changes(self):
        """640x360, then 960x540 in the same stream: the output keeps its size, faces stay hidden."""
        big, out = os.path.join(self.shared, "big.mp4"), self.path("a.mkv")
        make_source(big, (960, 540))
        port = free_port(socket.SOCK_DGRAM)
        url = f"udp://127.0.0.1:{port}"
        v = self.veil(url, "-o", out)
        first = self.push(url + "?pkt_size=1316", "-f", "mpegts")
        v.wait_event("state", "protecting")
        v.wait_frames(40)
        first.stop(signal.SIGKILL)
        n = len(v.events)
        self.push(url + "?pkt_size=1316", "-f", "mpegts", source=big)
        v.wait_event("input up", "960x540", n)
        v.wait_frames(60)
        self.assertEqual(v.end(), 0, v.text())
        self.closed(out, least=10)

    def test_damaged_stream(self):
        """Every 40th packet has flipped bytes."""
        rng = random.Random(1)

        def mistreat(n, data):
            if n % 40 == 0:
                data = bytearray(data)
                for _ in range(20):
                    data[rng.randrange(200, len(data)) if len(data) > 400 else 0] ^= 255
            return 0, bytes(data)
        self.mistreated(mistreat)

    def test_loss_and_jitter(self):
        """5 % of the packets are lost, some come as much as 200 ms late, out of order (in this
        process; netem would need a kernel module that is mostly absent). The first three seconds
        come whole: after that hardly a key frame does, and nothing is readable without one."""
        rng, began = random.Random(2), []

        def worse(n, data):
            began[:] = began or [time.time()]
            if time.time() - began[0] < 3:
                return 0, data
            return rng.random() * 0.2 if n % 50 == 0 else 0, None if rng.random() < 0.05 else data

        self.mistreated(worse, frames=180)

    def mistreated(self, mistreat, frames=60):
        port, out = free_port(socket.SOCK_DGRAM), self.path("a.mkv")
        relay = self.relay(port, mistreat)
        v = self.veil(f"udp://127.0.0.1:{port}", "-o", out)
        self.push(f"udp://127.0.0.1:{relay.port}?pkt_size=1316", "-f", "mpegts")
        v.wait_event("state", "protecting")
        v.wait_frames(frames, timeout=90)
        self.assertEqual(v.end(), 0, v.text())
        # Damaged pictures have no readable number; none of them may be a raw one.
        verdict = self.judge(out)
        self.assertEqual(verdict.count("r"), 0, verdict.text())
        self.assertGreater(verdict.count("h"), 30, verdict.text())
        self.rising(out)

    def test_source_of_no_frames(self):
        """A sender of noise: nothing is sent, nothing breaks, and the end is clean."""
        port, out = free_port(socket.SOCK_DGRAM), self.path("a.mkv")
        v = self.veil(f"udp://127.0.0.1:{port}", "-o", out, "--size", f"{WIDTH}x{HEIGHT}",
                      "--input-timeout", "1")
        noise, end = random.Random(3), time.time() + 3
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            while time.time() < end:
                s.sendto(noise.randbytes(1316), ("127.0.0.1", port))
                time.sleep(0.01)
        self.assertEqual(v.end(), 0, v.text())
        self.assertEqual({int(f.std() < 4) for f in luma(out, WIDTH, HEIGHT)}, {1})


if __name__ == "__main__":
    unittest.main()
