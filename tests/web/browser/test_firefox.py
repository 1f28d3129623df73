#!/usr/bin/env python3
"""The page in Firefox, steered through its Marionette port: a clip plays, faces are kept and hidden, a
setting acts, panic covers, an upload comes back. The whole page is tested in Chromium, test_page.mjs.
usage: VEIL=program VEIL_BROWSER=1 test_firefox.py [ARTEFACTS]"""
import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
if not os.environ.get("VEIL_BROWSER"):
    print("skipped: make browser runs this")
    sys.exit(77)
FIREFOX = shutil.which("firefox-esr")
if not FIREFOX:
    print("skipped: firefox-esr is missing: tools/setup.sh browser")
    sys.exit(77)
from support import ROOT, Server, ffmpeg, need_clip, until  # noqa: E402

# Difference of the largest and least green value in the picture that is shown; null without one.
LOOK = """
const img = document.querySelector('#stage > :is(img, video):not([hidden])');
const width = img && (img.videoWidth || img.naturalWidth);
if (!width) return null;
const c = new OffscreenCanvas(width, img.videoHeight || img.naturalHeight), g = c.getContext('2d');
g.drawImage(img, 0, 0);
const d = g.getImageData(0, 0, c.width, c.height).data;
let low = 255, high = 0, hash = 0;
for (let i = 1; i < d.length; i += 4) {
  low = Math.min(low, d[i]); high = Math.max(high, d[i]); hash = (hash * 31 + d[i]) | 0;
}
return { spread: high - low, hash };"""


class Firefox:
    def __init__(self, folder):
        with socket.create_server(("127.0.0.1", 0)) as s:
            port = s.getsockname()[1]
        with open(os.path.join(folder, "user.js"), "w") as f:
            f.write(f'user_pref("marionette.port", {port});\n'
                    'user_pref("intl.accept_languages", "de-DE, de");\n')
        self.process = subprocess.Popen(
            [FIREFOX, "--headless", "--marionette", "--no-remote", "--profile", folder],
            env={**os.environ, "HOME": folder}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.number = 0

        def connect():
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=120)
            except OSError:
                return None
        self.socket = until(connect, "Firefox listens", 120)
        self.read()
        self.version = self.call("WebDriver:NewSession", capabilities={})["capabilities"]["browserVersion"]

    def read(self):
        """One message: its length, a colon, JSON."""
        size = b""
        while not size.endswith(b":"):
            size += self.socket.recv(1)
        left, data = int(size[:-1]), b""
        while len(data) < left:
            data += self.socket.recv(left - len(data))
        return json.loads(data)

    def call(self, name, **parameters):
        self.number += 1
        data = json.dumps([0, self.number, name, parameters]).encode()
        self.socket.sendall(f"{len(data)}:".encode() + data)
        kind, number, error, result = self.read()
        assert (kind, number, error) == (1, self.number, None), (name, error)
        return result

    def script(self, text):
        return self.call("WebDriver:ExecuteScript", script=text, args=[])["value"]

    def find(self, selector):
        return list(self.call("WebDriver:FindElement", using="css selector", value=selector)["value"].values())[0]

    def click(self, selector):
        self.call("WebDriver:ElementClick", id=self.find(selector))

    def close(self):
        self.process.terminate()
        self.process.wait(60)
        self.socket.close()


def check(server, browser, folder, shots):
    look = lambda: browser.script(LOOK)
    tracks = lambda: server.json("GET", "/tracks")[1]["tracks"]
    state = server.state
    browser.call("WebDriver:Navigate", url=f"http://127.0.0.1:{server.port}/")
    assert browser.script("return document.documentElement.lang") == "de"
    browser.script("""document.getElementById('src-kind').value = 'file';
        document.getElementById('src-kind').dispatchEvent(new Event('change'));""")
    browser.click("#src-start")
    until(lambda: state()["lamp"] == "protecting", "protecting")
    first = until(lambda: (v := look()) and v["spread"] > 60 and v, "a picture")
    until(lambda: (v := look()) and v["hash"] != first["hash"], "it moves")
    print("shown as", browser.script("return document.getElementById('stage').dataset.picture"))
    until(lambda: browser.script("return document.querySelectorAll('.face').length"), "faces")

    def decided():
        face = max(tracks(), key=lambda t: t["w"] * t["h"])
        wanted = "hide" if face["decision"] == "keep" else "keep"
        done = browser.script(f"""const b = [...document.querySelectorAll('.face')].find(b =>
            b.getAttribute('aria-label').startsWith('Gesicht {face["id"]}:')); b?.click(); return !!b;""")
        end = time.monotonic() + 3
        while done and time.monotonic() < end:
            if any(t["id"] == face["id"] and t["decision"] == wanted for t in tracks()):
                return True
            time.sleep(0.05)
        return False
    until(decided, "a click decides")
    browser.script("document.querySelector('input[name=set-style][value=solid]').parentElement.click()")
    until(lambda: state()["config"]["style"] == "solid", "the style")
    browser.click("#panic")
    until(lambda: (v := look()) and v["spread"] < 12, "covered")
    with open(os.path.join(shots, "firefox.png"), "wb") as f:
        f.write(base64.b64decode(browser.call("WebDriver:TakeScreenshot", full=False)["value"]))
    browser.click("#panic")
    until(lambda: (v := look()) and v["spread"] > 60, "open")
    browser.click("[data-view=try]")
    browser.call("WebDriver:ElementSendKeys", id=browser.find("#files"),
                 text=os.path.join(folder, "frame.png"))
    until(lambda: browser.script("return document.querySelector('#jobs .tag.good')?.textContent") == "fertig",
          "the upload is done")
    browser.script("document.querySelector('#jobs li:not(:has(progress)) button').click()")
    until(lambda: browser.script("return document.querySelector('#pair .after')?.naturalWidth") == 640,
          "it is shown")


def main():
    shots = sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "out", "page")
    os.makedirs(shots, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="veil-firefox-")
    for name in ("media", "profile"):
        os.mkdir(os.path.join(folder, name))
    clip = need_clip("interview-360.mp4")
    ffmpeg("-stream_loop", "30", "-i", clip, "-an", "-c", "copy", os.path.join(folder, "media", "clip.mp4"))
    ffmpeg("-i", clip, "-frames:v", "1", os.path.join(folder, "frame.png"))
    server = Server("--media", os.path.join(folder, "media"))
    browser = None
    try:
        browser = Firefox(os.path.join(folder, "profile"))
        print("Firefox", browser.version)
        check(server, browser, folder, shots)
    finally:
        if browser:
            browser.close()
        status = server.close()
        shutil.rmtree(folder, ignore_errors=True)
    assert status == 0, server.last


if __name__ == "__main__":
    main()
