#!/usr/bin/env python3
"""The program on clips with known truth, from file to file.

usage: test_clips.py VEIL SOURCE_ROOT CASE
The clips come from `make fixtures-small`, in $VEIL_FIXTURES (default out/fixtures). Without the
variable and without the clips a case is skipped; with the variable they must be there.
"""
import json
import os
import subprocess
import sys
import tempfile

VEIL, ROOT, CASE = sys.argv[1:4]
FIXTURES = os.environ.get("VEIL_FIXTURES") or os.path.join(ROOT, "out", "fixtures")
EVAL = os.path.join(ROOT, "tools", "eval_clip.py")
TMP = tempfile.TemporaryDirectory(prefix="veil-e2e-")

# What the shipped model must reach on the small clips (640x360, 4 s).
NEED_HIDDEN, NEED_VISIBLE = 0.95, 0.90


def check(ok, text):
    if not ok:
        print(f"{CASE}: {text}")
        sys.exit(1)


def clip(name):
    path = os.path.join(FIXTURES, name)
    if not os.path.exists(path):
        if os.environ.get("VEIL_FIXTURES"):
            check(False, f"{path} is missing: make fixtures-small")
        print(f"{path} is missing: make fixtures-small")
        sys.exit(77)
    return path


def tmp(name):
    return os.path.join(TMP.name, name)


def call(*args, ok=True):
    p = subprocess.run([str(a) for a in args], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if ok:
        check(p.returncode == 0, f"{' '.join(map(str, args))}: exit {p.returncode}\n{p.stderr}")
    return p


def veil(name, *options):
    """Runs veil on a fixture; returns original and result."""
    src = clip(name)
    out = tmp("out." + name.rsplit(".", 1)[1])
    call(VEIL, "run", src, "-o", out, "-y", *options)
    check(os.path.getsize(out) > 1000, f"{out} is empty")
    return src, out


def measure(src, out, truth):
    """eval_clip's figures; frames, time stamps and audio must be equal."""
    p = call(sys.executable, EVAL, src, out, clip(truth), "--json", ok=False)
    check(p.stdout, p.stderr)
    r = json.loads(p.stdout)
    r.pop("exposed")
    print(r)
    check(r["frames"][0] == r["frames"][1] == r["frames_compared"], f"frames {r['frames']}")
    check(r["times_equal"], "time stamps differ")
    check(r["audio_packets"][0] > 50 and r["audio_equal"], "audio packets differ")
    check(p.returncode == 0, p.stderr)
    return r


def good(r):
    check(r["hidden_share"] >= NEED_HIDDEN, f"hidden {r['hidden_share']}, needed {NEED_HIDDEN}")
    check(r["visible_share"] >= NEED_VISIBLE, f"visible {r['visible_share']}, needed {NEED_VISIBLE}")


def probe(path, *args):
    return json.loads(call("ffprobe", "-v", "error", "-of", "json", *args, path).stdout)


def case_interview():
    good(measure(*veil("interview-360.mp4"), "interview-360.jsonl"))


def case_vfr_mp4():
    good(measure(*veil("vfr-mp4.mp4"), "vfr-mp4.jsonl"))


def case_vfr_mkv():
    src, out = veil("vfr-mkv.mkv")
    good(measure(src, out, "vfr-mkv.jsonl"))
    kinds = [s["codec_type"] for s in probe(out, "-show_streams")["streams"]]
    check(sorted(kinds) == ["audio", "subtitle", "video"], f"streams {kinds}")
    titles = [c["tags"]["title"] for c in probe(out, "-show_chapters")["chapters"]]
    check(titles == ["One", "Two"], f"chapters {titles}")
    subs = [call("ffmpeg", "-v", "error", "-i", f, "-map", "0:s", "-f", "srt", "-").stdout
            for f in (src, out)]
    check("A line" in subs[0] and subs[0] == subs[1], "subtitles differ")


def case_rotated():
    src, out = veil("rotated.mp4")
    good(measure(src, out, "rotated.jsonl"))
    turns = [[d.get("rotation") for s in probe(f, "-show_streams")["streams"]
              for d in s.get("side_data_list", []) if "rotation" in d] for f in (src, out)]
    check(turns[0] and turns[0] == turns[1], f"rotation {turns}")


def case_keep_none():
    r = measure(*veil("interview-360.mp4", "--keep", "none"), "interview-360.jsonl")
    check(r["hidden_share"] >= NEED_HIDDEN, f"hidden {r['hidden_share']}")
    check(r["visible_share"] <= 0.03, f"the speaker shows in {r['visible_share']} of the frames")


def case_nofaces():
    """Nobody to hide. Clothes and stairs still draw a mask or two; walls and lights hardly. The
    limits are what the shipped model does, with a little air: lower them with a better one."""
    p = call(VEIL, "detect", clip("nofaces.mp4"))
    rows = [json.loads(line) for line in p.stdout.splitlines()]
    frames = [r for r in rows if "frame" in r]
    check(len(frames) == 120, f"{len(frames)} frames")
    seen = [sum(0 <= x + w / 2 < 640 and 0 <= y + h / 2 < 360
                for x, y, w, h in (t["box"] for t in r["tracks"])) for r in frames]
    print(f"{sum(seen)} boxes in 120 frames, {sum(seen[95:])} of them in the last 25")
    check(sum(seen) <= 90, f"{sum(seen)} boxes in 120 frames without a face")
    check(sum(seen[95:]) <= 5, f"{sum(seen[95:])} boxes on walls and lights")


def case_metadata():
    src, out = veil("interview-360.mp4")
    tags = [json.dumps(probe(f, "-show_format")["format"].get("tags", {})) for f in (src, out)]
    check("+52.52" in tags[0], "the fixture has no location")
    check("+52.52" not in tags[1], f"the location is still there: {tags[1]}")
    src, out = veil("interview-360.mp4", "--keep-metadata")
    tags = json.dumps(probe(out, "-show_format")["format"].get("tags", {}))
    check("+52.52" in tags, f"--keep-metadata lost the location: {tags}")


def case_detect():
    """Boxes and decisions of `veil detect` against the truth, without looking at pixels."""
    src = clip("interview-360.mp4")
    rows = [json.loads(r) for r in call(VEIL, "detect", src).stdout.splitlines()]
    frames = {r["frame"]: r["tracks"] for r in rows if "frame" in r}
    with open(clip("interview-360.jsonl")) as f:
        truth = [json.loads(r) for r in f]
    check(len(frames) == len(truth), f"{len(frames)} frames, the truth has {len(truth)}")
    faces = safe = 0
    for t in truth:
        for f in t["faces"]:
            if f["occluded"] >= 0.5 or f["class"] != "background":
                continue
            faces += 1
            x, y, w, h = f["box"]
            cx, cy = x + w / 2, y + h / 2
            safe += any(b["decision"] == "hide" and b["box"][0] <= cx <= b["box"][0] + b["box"][2] and
                        b["box"][1] <= cy <= b["box"][1] + b["box"][3] for b in frames[t["frame"]])
    print(f"{safe} of {faces} bystander faces carry a hidden box")
    check(safe >= NEED_HIDDEN * faces, "too few")


def case_eval_tool():
    """The measure itself: a plain re-encode hides nothing, a grey picture hides everything."""
    src, truth = clip("interview-360.mp4"), clip("interview-360.jsonl")
    x264 = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "26", "-c:a", "copy"]
    plain, grey = tmp("plain.mp4"), tmp("grey.mp4")
    call("ffmpeg", "-v", "error", "-y", "-i", src, *x264, plain)
    call("ffmpeg", "-v", "error", "-y", "-i", src, "-vf", "drawbox=color=gray:t=fill", *x264, grey)
    r = measure(src, plain, "interview-360.jsonl")
    check(r["bystander_face_frames"] > 800 and r["hidden_share"] <= 0.01, "a re-encode hides")
    check(r["visible_share"] == 1, "a re-encode hides the speaker")
    r = measure(src, grey, "interview-360.jsonl")
    check(r["hidden_share"] == 1 and r["visible_share"] == 0, "grey shows a face")
    short = tmp("short.mp4")
    call("ffmpeg", "-v", "error", "-y", "-i", src, "-frames:v", "119", *x264, short)
    p = call(sys.executable, EVAL, src, short, truth, ok=False)
    check(p.returncode == 1 and "frame count" in p.stderr, "a lost frame is not noticed")
    p = call(sys.executable, EVAL, src, plain, truth, "--need-hidden", "0.5", ok=False)
    check(p.returncode == 1, "a missed threshold does not fail")


def gray_frames(path):
    """Luma of every frame, 640x360."""
    import numpy as np
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "gray", "-"],
                         capture_output=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, 360, 640).astype(np.float32)


def face_detail(frame, box):
    """What is left of a face when its soft parts are taken away: 24x24 points less their
    neighbourhoods' means."""
    import numpy as np
    x, y, w, h = box
    at = [np.linspace(a + s * 0.1, a + s * 0.9, 24).astype(int) for a, s in ((y, h), (x, w))]
    p = frame[np.ix_(at[0], at[1])]
    near = sum(np.roll(p, (i, j), (0, 1)) for i in range(-2, 3) for j in range(-2, 3)) / 25
    return (p - near)[2:-2, 2:-2]


def residue(original, result, truth):
    """Median over bystander faces of how much of the original's detail the result has."""
    import numpy as np
    shares = []
    for a, b, row in zip(gray_frames(original), gray_frames(result), truth):
        for f in row["faces"]:
            if f["class"] == "background" and f["occluded"] < 0.1 and f["box"][3] > 30:
                d = face_detail(a, f["box"])
                shares.append(float((d * face_detail(b, f["box"])).sum() / ((d * d).sum() + 1e-6)))
    check(len(shares) > 300, f"{len(shares)} faces only")
    return float(np.median(shares)), float(np.percentile(np.abs(shares), 90))


def case_residue():
    """At a low bit rate reference frames bring nothing of a face back: as little is left under blur as
    under a flat colour, where an encode that hides nobody keeps much."""
    with open(clip("interview-360.jsonl")) as f:
        truth = [json.loads(line) for line in f]
    for codec, rate in (("libx264", "250k"), ("libx265", "150k")):
        left = {}
        for style in ("blur", "solid", "none"):
            src, out = veil("interview-360.mp4", "--style", style, "-c:v", codec, "-b:v", rate, "--preset",
                            "veryfast", "-an")
            left[style] = residue(src, out, truth)
        print(codec, rate, {k: [round(v, 3) for v in l] for k, l in left.items()})
        check(left["none"][0] > 0.2, "the measure sees no face where nothing is hidden")
        check(abs(left["blur"][0]) < 0.02, "something of the faces is left")
        check(abs(left["blur"][0] - left["solid"][0]) < 0.02, "more is left than under a colour")
        check(left["blur"][1] < left["solid"][1] + 0.05, "some faces are left")


globals()["case_" + CASE]()
