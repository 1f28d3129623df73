"""How well interview and background are told apart, on the labelled test pictures.

Faces of the pictures not doubtful, at least 5 % of the short side high. A face
takes P(interview) from the detection that covers it best (IoU at least 0.4);
a face that is not found counts as hidden (a background face is then safe only
by name: it is missed, so it is reported apart).
"""
import argparse
import json
import os
from pathlib import Path

import cv2
import numpy as np

from train.paths import DATA, need

KEPT = 0.93  # share of interview faces that must stay visible


def auc(score, positive):
    """Area under the ROC curve, ties counted half."""
    order = np.argsort(score, kind="stable")
    s, rank = score[order], np.empty(len(score))
    first = np.flatnonzero(np.concatenate(([True], s[1:] != s[:-1])))
    last = np.concatenate((first[1:], [len(s)]))
    for a, b in zip(first, last):
        rank[order[a:b]] = (a + b + 1) / 2
    n = positive.sum()
    return float((rank[positive].sum() - n * (n + 1) / 2) / (n * (len(score) - n)))


def hidden_at(score, positive, kept=KEPT):
    """Highest threshold that keeps `kept` of the positives; share of the rest below it."""
    p = np.sort(score[positive])[::-1]
    t = p[int(np.ceil(kept * len(p))) - 1]
    return float((score[~positive] < t).mean()), float(t)


def test_pictures(data=DATA, smallest=0.05):
    """[(path, faces, labels, height share, picture number)] of the test split."""
    out = []
    for line in open(need(Path(data) / "train.jsonl", "label list"), encoding="utf-8"):
        r = json.loads(line)
        if r["split"] != "test" or r["doubtful"] or not r["labelled"]:
            continue
        f = [x for x in r["faces"] if x["class"] and x["box"][3] >= smallest * min(r["width"], r["height"])]
        if f:
            out.append((Path(data) / r["image"], np.array([x["box"] for x in f], float),
                        np.array([x["class"] == "interview" for x in f]), min(r["width"], r["height"])))
    return out


def face_scores(model, rows, long_side=640, threshold=0.05, bf16=False):
    """P(interview), found, is interview, height share, tallest of its picture; one each face."""
    from .detector import detect, overlap, resize_long
    score, found, label, height, tallest = [], [], [], [], []
    for path, boxes, lab, short in rows:
        img = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        padded, s = resize_long(img, long_side)
        d = detect(model, padded, threshold, bf16=bf16)
        b = np.concatenate((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), 1) * s
        for k in range(len(b)):
            o = overlap(d, b[k])
            i = o.argmax() if len(o) else -1
            ok = i >= 0 and o[i] >= 0.4
            score.append(d[i, 5] if ok else 0.0)
            found.append(ok)
        label += list(lab)
        height += list(boxes[:, 3] / short)
        tallest += list(boxes[:, 3] == boxes[:, 3].max())
    return tuple(np.array(x) for x in (score, found, label, height, tallest))


def figures(model, data=DATA, long_side=640, bf16=False):
    rows = test_pictures(data)
    score, found, label, height, tallest = face_scores(model, rows, long_side, bf16=bf16)
    hidden, t = hidden_at(score, label)
    by_height, th = hidden_at(height, label)
    wrong = (height >= th) != label  # where the height rule errs
    said = score >= t
    out = {"pictures": len(rows), "interview": int(label.sum()), "background": int((~label).sum()),
           "found": round(100 * float(found.mean()), 1),
           "hidden_at_93_kept": round(100 * hidden, 1), "threshold": round(t, 4), "auc": round(auc(score, label), 4),
           "height_rule_hidden": round(100 * by_height, 1), "height_rule_auc": round(auc(height, label), 4),
           "right_where_height_rule_wrong": round(100 * float((said == label)[wrong].mean()), 1) if wrong.any() else None,
           "right_where_largest_rule_wrong": round(100 * float((said == label)[tallest != label].mean()), 1),
           "hidden_at_half": round(100 * float((score < 0.5)[~label].mean()), 1),
           "kept_at_half": round(100 * float((score >= 0.5)[label].mean()), 1)}
    return out, (score, label, height)


def draw(path, score, label, height):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    fig, ax = plt.subplots(figsize=(5, 5), dpi=110)
    for name, s in (("network", score), ("height rule", height)):
        t = np.sort(np.unique(s))
        ax.plot([100 * (s < x)[~label].mean() for x in t], [100 * (s >= x)[label].mean() for x in t], label=name)
    ax.axhline(100 * KEPT, color="grey", lw=0.7, ls="--")
    ax.set(xlabel="background faces hidden, %", ylabel="interview faces kept, %", xlim=(0, 101), ylim=(0, 101),
           title="test pictures, faces at least 5 % of the short side")
    ax.legend()
    fig.tight_layout()
    fig.savefig(path)


def main():
    import torch
    from train.loop import load_finished
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("checkpoint")
    ap.add_argument("--data", default=DATA)
    ap.add_argument("--long", type=int, default=640)
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--bf16", action="store_true", help="faster, about the same figures")
    ap.add_argument("--json", help="write the figures here")
    ap.add_argument("--roc", help="write a ROC curve here (PNG)")
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    out, curve = figures(load_finished(a.checkpoint)[0], a.data, a.long, a.bf16)
    print(json.dumps(out, indent=1))
    if a.json:
        Path(a.json).write_text(json.dumps(out, indent=1) + "\n")
    if a.roc:
        draw(a.roc, *curve)


if __name__ == "__main__":
    main()
