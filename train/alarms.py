"""Find what a network takes for a face in its own training pictures, so that training can look at it
more often (--alarms): clothes, hands and lamps are few among many crops of faces.

What overlaps a face or an area that people or a teacher left open counts as neither.
"""
import numpy as np

from .look import begin, faces_by_picture, look
from .paths import CACHE

FILE = CACHE / "alarms.npz"
SCORE = 0.15     # what counts as seen
APART = 0.15     # share of an alarm that a face or an open area may cover
SMALLEST = 14    # px; where smaller faces are, the labels are not complete


def alone(d, boxes):
    """Whether each detection x1 y1 x2 y2 of d (n,6) is apart from all boxes x y w h."""
    if not len(boxes) or not len(d):
        return np.ones(len(d), bool)
    tl = np.maximum(d[:, None, :2], boxes[None, :, :2])
    br = np.minimum(d[:, None, 2:4], (boxes[:, :2] + boxes[:, 2:])[None])
    area = (d[:, 2] - d[:, 0]) * (d[:, 3] - d[:, 1])
    return ((br - tl).clip(0).prod(-1).max(1) / area.clip(1e-6)) < APART


def main():
    a, model, data = begin(__doc__, FILE, 640, score=SCORE)
    rows = []
    for i, _ in faces_by_picture(data):
        known = data.boxes[data.first[i]:data.first[i + 1]]
        seen = np.zeros((0, 4))
        for side in (a.long, a.long // 2):  # large things look like faces where they are small
            d = look(model, data.pictures[i], side, a.score, False)
            d = d[np.sqrt((d[:, 2] - d[:, 0]) * (d[:, 3] - d[:, 1])) >= SMALLEST]
            d = d[alone(d, np.concatenate((known, seen)))]
            box = np.column_stack((d[:, :2], d[:, 2:4] - d[:, :2]))
            seen = np.concatenate((seen, box))
            rows += [(i, *b, s) for b, s in zip(box, d[:, 4])]
    np.savez_compressed(a.out, alarms=np.array(rows, np.float32).reshape(-1, 6), faces=len(data.label))
    print(f"{len(rows)} alarms in {len({r[0] for r in rows})} of {len(data)} pictures -> {a.out}")


if __name__ == "__main__":
    main()
