"""Find the faces that a network misses in its own training pictures, so that training can look at
them more often (--hard): profiles, covered and turned faces are few among many easy ones.
"""
import numpy as np

from .look import begin, faces_by_picture
from .paths import CACHE

FILE = CACHE / "hard.npz"


def main():
    from eval.detector import detect, overlap, resize_long
    a, model, data = begin(__doc__, FILE, 640)
    score = np.ones(len(data.label), np.float32)
    for i, faces in faces_by_picture(data):
        if not len(faces):
            continue
        padded, s = resize_long(data.pictures[i], a.long)
        d = detect(model, padded, 0.05, bf16=True)
        for k in faces:
            x, y, w, h = data.boxes[k] * s
            o = overlap(d, np.array((x, y, x + w, y + h)))
            score[k] = d[o >= 0.5, 4].max(initial=0)
    np.savez_compressed(a.out, score=score)
    faces = data.kind == 0
    print(f"{(score[faces] < 0.35).mean() * 100:.1f} % of {faces.sum()} faces score below 0.35 -> {a.out}")


if __name__ == "__main__":
    main()
