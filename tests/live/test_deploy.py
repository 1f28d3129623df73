"""What is in deploy/: the compose file, and nginx's rules, tried with a real nginx: the raw stream
can be played by nobody but veil, and nobody else can push in its name."""
import os
import re
import shutil
import socket
import subprocess
import unittest

from live_support import HIDE_ALL, ROOT, VEIL, LiveCase, Nginx, free_port, need, wait_port

DEPLOY = os.path.join(ROOT, "deploy")


def other_address():
    """Of this machine, but not of its loopback; None = it has none. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))
            return s.getsockname()[0]
        except OSError:
            return None


class Deploy(LiveCase):
    def test_compose_file(self):
        need("docker-compose")
        done = subprocess.run(["docker-compose", "-f", os.path.join(DEPLOY, "docker-compose.yml"),
                               "--profile", "watch", "config"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)
        import yaml
        services = yaml.safe_load(done.stdout)["services"]
        self.assertEqual(set(services), {"nginx", "veil", "watch"})
        self.assertEqual([n for n, s in services.items() if "ports" in s], ["nginx"])
        self.assertNotIn("default", services["veil"]["networks"])  # it reaches nginx alone
        for name in ("veil", "watch"):
            self.assertEqual(services[name]["cap_drop"], ["ALL"])
            self.assertIs(services[name]["read_only"], True)
        # The addresses in the two files belong together.
        veil = services["veil"]["networks"]["inside"]["ipv4_address"]
        nginx = services["nginx"]["networks"]["inside"]["ipv4_address"]
        command = services["veil"]["command"]
        self.assertIn(f"rtmp://{nginx}/in/", command if isinstance(command, str) else " ".join(command))
        with open(os.path.join(DEPLOY, "nginx-rtmp.conf")) as f:
            conf = f.read()
        self.assertRegex(conf, rf"application in {{[^}}]*allow play {re.escape(veil)};[^}}]*deny play all;")
        self.assertRegex(conf, rf"application out {{[^}}]*allow publish {re.escape(veil)};[^}}]*deny publish all;")
        for service, dockerfile in (("veil", "Dockerfile"), ("nginx", "Dockerfile.nginx")):
            with open(os.path.join(DEPLOY, dockerfile)) as f:
                for line in f:  # what is copied is there
                    if line.startswith("COPY ") and "--from" not in line:
                        base = ROOT if service == "veil" else DEPLOY
                        sources = [w for w in line.split()[1:-1] if not w.startswith("--")]
                        for source in sources:
                            self.assertTrue(os.path.exists(os.path.join(base, source)), line)

    def start_nginx(self):
        need("nginx", Nginx.MODULE)
        port, conf = free_port(), self.path("nginx.conf")
        with open(os.path.join(DEPLOY, "nginx-rtmp.conf")) as f:
            text = f.read()
        for old, new in (("listen 1935;", f"listen {port};"),
                         ("include /etc/nginx/modules-enabled/*.conf;", f"load_module {Nginx.MODULE};"),
                         ("pid /tmp/nginx.pid;", f"pid {self.dir}/pid;\ndaemon off;\nmaster_process off;")):
            self.assertEqual(text.count(old), 1, old)
            text = text.replace(old, new)
        with open(conf, "w") as f:
            f.write(text)
        self.start("nginx", "-p", self.dir, "-c", conf)
        wait_port(port)
        return port

    def probe(self, url):
        """How many frames a player gets in a while."""
        done = subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-rw_timeout", "6000000", "-i", url,
                               "-frames:v", "5", "-f", "framemd5", "-"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, timeout=120)
        return len([line for line in done.stdout.splitlines() if line.startswith("0,")])

    def test_only_veil_sees_the_raw_stream(self):
        port, there = self.start_nginx(), other_address()
        if there is None or there.startswith("127."):
            self.skipTest("this machine has no second address")
        self.push(f"rtmp://{there}:{port}/in/cam", "-f", "flv")  # anybody may push to be hidden
        v = self.veil(f"rtmp://127.0.0.1:{port}/in/cam", "-o", f"rtmp://127.0.0.1:{port}/out/cam")
        v.wait_event("output up", "rtmp")
        v.wait_event("state", "protecting")
        self.assertEqual(self.probe(f"rtmp://{there}:{port}/out/cam"), 5, "viewers get nothing")
        self.assertEqual(self.probe(f"rtmp://{there}:{port}/in/cam"), 0, "the raw stream can be played")
        liar = subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-re", "-i", self.source, "-c", "copy",
                               "-f", "flv", f"rtmp://{there}:{port}/out/other"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=120)
        self.assertNotEqual(liar.returncode, 0, "anybody can push in veil's name")
        self.assertEqual(v.end(), 0, v.text())

    def test_folder_watch(self):
        """A clip that arrives comes out hidden; what is no clip is put aside."""
        folder, out = self.path("in"), self.path("out")
        os.mkdir(folder)
        shutil.copy(self.source, os.path.join(folder, "clip.mp4"))
        with open(os.path.join(folder, "note.txt"), "w") as f:
            f.write("no clip")
        done = subprocess.run(["sh", os.path.join(ROOT, "examples", "watch.sh"), folder, out, *HIDE_ALL],
                              env={**os.environ, "VEIL": VEIL, "WATCH_ONCE": "1", "WATCH_SECONDS": "1"},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(os.listdir(out), ["clip.mp4"])
        self.assertTrue(os.path.exists(os.path.join(folder, "done", "clip.mp4")))
        self.assertTrue(os.path.exists(os.path.join(folder, "failed", "note.txt")))
        self.closed(os.path.join(out, "clip.mp4"), least=60, unreadable=20)


if __name__ == "__main__":
    unittest.main()
