"""Find the faces that a network misses in its own training pictures, so that training can look at
them more often (--hard): profiles, covered and turned faces are few among many easy ones.
"""
import argparse

import numpy as np
import torch

from .dataset import Faces
from .guess import overlap
from .loop import load_model
from .paths import CACHE, DATA

FILE = CACHE / "hard.npz"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("checkpoint")
    ap.add_argument("--data", help="data folder with train.jsonl (default: VEIL_DATA)")
    ap.add_argument("--long", type=int, default=640, help="long side of the pictures")
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--out", default=str(FILE))
    a = ap.parse_args()
    from eval.detector import detect, resize_long
    torch.set_num_threads(a.threads)
    model = load_model(a.checkpoint)[0].to(memory_format=torch.channels_last)
    data = Faces(a.data or DATA)
    score = np.ones(len(data.label), np.float32)
    for i in range(len(data)):
        f = np.arange(data.first[i], data.first[i + 1])
        f = f[data.kind[f] == 0]
        if not len(f):
            continue
        padded, s = resize_long(data.pictures[i], a.long)
        d = detect(model, padded, 0.05, bf16=True)
        for k in f:
            x, y, w, h = data.boxes[k] * s
            o = overlap(d, np.array((x, y, x + w, y + h)))
            score[k] = d[o >= 0.5, 4].max(initial=0)
        if i % 500 == 0:
            print(f"{i} of {len(data)}", flush=True)
    np.savez_compressed(a.out, score=score)
    faces = data.kind == 0
    print(f"{(score[faces] < 0.35).mean() * 100:.1f} % of {faces.sum()} faces score below 0.35 -> {a.out}")


if __name__ == "__main__":
    main()
