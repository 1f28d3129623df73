"""Batches of views for the network, made in worker processes.

A batch is a dict of tensors:
  images (B,H,W,3) uint8 RGB;  faces (N,8): picture, x1 y1 x2 y2, label (-1 none),
  label weight, 0;  weight (B,A) uint8: cost of calling a cell a face, 255 = full,
  0 = ignore area.
"""
import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

from . import views
from .augment import augment
from .dataset import draw
from .model import STRIDES

ALARMS = 0.1  # share of the views that show what was taken for a face
SOFT = 0.05   # and of those far out of focus


def cell_weight(faces, w, h, fine=1.0):
    """Weight of every cell as a negative: 0 in ignore areas, `fine` at stride 8."""
    b = faces[0][faces[1] == 1]
    maps = []
    for s in STRIDES:
        m = np.full((h // s, w // s), int(255 * (fine if s == 8 else 1.0)), np.uint8)
        for x, y, bw, bh in b:
            if max(bw, bh) < 0.5 * s:
                continue
            cx, cy = int((x + bw / 2) / s), int((y + bh / 2) / s)
            x0, x1 = min(cx, round(x / s)), max(cx + 1, round((x + bw) / s))
            y0, y1 = min(cy, round(y / s)), max(cy + 1, round((y + bh) / s))
            m[max(0, y0):y1, max(0, x0):x1] = 0
        maps.append(m.ravel())
    return np.concatenate(maps)


def collate(samples):
    """[(image, faces, label weight, fine weight)] -> batch dict."""
    h, w = samples[0][0].shape[:2]
    rows = []
    for i, (_, (b, kind, label), lw, _) in enumerate(samples):
        m = kind == 0
        b, label = b[m], label[m]
        rows.append(np.column_stack((np.full(len(b), i), b[:, :2], b[:, :2] + b[:, 2:], label,
                                     np.full(len(b), lw), np.zeros(len(b)))).astype(np.float32))
    return {"images": torch.from_numpy(np.stack([s[0] for s in samples])),
            "faces": torch.from_numpy(np.concatenate(rows).reshape(-1, 8)),
            "weight": torch.from_numpy(np.stack([cell_weight(s[1], w, h, s[3]) for s in samples]))}


class CropBatches(IterableDataset):
    """Endless batches of crops and mosaics for detection."""

    def __init__(self, data, batch, size, seed, mosaic=0.3, smallest=8.0):
        self.data, self.batch, self.size, self.seed, self.mosaic = data, batch, size, seed, mosaic
        self.smallest = smallest  # px, of the faces that crops are cut around
        self.cdf = np.cumsum(data.weight / data.weight.sum())

    def pick(self, rng):
        i = draw(self.cdf, rng)
        return i, self.data.pictures[i], self.data.faces(i), self.data.wanted(i)

    def sample(self, rng):
        size = (self.size, self.size)
        kind, i = rng.random(), None
        if kind < SOFT:
            i, img, faces, _ = self.pick(rng)
            img, faces = views.out_of_focus(img, faces, size, rng)
        elif self.data.alarms is not None and kind < SOFT + ALARMS:
            i, box = self.data.alarm(rng)
            img, faces = views.toward(self.data.pictures[i], self.data.faces(i), size, box, rng, lo=14.0)
        elif rng.random() < self.mosaic:
            img, faces = views.mosaic(lambda: self.pick(rng)[1:], size, rng, self.smallest)
        else:
            i, img, faces, want = self.pick(rng)
            img, faces = views.crop(img, faces, size, rng, want, self.smallest)
        fine = 0.3 if i is not None and self.data.one_scale[i] else 1.0
        img, faces = augment(img, faces, rng)
        return img, faces, 0.0, fine

    def __iter__(self):
        import cv2
        cv2.setNumThreads(1)
        info = torch.utils.data.get_worker_info()
        rng = np.random.default_rng([self.seed, info.id if info else 0])
        while True:
            yield collate([self.sample(rng) for _ in range(self.batch)])


def loader(batches, workers=2):
    """Batches made ahead in `workers` processes."""
    return DataLoader(batches, batch_size=None, num_workers=workers,
                      **({"prefetch_factor": 4} if workers else {}))
