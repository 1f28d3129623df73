#!/usr/bin/env python3
"""What veil did to a clip, measured from the pixels against the known truth.

usage: eval_clip.py ORIGINAL RESULT TRUTH.jsonl [--faces FOUND.jsonl [--faces-before FOUND.jsonl]]
                    [--json] [--need-hidden 0.95] [--need-visible 0.9]

A cell of pixels counts as masked where the result differs from the original by more than 3.5 times
the codec's own noise in that frame (median away from all faces; at least 4, at most 9 grey levels).
A bystander's face is hidden when at least half of its ellipse is masked; a face that is half or
more covered by the speaker or outside the frame does not count. The speaker is visible when he is
not hidden by the same measure, and clear when less than a quarter of the face is masked. FOUND.jsonl (tools/eval_faces.mjs on the result) gives the
share of bystander faces that an independent detector still finds, --faces-before what it found in
the original. Frame count, time stamps and
audio packets are compared, too. Exit status 1 when a --need is missed or frames, times or audio
differ.
"""
import argparse
import json
import subprocess
import sys

import numpy as np

CELLS = 12         # a face is looked at in so many cells across and down
SEEN = 0.5         # faces hidden by the scene by this much or more do not count
LEVELS = 4.0, 9.0  # grey levels: least and most that count as masked


def die(text):
    sys.exit(f"eval_clip: {text}")


def probe(path, *args):
    p = subprocess.run(["ffprobe", "-v", "error", *args, "-of", "csv=p=0", path],
                       capture_output=True, text=True)
    if p.returncode:
        die(f"{path} cannot be read")
    return [line.strip(",") for line in p.stdout.split()]


def times(path):
    """Presentation times of the video packets in order, seconds from the first."""
    t = sorted(float(v) for v in probe(path, "-select_streams", "v:0", "-show_entries",
                                       "packet=pts_time") if v != "N/A")
    return np.array(t)


def audio(path):
    """Size, time and checksum of each audio packet."""
    p = subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-i", path, "-map", "0:a?", "-c",
                        "copy", "-f", "framemd5", "-"], capture_output=True, text=True)
    return [line.split(",")[-1].strip() for line in p.stdout.splitlines() if line[:1] != "#"]


def frames(path, width, height):
    """Decoded frames as stored, float32 planes (3, height, width)."""
    p = subprocess.Popen(["ffmpeg", "-v", "error", "-nostdin", "-noautorotate", "-i", path, "-map",
                          "0:v:0", "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt",
                          "yuv444p", "-"], stdout=subprocess.PIPE)
    size = 3 * width * height
    while True:
        raw = p.stdout.read(size)
        if len(raw) < size:
            break
        yield np.frombuffer(raw, np.uint8).reshape(3, height, width)
    p.wait()


def cells(diff, box):
    """Mean difference in CELLS x CELLS cells of a box."""
    x, y, w, h = box
    height, width = diff.shape
    x0, y0 = max(0, int(x)), max(0, int(y))
    x1, y1 = min(width, int(np.ceil(x + w))), min(height, int(np.ceil(y + h)))
    part = diff[y0:y1, x0:x1]
    if part.shape[0] < CELLS or part.shape[1] < CELLS:
        return np.full((CELLS, CELLS), part.mean() if part.size else 0.0)
    xs = np.linspace(0, part.shape[1], CELLS + 1).astype(int)[:-1]
    ys = np.linspace(0, part.shape[0], CELLS + 1).astype(int)[:-1]
    sums = np.add.reduceat(np.add.reduceat(part, ys, 0), xs, 1)
    areas = np.outer(np.diff([*ys, part.shape[0]]), np.diff([*xs, part.shape[1]]))
    return sums / areas


def close(mask):
    """Fills holes of one cell: skin that the blur happens to leave as it was."""
    def spread(m):
        p = np.pad(m, 1)
        return np.max([p[j:j + m.shape[0], i:i + m.shape[1]] for i in range(3) for j in range(3)], 0)
    p = np.pad(mask, 1, constant_values=False)
    return ~spread(~spread(p))[1:-1, 1:-1]


Y, X = np.mgrid[0:CELLS, 0:CELLS]
ELLIPSE = ((X - CELLS / 2 + 0.5) ** 2 + (Y - CELLS / 2 + 0.5) ** 2) < (CELLS / 2) ** 2


def noise(diff, boxes):
    """The codec's own difference: median of cell means away from all faces."""
    h, w = diff.shape[0] // 16 * 16, diff.shape[1] // 16 * 16
    grid = diff[:h, :w].reshape(h // 16, 16, w // 16, 16).mean((1, 3))
    free = np.ones(grid.shape, bool)
    for x, y, bw, bh in boxes:
        free[max(0, int((y - 0.7 * bh) / 16)):int((y + 1.7 * bh) / 16) + 1,
             max(0, int((x - 0.7 * bw) / 16)):int((x + 1.7 * bw) / 16) + 1] = False
    return float(np.median(grid[free])) if free.sum() >= 20 else 0.0


def masked(diff, box, level):
    """Share of a face's ellipse that is masked."""
    m = close(cells(diff, box) > level)
    return float(m[ELLIPSE].mean())


def iou(a, b):
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return w * h / (a[2] * a[3] + b[2] * b[3] - w * h) if w > 0 and h > 0 else 0.0


def found_share(rows, path):
    """Of the bystander faces in the frames looked at, how many the other detector still finds."""
    faces = found = 0
    with open(path) as f:
        for r in map(json.loads, f):
            truth = rows[r["frame"]]["faces"]
            speaker = [t["box"] for t in truth if t["class"] == "interview"]
            boxes = [b[:4] for b in r["faces"]
                     if not any(iou(b[:4], s) > 0.4 for s in speaker)]
            for t in truth:
                if t["class"] == "background" and t["occluded"] < SEEN:
                    faces += 1
                    found += any(iou(t["box"], b) > 0.3 for b in boxes)
    return faces, found


def main():
    ap = argparse.ArgumentParser(description="Measures what veil did to a clip.")
    ap.add_argument("original")
    ap.add_argument("result")
    ap.add_argument("truth")
    ap.add_argument("--faces", help="what tools/eval_faces.mjs found in the result")
    ap.add_argument("--faces-before", help="what it found in the original")
    ap.add_argument("--json", action="store_true")
    ap.add_argument("--need-hidden", type=float)
    ap.add_argument("--need-visible", type=float)
    o = ap.parse_args()
    with open(o.truth) as f:
        rows = [json.loads(line) for line in f]
    size = probe(o.original, "-select_streams", "v:0", "-show_entries", "stream=width,height")
    if not size or size != probe(o.result, "-select_streams", "v:0", "-show_entries",
                                 "stream=width,height"):
        die("the two videos differ in size")
    width, height = map(int, size[0].split(","))

    n = bystanders = hidden = speakers = visible = clear = 0
    run, longest, exposed = {}, 0, []
    for a, b in zip(frames(o.original, width, height), frames(o.result, width, height)):
        if n >= len(rows):
            die("the videos are longer than the truth")
        faces = rows[n]["faces"]
        diff = np.abs(a.astype(np.int16) - b).max(0).astype(np.float32)
        level = min(max(LEVELS[0], 3.5 * noise(diff, [f["box"] for f in faces])), LEVELS[1])
        for f in faces:
            if f["occluded"] >= SEEN:
                continue
            m = masked(diff, f["box"], level)
            if f["class"] == "interview":
                speakers += 1
                visible += m < 0.5
                clear += m < 0.25
            else:
                bystanders += 1
                ok = m >= 0.5
                hidden += ok
                run[f["id"]] = 0 if ok else run.get(f["id"], 0) + 1
                longest = max(longest, run[f["id"]])
                if not ok:
                    exposed.append((n, f["id"], round(m, 2)))
        n += 1

    ta, tb = times(o.original), times(o.result)
    same_times = len(ta) == len(tb) and bool(np.all(np.abs(ta - tb) < 0.0006))
    aa, ab = audio(o.original), audio(o.result)
    out = {
        "frames": [len(ta), len(tb)], "frames_compared": n, "times_equal": same_times,
        "audio_packets": [len(aa), len(ab)], "audio_equal": aa == ab,
        "bystander_face_frames": bystanders, "hidden": hidden,
        "hidden_share": round(hidden / bystanders, 4) if bystanders else None,
        "longest_leak_frames": longest,
        "speaker_frames": speakers, "visible": visible,
        "visible_share": round(visible / speakers, 4) if speakers else None,
        "clear_share": round(clear / speakers, 4) if speakers else None,
    }
    if o.faces:
        faces, found = found_share(rows, o.faces)
        out["other_detector"] = {"bystander_faces": faces, "still_found": found,
                                 "share": round(found / faces, 4) if faces else None}
        if o.faces_before:
            out["other_detector"]["found_before"] = found_share(rows, o.faces_before)[1]
    bad = []
    if n != len(rows):
        bad.append(f"{n} frames compared, the truth has {len(rows)}")
    if not same_times:
        bad.append("frame count or time stamps differ")
    if aa != ab:
        bad.append("audio packets differ")
    if o.need_hidden is not None and (not bystanders or hidden < o.need_hidden * bystanders):
        bad.append(f"hidden {out['hidden_share']}, needed {o.need_hidden}")
    if o.need_visible is not None and (not speakers or visible < o.need_visible * speakers):
        bad.append(f"visible {out['visible_share']}, needed {o.need_visible}")
    if o.json:
        out["exposed"] = exposed
        print(json.dumps(out))
    else:
        for k, v in out.items():
            print(f"{k:24} {v}")
    for b in bad:
        print(f"eval_clip: {b}", file=sys.stderr)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
