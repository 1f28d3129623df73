"""For tools that look through the training pictures with a trained network (guess.py, hard.py, alarms.py, boxes.py,
relate.py)."""
import argparse

import numpy as np
import torch

from .dataset import Faces
from .loop import load_finished
from .paths import DATA


def begin(description, out, long_side, labels=False, score=None):
    """The command line, the network and the data."""
    ap = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("checkpoint")
    ap.add_argument("--data", help="data folder with train.jsonl (default: VEIL_DATA)")
    ap.add_argument("--long", type=int, default=long_side, help="long side of the pictures")
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--out", default=str(out))
    if score is not None:
        ap.add_argument("--score", type=float, default=score, help="what counts as seen (default %(default)s)")
    if labels:
        ap.add_argument("--labels", nargs="+", default=[], help="classes given after the data was made (train/labels/*.jsonl)")
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    data = Faces(a.data or DATA)
    for file in a.labels if labels else ():
        data.add_labels(file)
    return a, load_finished(a.checkpoint)[0].to(memory_format=torch.channels_last), data


def look(model, img, long_side, score, mirrored):
    """Detections (n,6) x1 y1 x2 y2 score P(interview) in pixels of the picture, seen as it is or mirrored."""
    from eval.detector import detect, resize_long
    padded, s = resize_long(img[:, ::-1] if mirrored else img, long_side)
    d = detect(model, padded, score, bf16=True)
    d[:, :4] /= s
    if mirrored:
        d[:, [0, 2]] = img.shape[1] - d[:, [2, 0]]
    return d


def faces_by_picture(data):
    """(picture, its faces that are not ignored) for every picture, with a line of progress now and then."""
    for i in range(len(data)):
        f = np.arange(data.first[i], data.first[i + 1])
        yield i, f[data.kind[f] == 0]
        if i % 500 == 0:
            print(f"{i} of {len(data)}", flush=True)
