"""What happens to pictures on their way: turned, grey, dark, blurred, compressed, covered."""
import cv2
import numpy as np

from .views import GREY, clip


def flip(img, faces):
    b, k, l = faces
    if len(b):
        b[:, 0] = img.shape[1] - b[:, 0] - b[:, 2]
    return img[:, ::-1], (b, k, l)


def rotate(img, faces, degrees):
    """Turn about the middle; a box becomes the bounds of its turned inscribed ellipse."""
    h, w = img.shape[:2]
    m = cv2.getRotationMatrix2D((w / 2, h / 2), degrees, 1.0)
    img = cv2.warpAffine(img, m, (w, h), flags=cv2.INTER_LINEAR, borderValue=(GREY,) * 3)
    b, k, l = faces
    if len(b):
        c = np.stack((b[:, 0] + b[:, 2] / 2, b[:, 1] + b[:, 3] / 2, np.ones(len(b))), 1) @ m.T
        co, si = abs(np.cos(np.radians(degrees))), abs(np.sin(np.radians(degrees)))
        nw, nh = np.hypot(b[:, 2] * co, b[:, 3] * si), np.hypot(b[:, 2] * si, b[:, 3] * co)
        b = np.stack((c[:, 0] - nw / 2, c[:, 1] - nh / 2, nw, nh), 1).astype(np.float32)
    return img, clip((b, k, l), w, h)


def tone(img, rng, dark):
    """Gain, gamma and white balance in one look-up table a channel."""
    x = np.arange(256, dtype=np.float32) / 255
    gain = rng.uniform(0.12, 0.45) if dark else rng.uniform(0.7, 1.35)
    x = gain * x ** rng.uniform(0.75, 1.35) + rng.uniform(-0.06, 0.06)
    cast = 0.3 if rng.random() < 0.2 else 0.12  # stage light and cheap white balance
    lut = x[:, None] * rng.uniform(1 - cast, 1 + cast, 3) * 255
    return cv2.LUT(img, lut.clip(0, 255).astype(np.uint8)[None])


def hue(img, rng):
    """Turn all colours by up to a tenth of the circle: hair, skin and light vary more than the data."""
    hsv = cv2.cvtColor(img, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(np.int16) + int(rng.integers(-18, 19))) % 180
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def motion_blur(img, rng, long=11):
    n = int(rng.integers(3, long + 1)) | 1
    k = np.zeros((n, n), np.float32)
    a, c = rng.uniform(0, np.pi), n // 2
    d = np.array((np.cos(a), np.sin(a))) * c
    cv2.line(k, tuple(np.round(c - d).astype(int).tolist()), tuple(np.round(c + d).astype(int).tolist()), 1)
    return cv2.filter2D(img, -1, k / k.sum())


def compress(img, rng):
    ok, data = cv2.imencode(".jpg", img, (cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 70))))
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def cover(img, faces, rng, p=0.12):
    """Cover part of some faces: the lower half as by a mask, a side, or a bar."""
    for x, y, w, h in faces[0][faces[1] == 0]:
        if min(w, h) < 16 or rng.random() > p:
            continue
        part = rng.integers(3)
        if part == 0:
            y, h = y + h * rng.uniform(0.45, 0.65), h * 0.6
        elif part == 1:
            x, w = x + w * rng.uniform(-0.2, 0.8), w * rng.uniform(0.2, 0.45)
        else:
            y, h = y + h * rng.uniform(0, 0.8), h * rng.uniform(0.12, 0.3)
        x0, y0 = max(0, int(x)), max(0, int(y))
        patch = img[y0:int(y + h), x0:int(x + w)]
        how = rng.random()
        if not patch.size:
            continue
        if how < 0.4:  # by what stands elsewhere in the picture
            ph, pw = patch.shape[:2]
            y0, x0 = (int(rng.integers(0, n - m + 1)) for n, m in zip(img.shape[:2], (ph, pw)))
            patch[:] = img[y0:y0 + ph, x0:x0 + pw].copy()
        else:
            patch[:] = rng.integers(0, 256, 3) if how < 0.75 else patch.mean((0, 1)) * rng.uniform(0.3, 1.4)
    return img


def augment(img, faces, rng, turn=True):
    """The whole chain. Each step is rare enough that plain pictures stay the rule."""
    if turn and rng.random() < 0.2:
        most = 30 if rng.random() < 0.8 else 100  # heads that lie or look up are few, but they are missed
        img, faces = rotate(img, faces, rng.uniform(-most, most))
    if rng.random() < 0.5:
        img, faces = flip(img, faces)
    img = np.ascontiguousarray(img)
    img = cover(img, faces, rng)
    if rng.random() < 0.12:
        img = cv2.cvtColor(cv2.cvtColor(img, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    elif rng.random() < 0.3:
        grey = cv2.cvtColor(cv2.cvtColor(img, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        s = rng.uniform(0.4, 1.5)
        img = cv2.addWeighted(img, s, grey, 1 - s, 0)
    if rng.random() < 0.15:
        img = hue(img, rng)
    dark = rng.random() < 0.05
    if dark or rng.random() < 0.6:
        img = tone(img, rng, dark)
    if dark or rng.random() < 0.06:
        noise = rng.normal(0, rng.uniform(2, 12), img.shape[:2]).astype(np.float32)
        img = (img + noise[..., None]).clip(0, 255).astype(np.uint8)
    p = rng.random()
    if p < 0.06:
        img = motion_blur(img, rng)
    elif p < 0.12:
        img = cv2.GaussianBlur(img, (0, 0), rng.uniform(0.5, 1.6))
    if rng.random() < 0.10:
        img = compress(img, rng)
    return img, faces
