"""WIDER FACE protocol on the val pictures that are present.

The official evaluation (IoU 0.5, 1,000 thresholds, scores normalised over the
set, easy/medium/hard keep lists), with the .mat lists restricted to the
pictures found. On a subset of val the figures are not the published ones;
say so wherever they are quoted.
"""
import argparse
import json
import os
import time
from pathlib import Path

import cv2
import numpy as np
from scipy.io import loadmat

from train.paths import DATA, need

LEVELS = ("easy", "medium", "hard")
BINS = ((8, 12), (12, 16), (16, 24), (24, 48), (48, 1e9))


class Truth:
    """Names, paths, boxes (x y w h) and keep lists of the pictures present."""

    def __init__(self, data=DATA):
        data = Path(data)
        lists = {k: loadmat(need(data / "eval" / f"wider_{k}_val.mat", "WIDER list"))["gt_list"] for k in LEVELS}
        m = loadmat(need(data / "eval" / "wider_face_val.mat", "WIDER truth"))
        self.names, self.paths, self.boxes, self.keep = [], [], [], {k: [] for k in LEVELS}
        present = {p.stem: p for p in (data / "val" / "images").rglob("*.webp")}
        for e in range(len(m["event_list"])):
            for i, f in enumerate(m["file_list"][e][0]):
                name = str(f[0][0])
                if name not in present:
                    continue
                self.names.append(name)
                self.paths.append(present[name])
                self.boxes.append(m["face_bbx_list"][e][0][i][0].astype(np.float64).reshape(-1, 4))
                for k in LEVELS:
                    self.keep[k].append(lists[k][e][0][i][0].astype(int).ravel() - 1)
        if not self.names:
            raise SystemExit(f"no WIDER val pictures under {data / 'val' / 'images'}")


def overlaps(pred, gt):
    """IoU with the official code's +1; pred and gt x y w h."""
    px2, py2, gx2, gy2 = pred[:, 0] + pred[:, 2], pred[:, 1] + pred[:, 3], gt[:, 0] + gt[:, 2], gt[:, 1] + gt[:, 3]
    iw = np.minimum(px2[:, None], gx2) - np.maximum(pred[:, :1], gt[:, 0]) + 1
    ih = np.minimum(py2[:, None], gy2) - np.maximum(pred[:, 1:2], gt[:, 1]) + 1
    inter = iw.clip(0) * ih.clip(0)
    areas = ((pred[:, 2] + 1) * (pred[:, 3] + 1))[:, None] + ((gt[:, 2] + 1) * (gt[:, 3] + 1))[None]
    return inter / (areas - inter)


def match(pred, gt, keep, iou=0.5):
    """For boxes sorted by falling score: faces recalled so far, and which boxes count."""
    recalled, counts = np.zeros(len(pred), int), np.ones(len(pred), bool)
    if not len(gt) or not len(pred):
        return recalled, counts
    o = overlaps(pred, gt)
    best, value = o.argmax(1), o.max(1)
    kept, seen, n = np.zeros(len(gt), bool), np.zeros(len(gt), bool), 0
    kept[keep] = True
    for i in range(len(pred)):
        if value[i] >= iou:
            g = best[i]
            if not kept[g]:
                counts[i] = False
            elif not seen[g]:
                seen[g] = True
                n += 1
        recalled[i] = n
    return recalled, counts


def voc_ap(recall, precision):
    r, p = np.concatenate(([0], recall, [1])), np.concatenate(([0], precision, [0]))
    p = np.maximum.accumulate(p[::-1])[::-1]
    i = np.flatnonzero(r[1:] != r[:-1])
    return float(((r[i + 1] - r[i]) * p[i + 1]).sum())


def average_precision(preds, boxes, keeps, steps=1000):
    """preds: per picture (n,5+) x y w h score. Returns AP in 0..1."""
    scores = np.concatenate([p[:, 4] for p in preds if len(p)] or [np.zeros(1)])
    lo, hi = scores.min(), scores.max()
    thresholds = 1 - np.arange(1, steps + 1) / steps
    total, faces = np.zeros((steps, 2)), 0
    for p, gt, keep in zip(preds, boxes, keeps):
        faces += len(keep)
        if not len(p) or not len(gt):
            continue
        p = p[np.argsort(-p[:, 4], kind="stable")]
        s = (p[:, 4] - lo) / max(hi - lo, 1e-12)
        recalled, counts = match(p, gt, keep)
        last = np.searchsorted(-s, -thresholds, side="right") - 1
        ok = last >= 0
        total[ok, 0] += np.cumsum(counts)[last[ok]]
        total[ok, 1] += recalled[last[ok]]
    precision = total[:, 1] / np.maximum(total[:, 0], 1e-12)
    return voc_ap(total[:, 1] / max(faces, 1), precision)


def recall_by_height(preds, boxes, fppi=(0.1, 0.5)):
    """Recall of faces by height in the original pictures, at false positives a picture.

    Faces below 8 px are ignored; so are unmatched boxes lower than 8 px.
    """
    rows, hits = [], []
    for p, gt in zip(preds, boxes):
        p = p[np.argsort(-p[:, 4], kind="stable")]
        big = gt[:, 3] >= BINS[0][0]
        hit = np.full(len(gt), -np.inf)
        o = overlaps(p, gt) if len(p) and len(gt) else np.zeros((len(p), 1))
        for i in range(len(p)):
            g = o[i].argmax()
            if len(gt) and o[i, g] >= 0.5:
                hit[g] = max(hit[g], p[i, 4])
            elif p[i, 3] >= BINS[0][0]:
                rows.append(p[i, 4])
        hits.append(np.column_stack((gt[:, 3], hit))[big])
    fp, hits = np.sort(rows)[::-1], np.concatenate(hits)
    out = {}
    for f in fppi:
        n = int(f * len(preds))
        t = fp[n] if n < len(fp) else -1.0
        out[str(f)] = {"score": round(float(t), 4), **{
            f"{a}-{b}" if b < 1e6 else f"{a}+": round(100 * float((hits[m, 1] > t).mean()), 1) if (m := (hits[:, 0] >= a) & (hits[:, 0] < b)).any() else None
            for a, b in BINS}}
    return out


def run_detector(model, truth, long_side, threshold=0.02, bf16=False, progress=False):
    """Boxes x y w h score P(interview) in the original pixels of every picture."""
    from .detector import detect, resize_long
    preds = []
    for i, path in enumerate(truth.paths):
        img = cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        padded, s = resize_long(img, long_side)
        d = detect(model, padded, threshold, bf16=bf16)
        d[:, 2:4] -= d[:, :2]
        d[:, :4] /= s
        preds.append(d)
        if progress:
            print(f"\r{i + 1}/{len(truth.paths)}", end="", flush=True)
    if progress:
        print("\r", end="")
    return preds


def evaluate(preds, truth):
    """AP of the three lists in percent."""
    return {k: round(100 * average_precision(preds, truth.boxes, truth.keep[k]), 2) for k in LEVELS}


def quick(model, long_side=640):
    """AP columns for the training log."""
    truth = Truth()
    ap = evaluate(run_detector(model, truth, long_side, bf16=True), truth)
    print(f"AP at {long_side}: " + " / ".join(f"{ap[k]:.1f}" for k in LEVELS), flush=True)
    return {f"ap_{k}": ap[k] for k in LEVELS}


def main():
    import torch
    from train.loop import load_finished
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("checkpoint")
    ap.add_argument("--data", default=DATA)
    ap.add_argument("--long", type=int, nargs="+", default=[640, 1024], help="long sides")
    ap.add_argument("--threshold", type=float, default=0.02)
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--bf16", action="store_true", help="faster, about 0.1 AP off")
    ap.add_argument("--heights", action="store_true", help="also recall by face height")
    ap.add_argument("--json", help="write the figures here")
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    model, _ = load_finished(a.checkpoint)
    truth, out = Truth(a.data), {"pictures": None}
    out["pictures"] = len(truth.names)
    for side in a.long:
        t = time.time()
        preds = run_detector(model, truth, side, a.threshold, a.bf16, progress=os.isatty(1))
        out[str(side)] = evaluate(preds, truth)
        print(f"long side {side}: AP easy/medium/hard " + " / ".join(f"{out[str(side)][k]:.2f}" for k in LEVELS)
              + f"  ({len(truth.names)} val pictures, {time.time() - t:.0f} s)", flush=True)
        if a.heights:
            out[str(side)]["recall"] = recall_by_height(preds, truth.boxes)
            print(json.dumps(out[str(side)]["recall"]))
    if a.json:
        Path(a.json).write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
