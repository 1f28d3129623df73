"""Guess classes for the faces nobody labelled, with a fine-tuned network: soft labels for the next
fine-tuning (finetune --guesses). Each picture is seen twice, once mirrored; a guess is the mean.
"""
import numpy as np

from .look import begin, faces_by_picture, look
from .paths import CACHE

FILE = CACHE / "guesses.npz"
SMALLEST = 0.04  # faces lower than this part of the short side stay without a class


def guess(model, img, boxes, long_side):
    """P(interview) of boxes (n,4) x y w h, -1 where the network finds no face."""
    from eval.detector import overlap
    out = np.full((2, len(boxes)), np.nan)
    for k in range(2):
        d = look(model, img, long_side, 0.1, mirrored=k == 1)
        for i, (x, y, w, h) in enumerate(boxes):
            o = overlap(d, np.array((x, y, x + w, y + h)))
            if len(o) and o.max() >= 0.4:
                out[k, i] = d[o.argmax(), 5]
    mean = out.mean(0)
    return np.where(np.isnan(mean), -1, mean)


def main():
    a, model, data = begin(__doc__, FILE, 512)
    label = np.full(len(data.label), -1, np.float32)
    for i, f in faces_by_picture(data):
        if data.labelled[i] or not len(f):
            continue
        img = data.pictures[i]
        f = f[data.boxes[f, 3] >= SMALLEST * min(img.shape[:2])]
        if len(f):
            label[f] = guess(model, img, data.boxes[f], a.long)
    np.savez_compressed(a.out, label=label)
    said = label[label >= 0]
    print(f"{len(said)} faces: {(said > 0.8).sum()} rather interview, {(said < 0.2).sum()} rather background -> {a.out}")


if __name__ == "__main__":
    main()
