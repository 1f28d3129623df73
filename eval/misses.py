"""Contact sheet of the worst misses: the largest faces of the WIDER val pictures that the network scores
below a threshold, and its surest boxes that are no face. For looking at, to say in the model card what
the network is weak at; the pictures are not ours to publish.
"""
import argparse

import cv2
import numpy as np
import torch

from train.loop import load_finished
from train.paths import DATA

from .wider import Truth, overlaps, run_detector

CELL, ROWS = 160, 10


def cell(path, box, text):
    """The box with three times its surroundings, its size and score."""
    img = cv2.imread(str(path), cv2.IMREAD_COLOR)
    x, y, w, h = box
    side = 3 * max(w, h)
    z = CELL / side
    m = np.array([[z, 0, CELL / 2 - z * (x + w / 2)], [0, z, CELL / 2 - z * (y + h / 2)]])
    out = cv2.warpAffine(img, m, (CELL, CELL), flags=cv2.INTER_AREA if z < 1 else cv2.INTER_LINEAR, borderValue=(114,) * 3)
    a = int(CELL / 2 - z * w / 2), int(CELL / 2 - z * h / 2)
    cv2.rectangle(out, a, (int(a[0] + z * w), int(a[1] + z * h)), (0, 255, 0), 1)
    cv2.putText(out, text, (3, CELL - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(out, text, (3, CELL - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1, cv2.LINE_AA)
    return out


def worst(preds, truth, below, most):
    """Rows (path, box, text): missed faces of the easy list, largest first; false boxes, surest first."""
    missed, false = [], []
    for p, gt, keep, path in zip(preds, truth.boxes, truth.keep["easy"], truth.paths):
        o = overlaps(p, gt) if len(p) and len(gt) else np.zeros((len(p), len(gt)))
        for g in keep:
            hit = o[:, g] >= 0.5
            score = p[hit, 4].max(initial=0)
            if score < below:
                missed.append((gt[g, 3], (path, gt[g], f"{gt[g, 3]:.0f}px {score:.2f}")))
        for k in np.flatnonzero(o.max(1, initial=0) < 0.1):
            false.append((p[k, 4], (path, p[k, :4], f"{p[k, 3]:.0f}px {p[k, 4]:.2f}")))
    return [[r for _, r in sorted(rows, key=lambda r: -r[0])[:most]] for rows in (missed, false)]


def sheet(rows):
    cells = [cell(*r) for r in rows]
    cells += [np.full((CELL, CELL, 3), 255, np.uint8)] * (-len(cells) % ROWS)
    return np.vstack([np.hstack(cells[k:k + ROWS]) for k in range(0, len(cells), ROWS)])


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("checkpoint")
    ap.add_argument("--data", default=DATA)
    ap.add_argument("--long", type=int, default=640, help="long side (default %(default)s)")
    ap.add_argument("--below", type=float, default=0.3, help="a face that scores less is missed (default %(default)s)")
    ap.add_argument("--most", type=int, default=50, help="faces a sheet (default %(default)s)")
    ap.add_argument("--out", default="misses", help="writes OUT-missed.png and OUT-false.png (default %(default)s)")
    a = ap.parse_args()
    torch.set_num_threads(1)
    truth = Truth(a.data)
    preds = run_detector(load_finished(a.checkpoint)[0], truth, a.long, 0.05, bf16=True)
    for name, rows in zip(("missed", "false"), worst(preds, truth, a.below, a.most)):
        if rows:
            cv2.imwrite(f"{a.out}-{name}.png", sheet(rows))
        print(f"{name}: {len(rows)} -> {a.out}-{name}.png" if rows else f"{name}: none")


if __name__ == "__main__":
    main()
