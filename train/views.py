"""Training views: crops, mosaics and whole pictures with their boxes.

A view is cut straight from the cached picture at the size the network sees,
so a sample costs one crop and one resize.
"""
import cv2
import numpy as np

GREY = 114
ENTERING = 0.4  # share of a face at the edge from which it is to be found; half of it always is
SMALLEST = 5.0  # below this many pixels a face costs nothing, either way


def cut(img, faces, rect, size):
    """Cut rect (x, y, w, h; may leave the picture) to size (w, h); grey outside."""
    (x, y, w, h), (ow, oh) = rect, size
    boxes, kind, label = faces
    ih, iw = img.shape[:2]
    sx, sy = ow / w, oh / h
    x0, y0, x1, y1 = max(0, int(x)), max(0, int(y)), min(iw, int(np.ceil(x + w))), min(ih, int(np.ceil(y + h)))
    out = np.full((oh, ow, 3), GREY, np.uint8)
    if x1 <= x0 or y1 <= y0:
        return out, _empty()
    dx0, dy0 = max(0, round((x0 - x) * sx)), max(0, round((y0 - y) * sy))
    dx1, dy1 = min(ow, round((x1 - x) * sx)), min(oh, round((y1 - y) * sy))
    if dx1 <= dx0 or dy1 <= dy0:
        return out, _empty()
    how = cv2.INTER_AREA if sx < 0.6 else cv2.INTER_LINEAR
    out[dy0:dy1, dx0:dx1] = cv2.resize(img[y0:y1, x0:x1], (dx1 - dx0, dy1 - dy0), interpolation=how)
    b = boxes.copy()
    b[:, 0], b[:, 1] = (b[:, 0] - x) * sx, (b[:, 1] - y) * sy
    b[:, 2], b[:, 3] = b[:, 2] * sx, b[:, 3] * sy
    return out, clip((b, kind.copy(), label.copy()), ow, oh)


def _empty():
    return np.zeros((0, 4), np.float32), np.zeros(0, np.int8), np.zeros(0, np.float32)


def clip(faces, w, h):
    """Clip boxes to the view. Cut-off or tiny faces become ignore areas, not negatives."""
    b, kind, label = faces
    if not len(b):
        return faces
    x0, y0, x1, y1 = b[:, 0], b[:, 1], b[:, 0] + b[:, 2], b[:, 1] + b[:, 3]
    cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
    area = np.maximum(b[:, 2] * b[:, 3], 1e-6)
    c = np.stack((x0.clip(0, w), y0.clip(0, h), x1.clip(0, w), y1.clip(0, h)), 1)
    cw, ch = c[:, 2] - c[:, 0], c[:, 3] - c[:, 1]
    seen = cw * ch / area
    inside = (cx > 0) & (cx < w) & (cy > 0) & (cy < h)
    # who comes in at the edge is to be found before half of his face is there
    kind = np.where((~inside & (seen < ENTERING)) | (np.sqrt(cw * ch) < SMALLEST), 1, kind).astype(np.int8)
    keep = (seen > 0.15) & (cw > 0.5) & (ch > 0.5)
    b = np.stack((c[:, 0], c[:, 1], cw, ch), 1).astype(np.float32)
    return b[keep], kind[keep], label[keep]


def whole(img, faces, size, long_side, rng):
    """The whole picture at `long_side`, placed anywhere on a grey canvas of size (w, h)."""
    ow, oh = size
    ih, iw = img.shape[:2]
    s = min(long_side / max(ih, iw), ow / iw, oh / ih)
    x = -rng.random() * max(0.0, ow - iw * s) / s
    y = -rng.random() * max(0.0, oh - ih * s) / s
    return cut(img, faces, (x, y, ow / s, oh / s), size)


def natural(img, faces, size, rng, shares=(0.3, 0.45, 0.6, 0.8, 1.0, 1.2)):
    """A random crop of a random share of the picture, up to the whole with margins."""
    ow, oh = size
    ih, iw = img.shape[:2]
    share = rng.choice(shares)
    z = max(ow, oh) / (share * min(ih, iw))
    return _place(img, faces, size, z, rng)


def toward_face(img, faces, size, rng, want=None, lo=8.0, hi=200.0):
    """A crop in which one face has a size drawn evenly in log scale between lo and hi.

    want: how likely each face is the one, relative to the others; None = all alike.
    """
    boxes, kind, _ = faces
    usable = np.flatnonzero(kind == 0)
    if not len(usable):
        return natural(img, faces, size, rng)
    p = None if want is None else want[usable] / want[usable].sum()
    return toward(img, faces, size, boxes[rng.choice(usable, p=p)], rng, lo, hi)


def toward(img, faces, size, box, rng, lo=8.0, hi=200.0):
    """A crop in which the box, of a face or of what was taken for one, has such a size."""
    side = max(4.0, float(np.sqrt(box[2] * box[3])))
    z = np.exp(rng.uniform(np.log(lo), np.log(min(hi, 0.8 * min(size))))) / side
    ih, iw = img.shape[:2]
    z = float(np.clip(z, 0.9 * max(size) / max(ih, iw), 3.5))  # grey margins teach nothing
    return around(img, faces, size, box, z, (rng.uniform(0.15, 0.85), rng.uniform(0.15, 0.85)))


def around(img, faces, size, box, z, where):
    """A crop at z times the size whose part `where` (x, y in 0..1) is the middle of the box."""
    ih, iw = img.shape[:2]
    ow, oh = size[0] / z, size[1] / z
    x, y = box[0] + box[2] / 2 - where[0] * ow, box[1] + box[3] / 2 - where[1] * oh
    # a crop smaller than the picture has no reason to leave it
    x = float(np.clip(x, min(0, iw - ow), max(0, iw - ow)))
    y = float(np.clip(y, min(0, ih - oh), max(0, ih - oh)))
    return cut(img, faces, (x, y, ow, oh), size)


def empty_spot(img, faces, size, rng):
    """A crop without faces, or None where a few tries find none; teaches what is no face."""
    boxes = faces[0]
    ih, iw = img.shape[:2]
    for _ in range(8):
        side = rng.uniform(0.15, 0.5) * min(ih, iw)
        w, h = side * size[0] / max(size), side * size[1] / max(size)
        x, y = rng.random() * (iw - w), rng.random() * (ih - h)
        if not len(boxes) or not np.any((boxes[:, 0] < x + w) & (boxes[:, 0] + boxes[:, 2] > x) &
                                        (boxes[:, 1] < y + h) & (boxes[:, 1] + boxes[:, 3] > y)):
            return cut(img, faces, (x, y, w, h), size)
    return None


def out_of_focus(img, faces, size, rng):
    """An empty spot far out of focus, often in the dark and with lamps: soft spots that are no faces."""
    made = empty_spot(img, faces, size, rng)
    if made is None:
        return natural(img, faces, size, rng)
    (view, seen), (ow, oh) = made, size
    view = cv2.GaussianBlur(view, (0, 0), np.exp(rng.uniform(np.log(1.5), np.log(12.0))))
    if rng.random() < 0.5:
        for _ in range(int(rng.integers(1, 6))):
            side = np.exp(rng.uniform(np.log(8.0), np.log(0.35 * min(size))))
            x, y, w, h = rng.random() * ow, rng.random() * oh, side, side * rng.uniform(0.7, 1.5)
            colour = view[int(y) % oh, int(x) % ow].astype(int) + rng.integers(-60, 140, 3) // rng.integers(1, 4)
            colour = tuple(int(c) for c in colour.clip(0, 255))
            if rng.random() < 0.6:
                cv2.ellipse(view, (int(x), int(y)), (int(w / 2), int(h / 2)), 0, 0, 360, colour, -1)
            else:
                cv2.rectangle(view, (int(x - w / 2), int(y - h / 2)), (int(x + w / 2), int(y + h / 2)), colour, -1)
        view = cv2.GaussianBlur(view, (0, 0), rng.uniform(1.0, 6.0))
    if rng.random() < 0.5:
        view = (view * rng.uniform(0.08, 0.6)).astype(np.uint8)
    return view, seen


def _place(img, faces, size, z, rng):
    ih, iw = img.shape[:2]
    w, h = size[0] / z, size[1] / z
    x = rng.uniform(min(0, iw - w), max(0, iw - w))
    y = rng.uniform(min(0, ih - h), max(0, ih - h))
    return cut(img, faces, (x, y, w, h), size)


def crop(img, faces, size, rng, want=None, lo=8.0):
    """One of the crops above; the mix that pretraining uses. lo: of toward_face."""
    p = rng.random()
    if p < 0.40:
        return natural(img, faces, size, rng)
    if p < 0.85:
        return toward_face(img, faces, size, rng, want, lo)
    if p < 0.90:
        return empty_spot(img, faces, size, rng) or natural(img, faces, size, rng)
    return whole(img, faces, size, max(size) * rng.uniform(0.75, 1.0), rng)


def mosaic(pick, size, rng, lo=8.0):
    """Four crops around a random middle; `pick()` gives (picture, faces, wanted)."""
    ow, oh = size
    mx, my = int(ow * rng.uniform(0.3, 0.7)), int(oh * rng.uniform(0.3, 0.7))
    out = np.empty((oh, ow, 3), np.uint8)
    parts = []
    for x, y, w, h in ((0, 0, mx, my), (mx, 0, ow - mx, my), (0, my, mx, oh - my), (mx, my, ow - mx, oh - my)):
        img, faces, want = pick()
        tile, (b, k, l) = crop(img, faces, (w, h), rng, want, lo)
        out[y:y + h, x:x + w] = tile
        b[:, 0] += x
        b[:, 1] += y
        parts.append((b, k, l))
    return out, tuple(np.concatenate(p) for p in zip(*parts))
