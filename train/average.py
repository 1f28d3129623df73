"""The mean of the weights of several checkpoints, such as a network and what a further round made of it.

Rounds that start from one network end in places between which it is better than at either (Wortsman
et al. 2022, arXiv 2203.05482). The mean needs batch norm statistics of its own (Izmailov et al. 2018,
arXiv 1803.05407); they are taken of training views. Checkpoints that do not stem from one another, or
of other activations, have no mean that is of use; the latter are refused.

    python3 -m train.average train/runs/A/last.pt train/runs/B/last.pt --out train/runs/both/last.pt
"""
import argparse
from pathlib import Path

import torch

from .dataset import Faces
from .loop import load_model, save
from .model import ConvBN
from .paths import DATA
from .shrink import pictures


def mean(models):
    """A network with the mean of their weights; its batch norm statistics are still of no use."""
    first = models[0]
    for m in models[1:]:
        if m.name != first.name or m.bend != first.bend:
            raise SystemExit(f"no mean of different networks: {first.name} (bend {first.bend:g}) and {m.name} (bend {m.bend:g})")
    states = [m.state_dict() for m in models]
    first.load_state_dict({k: sum(s[k] for s in states) / len(states) if v.dtype.is_floating_point else v
                           for k, v in states[0].items()})
    return first


def take_statistics(model, views):
    """Batch norm statistics of these views: the mean over batches."""
    parts = [m.bn for m in model.modules() if isinstance(m, ConvBN)]
    usual = [bn.momentum for bn in parts]
    for bn in parts:
        bn.reset_running_stats()
        bn.momentum = None
    model.train()
    with torch.no_grad():
        for x in views:
            model(x)
    for bn, momentum in zip(parts, usual):
        bn.momentum = momentum
    return model.eval()


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("checkpoints", nargs="+")
    ap.add_argument("--data", help="data folder with train.jsonl (default: VEIL_DATA)")
    ap.add_argument("--pictures", type=int, default=384, help="training views for the statistics")
    ap.add_argument("--size", type=int, default=320)
    ap.add_argument("--seed", type=int, default=5)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--out", required=True)
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    loaded = [load_model(path) for path in a.checkpoints]
    model = mean([m for m, _ in loaded])
    take_statistics(model, pictures(Faces(a.data or DATA), a.pictures, a.size, a.seed))
    last = loaded[-1][1]
    Path(a.out).parent.mkdir(parents=True, exist_ok=True)
    save(a.out, {"model_name": model.name, "ema": model.state_dict(), "model": model.state_dict(), "bend": model.bend,
                 "seen": last["seen"], "step": last["step"], "spent": last["spent"],
                 "args": {**vars(a), "seed": last["args"]["seed"]}})
    print(a.out)


if __name__ == "__main__":
    main()
