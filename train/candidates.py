"""Networks that might have been: AP after a short training from nothing against the engine's time.

    python3 -m train.candidates --veil VEIL NAME [NAME ...]     train and build int8; a row each
    python3 -m train.candidates --veil VEIL --time --plot docs/pictures/architectures.png

All have the same schedule, pictures and seed, so a row says which shape learns fastest for its
time, not how far it would get. Rows are kept in runs/candidates/rows.json; a name runs once.
"""
import argparse
import json
import subprocess
import sys
from pathlib import Path

import torch
from torch import nn

from . import batches, export, loss, model
from .paths import DATA, RUNS, need

FOLDER = RUNS / "candidates"
BASE = {**model.CONFIGS["veil-n"], "bend": 0}
# name: (what is other than in veil-n with ReLU, what the point is called)
CANDIDATES = {
    "veil-n": ({}, "ReLU"),
    "silu": ({"bend": 1}, "veil-n (SiLU)"),
    "depthwise": ({"depthwise": True, "width": (32, 96, 160, 224), "depth": (1, 4, 3, 2)}, "depthwise, wider"),
    "finest": ({"finest": True, "width": (32, 48, 96, 160), "depth": (1, 2, 2, 1), "head": 48}, "stride-4 level"),
    "decoupled": ({"decoupled": True}, "decoupled head"),
    "late": ({"width": (32, 64, 128, 256), "depth": (1, 2, 3, 1), "neck": (1, 1, 1, 1)}, "wider late"),
    "early": ({"width": (48, 64, 96, 128), "depth": (2, 3, 2, 1)}, "wider early"),
    "thin": ({"stem": (16, 16), "width": (16, 48, 96, 160), "head": 48}, "thinner"),
    "veil-p": ({**model.CONFIGS["veil-p"], "bend": 0}, "veil-p"),
}


class Bottleneck(model.Bottleneck):
    def __init__(self, c, shortcut):
        super().__init__(c, shortcut)
        self.b.conv = nn.Conv2d(c, c, 3, 1, 1, groups=c, bias=False)


class Decoupled(nn.Module):
    """A branch for the box and one for face and class, as in YOLOX, each half as wide."""

    def __init__(self, cin, width):
        super().__init__()
        self.box = nn.Sequential(model.ConvBN(cin, width // 2, 3), nn.Conv2d(width // 2, 4, 1))
        self.what = nn.Sequential(model.ConvBN(cin, width // 2, 3), nn.Conv2d(width // 2, 2, 1))

    def forward(self, x):
        return torch.cat((self.box(x), self.what(x)), 1)


class Candidate(model.Detector):
    """A Detector of one of the CANDIDATES; the differences that a configuration cannot say are here."""

    def __init__(self, name):
        other, _ = CANDIDATES[name]
        c = model.CONFIGS[name] = {**BASE, **other}
        dense, model.Bottleneck = model.Bottleneck, Bottleneck if c.get("depthwise") else model.Bottleneck
        super().__init__(name)
        model.Bottleneck = dense
        w2, w3, w4, w5 = c["width"]
        if c.get("finest"):  # one more way up, no way down: p4's map is an end
            self.l3, self.t2 = model.ConvBN(w3, w2), model.C3(2 * w2, w2, 1, False)
            self.heads.insert(0, nn.Sequential(model.ConvBN(w2, c["head"] // 2, 3), nn.Conv2d(c["head"] // 2, model.CHANNELS, 1)))
        if c.get("decoupled"):
            self.heads = nn.ModuleList(Decoupled(w, c["head"]) for w in (w3, w4, w5))
        self._initialise()
        self.bend = c.get("bend", 0)

    @staticmethod
    def ends(head):
        if isinstance(head, Decoupled):
            return (head.box[-1], slice(0, 4)), (head.what[-1], slice(4, 6))
        return model.Detector.ends(head)

    def maps(self, p2):
        out = super().maps(p2)
        return (self.t2(self.up_beside(self.l3(out[0]), p2)), *out) if hasattr(self, "t2") else out


def settle(name):
    """What the other modules must know of a candidate; one candidate a process."""
    other, _ = CANDIDATES[name]
    if other.get("finest"):
        model.STRIDES = batches.STRIDES = loss.STRIDES = (4, *model.STRIDES)
        loss.RANGE = {4: (0, 32), **loss.RANGE}


def train(name, args):
    """AP of one candidate after args.seen pictures; the network."""
    from eval.wider import quick
    from .batches import CropBatches, loader
    from .dataset import Faces
    from .loop import Loop
    from .loss import DetectionLoss
    settle(name)
    import train.loop
    train.loop.Detector = Candidate
    data = Faces(args.data or DATA)
    args.model, args.epochs = name, max(1, args.seen // (args.batch * args.epoch_steps))
    made = Loop(args, FOLDER / name, lambda seed: loader(CropBatches(data, args.batch, args.size, seed), args.workers),
                DetectionLoss()).run()
    return made, quick(made)  # without the size prior, which not every head can take


def build(made, name, args):
    """The int8 network for the engine; its multiply-adds at 640x384 in G."""
    import onnx
    file = FOLDER / name / "model"
    ends = [f"p{s}" for s in model.STRIDES]
    graph = export.to_onnx(made, 640, 384, {"veil.decoder": "none"}, ends)
    onnx.save(graph, f"{file}.onnx")
    subprocess.run([args.veil, "model", "build", f"{file}.onnx", "-o", f"{file}.veil", "--precision", "int8", "--decoder", "none",
                    "--calibrate", str(Path(args.data or DATA) / "train"), "--pictures", "16"], check=True, stdout=subprocess.DEVNULL)
    return round(sum(m for _, m, _ in model.macs(made)) / 1e9, 3)


def time_all(args, rounds=3):
    """Least times of all that were built, in turn, so that a noisy machine troubles all alike."""
    kept, out = rows(), FOLDER / "bench.json"
    for name in list(kept) * rounds:
        subprocess.run([args.veil, "bench", "engine", "--model", str(FOLDER / name / "model.veil"), "--runs", "200", "--json",
                        str(out)], check=True, stdout=subprocess.DEVNULL)
        ms = json.loads(out.read_text())["sides"][0]["least_ms"]
        kept[name]["ms"] = round(min(ms, kept[name].get("ms", ms)), 3)
    keep(kept)


def rows():
    file = FOLDER / "rows.json"
    return json.loads(file.read_text()) if file.exists() else {}


def keep(kept):
    (FOLDER / "rows.json").write_text(json.dumps(kept, indent=1) + "\n")


def draw(file):
    """AP hard and medium against time, a point a candidate."""
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    need(FOLDER / "rows.json", "trained candidates")
    fig, axes = plt.subplots(1, 3, figsize=(13, 4.4), dpi=100)
    for ax, level in zip(axes, ("easy", "medium", "hard")):
        for name, r in rows().items():
            ax.plot(r["ms"], r[f"ap_{level}"], "o", color="#c0392b" if name in ("silu", "veil-p") else "#2c3e50")
            ax.annotate(CANDIDATES[name][1], (r["ms"], r[f"ap_{level}"]), (4, 4), textcoords="offset points", fontsize=8)
        ax.set(xlabel="int8 engine, 640x384, one thread, ms", title=f"AP {level}, %, after {r['seen']:,} views")
        ax.margins(0.18)
        ax.grid(alpha=0.3)
    fig.tight_layout()
    fig.savefig(file)


def main():
    from .loop import add_arguments
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(CANDIDATES)}")
    ap.add_argument("--veil", default="build/cli/veil", help="the program (default %(default)s)")
    ap.add_argument("--seen", type=int, default=16000, help="views of the whole schedule (default %(default)s)")
    ap.add_argument("--time", action="store_true", help="time all that was trained, on a quiet machine")
    ap.add_argument("--plot", help="draw what was trained and timed as PNG")
    ap.add_argument("--macs", action="store_true", help="only print the multiply-adds")
    add_arguments(ap, "candidates", minutes=100000, lr=6e-3)
    ap.set_defaults(warmup=50, epoch_steps=100)  # of 500 steps
    a = ap.parse_args()
    unknown = set(a.names) - set(CANDIDATES)
    if unknown:
        raise SystemExit(f"unknown candidate {', '.join(sorted(unknown))}; known: {', '.join(CANDIDATES)}")
    if a.macs:
        for name in a.names or CANDIDATES:
            r = subprocess.run([sys.executable, "-c", f"from train.candidates import *; settle({name!r}); "
                                f"print(round(sum(m for _, m, _ in model.macs(Candidate({name!r}))) / 1e9, 3))"],
                               capture_output=True, text=True, check=True)
            print(f"{name:12s} {r.stdout.strip()} GMAC")
        return
    if len(a.names) > 1:  # a process each, for `settle`
        own = [x for x in sys.argv[1:] if x not in a.names and x != "--time"]
        for name in a.names:
            subprocess.run([sys.executable, "-m", "train.candidates", *own, name], check=True)
    elif a.names and a.names[0] not in rows():
        made, ap_row = train(a.names[0], a)
        row = {"gmac": build(made, a.names[0], a), "seen": a.seen, **ap_row}
        keep({**rows(), a.names[0]: row})
        print(a.names[0], row)
    if a.time:
        time_all(a)
    if a.plot:
        draw(a.plot)


if __name__ == "__main__":
    main()
