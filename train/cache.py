"""Decode every picture once into one file of uint8 RGB.

Decoding WebP costs more than a training step on a small network, so it must
not happen in the loop. The operating system's page cache does the rest.
"""
import hashlib
import json
import multiprocessing as mp
import os
from pathlib import Path

import cv2
import numpy as np

from .paths import CACHE, need


def _shape(path):
    img = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if img is None:
        raise SystemExit(f"cannot decode picture: {path}")
    return img


def _fill(job):
    file, total, paths, offsets, shapes = job
    out = np.memmap(file, np.uint8, "r+", shape=(total,))
    for p, o, (h, w) in zip(paths, offsets, shapes):
        img = _shape(p)
        if img.shape[:2] != (h, w):  # labels are in the size the list states
            img = cv2.resize(img, (w, h), interpolation=cv2.INTER_AREA)
        out[o:o + h * w * 3] = cv2.cvtColor(img, cv2.COLOR_BGR2RGB).ravel()


class PictureCache:
    """pictures[i] is the RGB picture i (h, w, 3), read from the cache file."""

    def __init__(self, paths, shapes, cache=CACHE, workers=2):
        paths = [str(p) for p in paths]
        key = hashlib.sha256(json.dumps([paths, [list(map(int, s)) for s in shapes]]).encode()).hexdigest()[:12]
        sizes = np.array([h * w * 3 for h, w in shapes], np.int64)
        self.offsets = np.concatenate(([0], np.cumsum(sizes)))
        self.shapes = [tuple(map(int, s)) for s in shapes]
        total = int(self.offsets[-1])
        Path(cache).mkdir(parents=True, exist_ok=True)
        file, done = Path(cache) / f"{key}.rgb", Path(cache) / f"{key}.done"
        if not done.exists():
            print(f"decoding {len(paths)} pictures into {file} ({total / 1e9:.1f} GB)", flush=True)
            with open(file, "wb") as f:
                f.truncate(total)
            n = 64
            jobs = [(str(file), total, [need(p, "picture") for p in paths[i:i + n]],
                     self.offsets[i:i + n], self.shapes[i:i + n]) for i in range(0, len(paths), n)]
            with mp.Pool(workers) as pool:
                for _ in pool.imap_unordered(_fill, jobs):
                    pass
            done.write_text("whole\n")
        self.file = os.open(file, os.O_RDONLY)  # one read costs less than hundreds of page faults

    def __len__(self):
        return len(self.shapes)

    def __getitem__(self, i):
        h, w = self.shapes[i]
        o = self.offsets[i]
        return np.frombuffer(os.pread(self.file, h * w * 3, int(o)), np.uint8).reshape(h, w, 3)
