"""Guess classes for the faces nobody labelled, with a fine-tuned network: soft labels for the next
fine-tuning (finetune --guesses). Each picture is seen twice, once mirrored; a guess is the mean.
"""
import argparse

import numpy as np
import torch

from .dataset import Faces
from .loop import load_model
from .paths import CACHE, DATA

FILE = CACHE / "guesses.npz"
SMALLEST = 0.04  # faces lower than this part of the short side stay without a class


def overlap(d, b):
    """IoU of detections (n,4+) with one box, all x1 y1 x2 y2."""
    iw = np.minimum(d[:, 2], b[2]) - np.maximum(d[:, 0], b[0])
    ih = np.minimum(d[:, 3], b[3]) - np.maximum(d[:, 1], b[1])
    inter = np.maximum(iw, 0) * np.maximum(ih, 0)
    return inter / ((d[:, 2] - d[:, 0]) * (d[:, 3] - d[:, 1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter)


def guess(model, img, boxes, long_side):
    """P(interview) of boxes (n,4) x y w h, -1 where the network finds no face."""
    from eval.detector import detect, resize_long
    out = np.full((2, len(boxes)), np.nan)
    for k in range(2):
        padded, s = resize_long(img[:, ::-1] if k else img, long_side)
        d = detect(model, padded, 0.1, bf16=True)
        for i, (x, y, w, h) in enumerate(boxes):
            if k:
                x = img.shape[1] - x - w
            o = overlap(d, np.array((x, y, x + w, y + h)) * s)
            if len(o) and o.max() >= 0.4:
                out[k, i] = d[o.argmax(), 5]
    mean = out.mean(0)
    return np.where(np.isnan(mean), -1, mean)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("checkpoint")
    ap.add_argument("--data", help="data folder with train.jsonl (default: VEIL_DATA)")
    ap.add_argument("--long", type=int, default=512, help="long side of the pictures")
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--out", default=str(FILE))
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    model = load_model(a.checkpoint)[0].to(memory_format=torch.channels_last)
    data = Faces(a.data or DATA)
    label = np.full(len(data.label), -1, np.float32)
    for i in np.flatnonzero(~data.labelled):
        f = np.arange(data.first[i], data.first[i + 1])
        img = data.pictures[i]
        f = f[(data.kind[f] == 0) & (data.boxes[f, 3] >= SMALLEST * min(img.shape[:2]))]
        if len(f):
            label[f] = guess(model, img, data.boxes[f], a.long)
        if i % 500 == 0:
            print(f"{i} of {len(data)}", flush=True)
    np.savez_compressed(a.out, label=label)
    said = label[label >= 0]
    print(f"{len(said)} faces: {(said > 0.8).sum()} rather interview, {(said < 0.2).sum()} rather background -> {a.out}")


if __name__ == "__main__":
    main()
