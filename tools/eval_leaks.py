#!/usr/bin/env python3
"""Leak figures of labelled clips in several modes of veil, as one table.

usage: eval_leaks.py CLIP=LABELS ... [--mode "NAME:OPTIONS"] [--veil PATH] [--work DIR] [--json FILE]

Each clip is hidden with `veil run` in each mode and compared, pixels against pixels, with its
original by `veil eval video`; `veil detect` with the same options gives track ids and latency. Modes
are the default, no look-ahead, and no tracker (each frame alone, as other tools do) unless --mode
says otherwise. Nothing is decided here: every figure comes from `veil eval video`.
"""
import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile

MODES = ["default:", "no look-ahead:--lookahead 0", "no tracker:--tracker none --lookahead 0"]
ENCODE = ["--preset", "ultrafast", "--crf", "12"]
HEAD = ["clip", "mode", "faces", "hidden %", "of 24 px+ %", "exposed/min 24 px+", "longest leak ms",
        "24 px+ ms", "speaker frames", "hidden %", "id switches", "mask IoU", "wait ms p50/p95/p99"]


def call(args):
    p = subprocess.run(args, capture_output=True, text=True)
    if p.returncode not in (0, 3):  # 3: done, but something was covered
        sys.exit(f"eval_leaks: {' '.join(args)}\n{p.stderr.strip()}")


def evaluate(veil, labels, out, *args):
    call([veil, "eval", "video", "--truth", labels, "--json", out, *args])
    with open(out) as f:
        return json.load(f)


def measure(veil, work, clip, labels, options):
    name = os.path.join(work, os.path.splitext(os.path.basename(clip))[0])
    hidden, tracks = name + "-hidden.mkv", name + ".jsonl"
    call([veil, "run", clip, "-o", hidden, "-y", "-q", *ENCODE, *options])
    call([veil, "detect", clip, "-o", tracks, "-y", "-q", "--latency", *options])
    pixels = evaluate(veil, labels, name + "-pixels.json", "--original", clip, "--redacted", hidden)
    ids = evaluate(veil, labels, name + "-tracks.json", "--result", tracks)
    os.remove(hidden)
    return {**pixels, "id_switches": ids["id_switches"], "latency_ms": ids.get("latency_ms")}


def share(part, whole):
    return f"{100 * part / whole:.2f}" if whole else "-"


def row(clip, mode, r):
    lat = r["latency_ms"]
    return [clip, mode, str(r["bystander_faces"]),
            share(r["bystander_faces_hidden"], r["bystander_faces"]),
            share(r["big_faces_hidden"], r["big_faces"]), f"{r['big_exposed_per_minute']:.1f}",
            f"{r['longest_leak_ms']:.0f}", f"{r['big_longest_leak_ms']:.0f}",
            str(r["speaker_faces"]), share(r["speaker_faces_hidden"], r["speaker_faces"]),
            str(r["id_switches"]),
            f"{r['mask_iou']['mean']:.3f}" if r["bystander_faces"] else "-",
            "/".join(f"{lat[k]:.0f}" for k in ("p50", "p95", "p99")) if lat else "-"]


def total(rows):
    """All clips of one mode as one."""
    sums = {k: sum(r[k] for r in rows) for k in
            ("bystander_faces", "bystander_faces_hidden", "big_faces", "big_faces_hidden",
             "speaker_faces", "speaker_faces_hidden", "id_switches", "seconds", "frames")}
    exposed = sums["big_faces"] - sums["big_faces_hidden"]
    sums["big_exposed_per_minute"] = 60 * exposed / sums["seconds"] if sums["seconds"] else 0
    for k in ("longest_leak_ms", "big_longest_leak_ms"):
        sums[k] = max(r[k] for r in rows)
    masked = [r for r in rows if r["bystander_faces"]]
    sums["mask_iou"] = {"mean": sum(r["mask_iou"]["mean"] * r["frames"] for r in masked)
                        / max(1, sum(r["frames"] for r in masked))}
    sums["latency_ms"] = None
    return sums


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("clips", nargs="+", metavar="CLIP=LABELS")
    ap.add_argument("--mode", action="append", metavar="NAME:OPTIONS")
    ap.add_argument("--veil", default=os.environ.get("VEIL", "build/cli/veil"))
    ap.add_argument("--work", help="keep what is measured here")
    ap.add_argument("--json", help="write every figure")
    o = ap.parse_args()
    work = o.work or tempfile.mkdtemp(prefix="veil-leaks-")
    os.makedirs(work, exist_ok=True)
    table, figures = [HEAD], []
    for mode in o.mode or MODES:
        mode, _, options = mode.partition(":")
        rows = []
        for pair in o.clips:
            clip, _, labels = pair.rpartition("=")
            r = measure(o.veil, work, clip, labels, shlex.split(options))
            rows.append(r)
            name = os.path.splitext(os.path.basename(clip))[0]
            table.append(row(name, mode, r))
            figures.append({"clip": name, "mode": mode, **r})
        if len(rows) > 1:
            table.append(row("all", mode, total(rows)))
    table.insert(1, ["---"] * len(HEAD))
    for line in table:
        print("| " + " | ".join(line) + " |")
    if o.json:
        with open(o.json, "w") as f:
            json.dump(figures, f, indent=1)


main()
