"""Views for the two classes: whole pictures, and interviews composed over crowds.

Who a recording is about shows in the context and in relative size, so these
views keep (nearly) the whole picture.
"""
import cv2
import numpy as np
import torch

from . import sprites, views
from .augment import augment, tone
from .batches import CropBatches, collate
from .dataset import draw

# canvases (w, h), pictures a batch, share of the batches: about equal work, landscape as in video first. Pictures
# upright or of 4:3 are to be seen as large as the product sees them too.
CANVASES = (((640, 384), 14, 0.35), ((640, 480), 11, 0.25), ((512, 640), 11, 0.2), ((448, 448), 16, 0.2))
CROWDS = {"wider", "shanghaitech_B", "maskon", "facemask_ilc2021", "street_lschen"}


def soften(img, faces, rng):
    """Take one class out of focus, whichever: a network that sees only sharp interviewees learns
    sharpness instead of what they do. Faces below 12 px are soft anyway."""
    boxes, kind, label = faces
    some = np.flatnonzero((kind == 0) & (label >= 0) & (boxes[:, 3] >= 12))
    if not len(some):
        return img
    which = some[(label[some] >= 0.5) == (rng.random() < 0.6)]
    if not len(which):
        return img
    h, w = img.shape[:2]
    mask = np.zeros((h, w), np.float32)
    for x, y, bw, bh in boxes[which]:  # head, shoulders and what is below them
        cv2.ellipse(mask, (int(x + bw / 2), int(y + bh / 2)), (int(0.9 * bw), int(0.9 * bh)), 0, 0, 360, 1, -1)
        cv2.rectangle(mask, (int(x - 0.6 * bw), int(y + bh)), (int(x + 1.6 * bw), int(y + 4 * bh)), 1, -1)
    size = float(np.median(boxes[which, 3]))
    mask = cv2.GaussianBlur(mask, (0, 0), 0.15 * size + 0.5)[..., None]
    soft = cv2.GaussianBlur(img, (0, 0), size * rng.uniform(0.02, 0.07) + 0.3)
    return (img + mask * (soft.astype(np.float32) - img)).astype(np.uint8)


def far(img, faces, canvas, rng):
    """The whole picture small, in front of a blurred part of itself: interviewees are not always
    large, and a network that goes by size alone would hide the small ones."""
    ih, iw = img.shape[:2]
    z = min(canvas[0] / iw, canvas[1] / ih) * rng.uniform(0.4, 0.7)
    w, h = round(iw * z), round(ih * z)
    small, (b, kind, label) = views.cut(img, faces, (0, 0, iw, ih), (w, h))
    out = cv2.resize(img[ih // 3:, : iw // 2] if rng.random() < 0.5 else img[: ih // 2, iw // 3:], canvas)
    blur = rng.random() < 0.7
    out = cv2.GaussianBlur(out, (0, 0), 0.06 * max(canvas)) if blur else np.full_like(out, rng.integers(0, 256))
    x, y = int(rng.integers(0, canvas[0] - w + 1)), int(rng.integers(0, canvas[1] - h + 1))
    out[y:y + h, x:x + w] = small
    b[:, 0] += x
    b[:, 1] += y
    return out, (b, kind, label)


def near(img, faces, canvas, rng):
    """A crop in which one bystander is as large as interviewees are; None where nobody suits, or
    where he would be alone: who is alone before a camera is mostly its subject."""
    boxes, kind, label = faces
    some = np.flatnonzero((kind == 0) & (label >= 0) & (label < 0.2) & (boxes[:, 3] >= 28))
    if not len(some):
        return None
    box = boxes[rng.choice(some)]
    ih, iw = img.shape[:2]
    z = canvas[1] * rng.uniform(0.18, 0.4) / box[3]
    z = float(np.clip(z, max(canvas[0] / iw, canvas[1] / ih), 3.5))
    view, seen = views.around(img, faces, canvas, box, z, (rng.uniform(0.25, 0.75), rng.uniform(0.2, 0.5)))
    company = (seen[1] == 0) & (seen[0][:, 3] >= 0.3 * box[3] * z)
    return (view, seen) if company.sum() >= 2 else None


def passing(img, faces, rng):
    """Something passes before one face, the interviewee's more often than others: a person's back, a post, a
    hand. In pictures mostly bystanders are half hidden, by interviewees; a network that knows only those
    takes whoever is half hidden for a bystander."""
    boxes, kind, label = faces
    some = np.flatnonzero((kind == 0) & (label >= 0) & (boxes[:, 3] >= 20))
    if not len(some):
        return img, faces
    p = np.where(label[some] >= 0.5, 4.0, 1.0)
    x, y, w, h = boxes[rng.choice(some, p=p / p.sum())]
    ih, iw = img.shape[:2]
    share, side = rng.uniform(0.15, 0.6), rng.choice((-1, 1))
    if rng.random() < 0.7:  # upright, from somewhere above the face to the lower edge
        ow, top = w * np.exp(rng.uniform(np.log(0.3), np.log(2.5))), y - h * rng.uniform(-0.2, 3.0)
        # its inner edge lies where `share` of the face is behind it, or it stands whole before the face
        edge = x + share * w if side < 0 else x + (1 - share) * w
        left = x + rng.uniform(0, 1) * (w - ow) if ow < share * w else edge - ow if side < 0 else edge
        rect = left, top, left + ow, ih + 2 * h
    else:  # from below or from a side, over the chin or the brow
        low = y + h * (1 - share) if rng.random() < 0.8 else y - h * (0.6 - share)
        reach = rng.uniform(0.6, 3.0) * w
        rect = (x - reach if side < 0 else x + 0.2 * w, low, x + 0.8 * w if side < 0 else x + w + reach,
                low + h * rng.uniform(0.3, 0.9))
    corners = cv2.boxPoints((((rect[0] + rect[2]) / 2, (rect[1] + rect[3]) / 2), (rect[2] - rect[0], rect[3] - rect[1]),
                             float(rng.normal(0, 5))))
    mask = np.zeros((ih, iw), np.float32)
    cv2.fillConvexPoly(mask, np.round(corners).astype(np.int32), 1.0)
    mask = cv2.GaussianBlur(mask, (0, 0), max(0.6, h * rng.uniform(0.01, 0.06)))
    how = rng.random()
    if how < 0.5:  # what stands elsewhere in the picture, larger and out of focus
        cw, ch = max(2, iw // int(rng.integers(3, 12))), max(2, ih // int(rng.integers(2, 6)))
        cx, cy = int(rng.integers(0, iw - cw + 1)), int(rng.integers(0, ih - ch + 1))
        cloth = cv2.resize(img[cy:cy + ch, cx:cx + cw], (iw, ih))
        cloth = cv2.GaussianBlur(cloth, (0, 0), 0.02 * iw * rng.random() + 0.5).astype(np.float32) * rng.uniform(0.4, 1.2)
    else:
        cloth = np.full((ih, iw, 3), rng.integers(0, 256, 3) if how < 0.75 else rng.integers(20, 200), np.float32)
    img = (img + mask[..., None] * (cloth - img)).clip(0, 255).astype(np.uint8)
    return img, hidden(faces, mask, (0, 0))


def hidden(faces, alpha, at):
    """Faces behind something of this opacity (h,w) whose upper left corner lies at (x,y): they vanish, mostly hidden
    ones cost nothing; a third of a face is still to be found, since who comes out from behind must not be seen
    before he is hidden."""
    boxes, kind, label = faces
    covered = np.zeros(len(boxes))
    for k, (x, y, w, h) in enumerate(boxes):
        part = alpha[max(0, int(y) - at[1]):max(0, int(y + h) - at[1]), max(0, int(x) - at[0]):max(0, int(x + w) - at[0])]
        covered[k] = part.sum() / max(1.0, w * h)
    keep = covered < 0.8
    return boxes[keep], np.where(covered > 0.68, 1, kind)[keep].astype(np.int8), label[keep]


class Speakers:
    """Keyed speakers to place in front of a picture."""

    def __init__(self):
        if not sprites.FILE.exists():
            raise SystemExit("no cut-out speakers: run python3 -m train.sprites --checkpoint ... first")
        z = np.load(sprites.FILE)
        self.rgba, self.boxes = z["sprites"], z["boxes"]

    def place(self, img, faces, rng):
        """Put one speaker at the lower edge; every other face is background now.

        Three times in four he is taller than they are; not always, or height would be all there is
        to learn.
        """
        h, w = img.shape[:2]
        tallest = faces[0][:, 3].max(initial=0) / h * rng.choice((0.55, 1.0, 1.0, 1.0))
        i = int(rng.integers(len(self.rgba)))
        man, box = self.rgba[i], self.boxes[i]
        scale = h * np.exp(rng.uniform(np.log(max(0.10, min(0.45, 1.1 * tallest))), np.log(0.5))) / box[3]
        rgb = tone(np.ascontiguousarray(man[..., :3]), rng, rng.random() < 0.05)
        size = (max(8, round(man.shape[1] * scale * rng.uniform(0.92, 1.08))), max(8, round(man.shape[0] * scale)))
        how = cv2.INTER_AREA if scale < 0.8 else cv2.INTER_LINEAR
        rgb, alpha = cv2.resize(rgb, size, interpolation=how), cv2.resize(man[..., 3], size, interpolation=how)
        sx, sy = size[0] / man.shape[1], size[1] / man.shape[0]
        b = np.array([box[0] * sx, box[1] * sy, box[2] * sx, box[3] * sy])
        if rng.random() < 0.5:
            rgb, alpha, b[0] = rgb[:, ::-1], alpha[:, ::-1], size[0] - b[0] - b[2]
        # the face stays inside; the body reaches the lower edge
        x = int(np.clip(rng.uniform(0, w) - b[0] - b[2] / 2, -b[0], w - b[0] - b[2]))
        y = int(max(h - size[1], -b[1])) + int(rng.uniform(0, 0.1) * size[1])
        x0, y0, x1, y1 = max(0, x), max(0, y), min(w, x + size[0]), min(h, y + size[1])
        a = alpha[y0 - y:y1 - y, x0 - x:x1 - x].astype(np.float32)[..., None] / 255
        img = np.ascontiguousarray(img)
        img[y0:y1, x0:x1] = (a * rgb[y0 - y:y1 - y, x0 - x:x1 - x] + (1 - a) * img[y0:y1, x0:x1]).astype(np.uint8)
        return img, self.merge(faces, b + (x, y, 0, 0), a[..., 0], (x0, y0, x1, y1))

    @staticmethod
    def merge(faces, box, alpha, area):
        """The faces behind the speaker, all background now, and his own."""
        boxes, kind, _ = hidden(faces, alpha, area[:2])
        return (np.concatenate((boxes, box[None].astype(np.float32))), np.append(kind, np.int8(0)),
                np.append(np.zeros(len(boxes), np.float32), np.float32(1)))


class MixedBatches(CropBatches):
    """Class batches and detection batches in turn.

    guesses: soft labels of the other pictures (guess.py), which then make up `guessed` of the
    pictures in class batches, at half the weight.
    """

    def __init__(self, data, batch, size, seed, composed=0.25, guesses=None, guessed=0.35, smallest=8.0):
        super().__init__(data, batch, size, seed, smallest=smallest)
        self.guesses, self.guessed = guesses, guessed if guesses is not None else 0.0
        if guesses is not None:
            some = [(guesses[data.first[i]:data.first[i + 1]] >= 0).any() for i in range(len(data))]
            self.other = np.flatnonzero(some & ~data.labelled)
        self.composed, self.speakers = composed, Speakers() if composed else None
        self.known = np.flatnonzero(data.labelled)
        self.crowds = np.array([i for i in range(len(data)) if data.source[i] in CROWDS
                                and (data.kind[data.first[i]:data.first[i + 1]] == 0).sum() >= 2])
        # pictures with both classes teach most
        both = [len(set(data.label[data.first[i]:data.first[i + 1]]) & {0, 1}) == 2 for i in self.known]
        w = np.where(both, 2.5, 1.0)
        self.known_cdf = np.cumsum(w / w.sum())

    def class_sample(self, canvas, rng):
        compose = rng.random() < self.composed and len(self.crowds)
        if compose:
            for _ in range(4):  # look for a view without faces too large for a background
                i = int(rng.choice(self.crowds))
                img, faces = views.natural(self.data.pictures[i], self.data.faces(i), canvas, rng, (0.5, 0.7, 0.9, 1.0))
                if faces[0][:, 3].max(initial=0) < 0.35 * canvas[1]:
                    break
            if rng.random() < 0.5:
                img = cv2.GaussianBlur(img, (0, 0), rng.uniform(0.5, 1.8))
            img, faces = self.speakers.place(img, faces, rng)
            weight = 1.0
            if rng.random() < 0.25:
                img, faces = passing(img, faces, rng)
        else:
            if rng.random() < self.guessed:
                i = int(rng.choice(self.other))
                img, (boxes, kind, _) = self.data.pictures[i], self.data.faces(i)
                faces = boxes, kind, self.guesses[self.data.first[i]:self.data.first[i + 1]].copy()
                weight = 0.5
            else:
                i = int(self.known[draw(self.known_cdf, rng)])
                img, faces = self.data.pictures[i], self.data.faces(i)
                weight = 0.3 if self.data.doubtful[i] else 1.0
            p = rng.random()
            view = near(img, faces, canvas, rng) if p < 0.10 else None
            if view:
                img, faces = view
            elif p < 0.20:
                img, faces = far(img, faces, canvas, rng)
            elif p < 0.41:  # most of the picture
                ih, iw = img.shape[:2]
                s = rng.uniform(0.75, 0.95)
                x, y = rng.uniform(0, (1 - s) * iw), rng.uniform(0, (1 - s) * ih)
                z = min(canvas[0] / (iw * s), canvas[1] / (ih * s))
                w, h = int(iw * s * z) // 2 * 2, int(ih * s * z) // 2 * 2
                tile, faces = views.cut(img, faces, (x, y, iw * s, ih * s), (w, h))
                img = np.full((canvas[1], canvas[0], 3), views.GREY, np.uint8)
                img[:h, :w] = tile
            else:
                img, faces = views.whole(img, faces, canvas, max(canvas) * rng.uniform(0.6, 1.0), rng)
            if rng.random() < 0.3:
                img = soften(img, faces, rng)
            if rng.random() < 0.12:
                img, faces = passing(img, faces, rng)
        img, faces = augment(img, faces, rng, turn=rng.random() < 0.3)
        return img, faces, weight, 1.0

    def __iter__(self):
        cv2.setNumThreads(1)
        info = torch.utils.data.get_worker_info()
        rng = np.random.default_rng([self.seed, info.id if info else 0])
        while True:
            canvas, n, _ = CANVASES[rng.choice(len(CANVASES), p=[c[2] for c in CANVASES])]
            yield collate([self.class_sample(canvas, rng) for _ in range(max(1, n * self.batch // 32))])
            yield collate([self.sample(rng) for _ in range(self.batch)])
