"""Run a trained network on pictures: letterbox, decode, non-maximum suppression."""
import cv2
import numpy as np
import torch

from train.model import decode_boxes, flatten, grid

_grids = {}


def nms(boxes, scores, threshold=0.45):
    """Indices kept, best first. Boxes x1 y1 x2 y2, already sorted by falling score or not."""
    order = np.argsort(-scores, kind="stable")
    b = boxes[order].astype(np.float32)
    area = (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
    dead, keep = np.zeros(len(b), bool), []
    for i in range(len(b)):
        if dead[i]:
            continue
        keep.append(i)
        r = b[i + 1:]
        iw = np.minimum(b[i, 2], r[:, 2]) - np.maximum(b[i, 0], r[:, 0])
        ih = np.minimum(b[i, 3], r[:, 3]) - np.maximum(b[i, 1], r[:, 1])
        inter = np.maximum(iw, 0) * np.maximum(ih, 0)
        dead[i + 1:] |= inter > threshold * (area[i] + area[i + 1:] - inter)
    return order[keep]


def overlap(d, box):
    """IoU of boxes (n,4+) with one box, all x1 y1 x2 y2."""
    iw = np.minimum(d[:, 2], box[2]) - np.maximum(d[:, 0], box[0])
    ih = np.minimum(d[:, 3], box[3]) - np.maximum(d[:, 1], box[1])
    inter = np.maximum(iw, 0) * np.maximum(ih, 0)
    return inter / ((d[:, 2] - d[:, 0]) * (d[:, 3] - d[:, 1]) + (box[2] - box[0]) * (box[3] - box[1]) - inter)


def resize_long(img, long_side):
    """The picture at `long_side`, padded right and below to multiples of 32; and the scale."""
    s = long_side / max(img.shape[:2])
    h, w = round(img.shape[0] * s), round(img.shape[1] * s)
    out = np.full(((h + 31) // 32 * 32, (w + 31) // 32 * 32, 3), 114, np.uint8)
    out[:h, :w] = cv2.resize(img, (w, h), interpolation=cv2.INTER_LINEAR)
    return out, s


def detect(model, padded, threshold=0.02, iou=0.45, most=2000, bf16=False):
    """RGB picture with sides in multiples of 32 -> (n,6): x1 y1 x2 y2 score P(interview)."""
    h, w = padded.shape[:2]
    if (h, w) not in _grids:
        _grids[h, w] = grid(h, w)
    centres, strides = _grids[h, w]
    x = torch.from_numpy(padded).permute(2, 0, 1)[None].float().div_(255)
    x = x.contiguous(memory_format=torch.channels_last)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        out = model(x)
    raw = flatten(out)[0]
    score = raw[:, 4].sigmoid()
    keep = torch.nonzero(score >= threshold)[:, 0]
    if len(keep) > 3 * most:
        keep = keep[score[keep].topk(3 * most)[1]]
    r = raw[keep]
    boxes = decode_boxes(r, centres[keep], strides[keep]).numpy()
    score = score[keep].numpy()
    k = nms(boxes, score, iou)[:most]
    return np.column_stack((boxes, score, r[:, 5].sigmoid().numpy()))[k].reshape(-1, 6)
