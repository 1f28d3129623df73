#!/usr/bin/env python3
"""Labels a clip frame by frame: proposals of the detector, looked at and corrected by a person.

usage: label_clip.py propose CLIP -o PROPOSALS.jsonl [--scale WxH] [--thresh 0.3] [--veil PATH]
       label_clip.py make PROPOSALS.jsonl EDITS.txt -o LABELS.jsonl
       label_clip.py sheet CLIP LABELS.jsonl -o SHEET.png [--from N] [--to N] [--every N] [--columns N]
                     [--width PX] [--crop X,Y,W,H]

propose runs the detector on a large input with all the look-ahead there is. make applies a list of edits, one
a line, and smooths the boxes. sheet draws the labels into numbered frames on one picture, to check
them; nothing is a label until somebody looked at it there. Edits (# starts a comment; frames
are FROM-TO, both included, or one number, or *):
  drop ID FRAMES               the track is no face there
  join ID INTO                 two tracks are one person
  class ID interview           everybody else is background
  key ID FRAME X Y W H         the box in this frame; between the keys of an id boxes are on a straight
                               line, and there the detector does not count
  occluded ID FRAMES SHARE     so much of the face is not to be seen
"""
import argparse
import json
import os
import subprocess
import sys

import numpy as np

SMOOTH = 2  # boxes are the mean over so many frames before and after


def die(text):
    sys.exit(f"label_clip: {text}")


def span(text, n):
    if text == "*":
        return range(n)
    a, _, b = text.partition("-")
    return range(int(a), int(b or a) + 1)


def propose(o):
    p = subprocess.run([o.veil, "detect", o.clip, "-o", o.output, "-y", "-q", "--keep", "none", "-s",
                        o.scale, "-t", str(o.thresh), "--lookahead", "5000", "--hold", "1"],
                       capture_output=True, text=True)
    if p.returncode not in (0, 3):
        die(p.stderr.strip())


def read_proposals(path):
    """([time of each frame], {id: {frame: box}}); predicted boxes count, they are looked at, too."""
    times, tracks = [], {}
    with open(path) as f:
        for row in map(json.loads, f):
            if "frame" not in row:
                continue
            times.append(row["pts"])
            for t in row["tracks"]:
                tracks.setdefault(t["id"], {})[row["frame"]] = t["box"]
    return times, tracks


def apply(lines, times, tracks):
    """Returns (classes, occlusions by (id, frame), keys by id)."""
    classes, hidden, keys = {}, {}, {}
    for number, line in enumerate(lines, 1):
        word = line.split("#")[0].split()
        if not word:
            continue
        try:
            kind, ident = word[0], int(word[1])
            if kind == "drop":
                for n in span(word[2], len(times)):
                    tracks.get(ident, {}).pop(n, None)
            elif kind == "join":
                tracks.setdefault(int(word[2]), {}).update(tracks.pop(ident))
            elif kind == "class":
                classes[ident] = word[2]
            elif kind == "key":
                keys.setdefault(ident, {})[int(word[2])] = [float(v) for v in word[3:7]]
                assert len(word) == 7
            elif kind == "occluded":
                for n in span(word[2], len(times)):
                    hidden[ident, n] = float(word[3])
            else:
                raise ValueError(kind)
        except (ValueError, IndexError, KeyError, AssertionError):
            die(f"edit {number} is not understood: {line.strip()}")
    return classes, hidden, keys


def smooth(boxes):
    """Mean over neighbouring frames of one uninterrupted stretch."""
    out = {}
    for n in boxes:
        near = [boxes[n]]
        for step in (-1, 1):
            k = n + step
            while k in boxes and abs(k - n) <= SMOOTH:
                near.append(boxes[k])
                k += step
        out[n] = list(np.mean(near, 0))
    return out


def make(o):
    times, tracks = read_proposals(o.proposals)
    with open(o.edits) as f:
        classes, hidden, keys = apply(f.read().splitlines(), times, tracks)
    people = {i: smooth(b) for i, b in tracks.items()}
    for ident, k in keys.items():
        order = sorted(k)
        boxes = people.setdefault(ident, {})
        for a, b in zip(order, order[1:] or order):
            for n in range(a, b + 1):
                part = (n - a) / (b - a) if b > a else 0
                boxes[n] = [u + (v - u) * part for u, v in zip(k[a], k[b])]
    with open(o.output, "w") as f:
        for n, t in enumerate(times):
            faces = [{"id": i, "class": classes.get(i, "background"),
                      "box": [round(float(v), 1) for v in b[n]],
                      "occluded": hidden.get((i, n), 0.0)}
                     for i, b in sorted(people.items()) if n in b]
            f.write(json.dumps({"frame": n, "pts": t, "faces": faces}) + "\n")


def sheet(o):
    import cv2
    with open(o.labels) as f:
        rows = [json.loads(line) for line in f]
    rows = [r for r in rows if "frame" in r]
    video = cv2.VideoCapture(o.clip)
    cells, n = [], 0
    crop = [float(v) for v in o.crop.split(",")] if o.crop else None
    while True:
        ok, image = video.read()
        if not ok or (o.to is not None and n > o.to):
            break
        if n >= o.first and (n - o.first) % o.every == 0:
            h, w = image.shape[:2]
            x0, y0, cw, ch = [int(v * s) for v, s in zip(crop, (w, h, w, h))] if crop else (0, 0, w, h)
            image = image[y0:y0 + ch, x0:x0 + cw]
            k = o.width / image.shape[1]
            image = cv2.resize(image, None, fx=k, fy=k, interpolation=cv2.INTER_AREA)
            for t in rows[n].get("faces", rows[n].get("tracks", [])) if n < len(rows) else []:
                x, y, bw, bh = [v * k for v in t["box"]]
                x, y = x - x0 * k, y - y0 * k
                colour = (0, 220, 0) if t.get("class") == "interview" else (0, 120, 255)
                cv2.rectangle(image, (int(x), int(y)), (int(x + bw), int(y + bh)), colour, 1)
                cv2.putText(image, str(t["id"]), (int(x), int(y) - 2), 0, 0.4, colour, 1)
            cv2.putText(image, str(n), (2, 12), 0, 0.45, (255, 255, 255), 2)
            cv2.putText(image, str(n), (2, 12), 0, 0.45, (0, 0, 0), 1)
            cells.append(image)
        n += 1
    if not cells:
        die(f"{o.clip} has no such frames")
    while len(cells) % o.columns:
        cells.append(np.zeros_like(cells[0]))
    lines = [np.hstack(cells[i:i + o.columns]) for i in range(0, len(cells), o.columns)]
    cv2.imwrite(o.output, np.vstack(lines))


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sub = ap.add_subparsers(dest="what", required=True)
    p = sub.add_parser("propose")
    p.add_argument("clip")
    p.add_argument("-o", "--output", required=True)
    p.add_argument("--scale", default="960x544")
    p.add_argument("--thresh", type=float, default=0.3)
    p.add_argument("--veil", default=os.environ.get("VEIL", "build/cli/veil"))
    p = sub.add_parser("make")
    p.add_argument("proposals")
    p.add_argument("edits")
    p.add_argument("-o", "--output", required=True)
    p = sub.add_parser("sheet")
    p.add_argument("clip")
    p.add_argument("labels")
    p.add_argument("-o", "--output", required=True)
    p.add_argument("--from", dest="first", type=int, default=0)
    p.add_argument("--to", type=int)
    p.add_argument("--every", type=int, default=1)
    p.add_argument("--columns", type=int, default=4)
    p.add_argument("--width", type=int, default=400)
    p.add_argument("--crop", help="parts of the picture: x,y,w,h")
    o = ap.parse_args()
    {"propose": propose, "make": make, "sheet": sheet}[o.what](o)


main()
