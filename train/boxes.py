"""Straighten loosely drawn boxes with a trained network, for the next fine-tuning (--boxes).

In two of the sources (dataset.LOOSE) boxes start at the brow or the chin as it comes: without a
common offset, but half of them overlap the network's by less than 0.72 and 0.79 (0.83 in WIDER, 0.92
in FDDB; medians over 120 pictures of each, faces from 24 px, sixth round). A network learns there that its boxes cannot be trusted, and says so in the score of large
faces. A face keeps a quarter of its own box; the rest is the mean of what the network sees in four
looks (two sizes, mirrored).
"""
import numpy as np

from .dataset import LOOSE
from .look import begin, faces_by_picture, look
from .paths import CACHE

FILE = CACHE / "boxes.npz"
OWN = 0.25                   # share of the box that stays
OVERLAP, SCORE = 0.35, 0.35  # what counts as the same face, and as seen
SMALLEST = 16                # px; below, a pixel's error is as large as the annotator's


def straighten(seen, box):
    """Box x y w h as most looks (lists of detections) see it, or as it is."""
    from eval.detector import overlap
    x, y, w, h = box
    own = np.array((x, y, x + w, y + h))
    found = []
    for d in seen:
        o = overlap(d, own)
        if len(o) and o.max() >= OVERLAP:
            found.append(d[o.argmax(), :4])
    if len(found) <= len(seen) // 2:
        return box
    b = OWN * own + (1 - OWN) * np.mean(found, 0)
    return np.array((b[0], b[1], b[2] - b[0], b[3] - b[1]))


def main():
    a, model, data = begin(__doc__, FILE, 640)
    boxes, moved = data.boxes.copy(), 0
    for i, f in faces_by_picture(data):
        f = f[np.sqrt(data.boxes[f, 2] * data.boxes[f, 3]) >= SMALLEST]
        if data.source[i] not in LOOSE or not len(f):
            continue
        seen = [look(model, data.pictures[i], side, SCORE, mirrored)
                for side in (a.long, a.long * 3 // 4) for mirrored in (False, True)]
        for k in f:
            boxes[k] = straighten(seen, data.boxes[k])
            moved += not np.array_equal(boxes[k], data.boxes[k])
    np.savez_compressed(a.out, boxes=boxes)
    print(f"{moved} boxes straightened -> {a.out}")


if __name__ == "__main__":
    main()
