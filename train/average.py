"""The mean of the weights of several checkpoints, such as a network and what a further round made of it.

Rounds that start from one network end in places between which it is better than at either (Wortsman
et al. 2022, arXiv 2203.05482). The mean needs batch norm statistics of its own (Izmailov et al. 2018,
arXiv 1803.05407); they are taken of training views. Checkpoints that do not stem from one another, or
of other activations, have no mean that is of use; the latter are refused.

    python3 -m train.average train/runs/A/last.pt train/runs/B/last.pt --out train/runs/both/last.pt
"""
import argparse

import torch

from .loop import load_model
from .model import ConvBN
from .start import begin, keep


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
    a, views = begin(ap, pictures=384, seed=5)
    loaded = [load_model(path) for path in a.checkpoints]
    model = take_statistics(mean([m for m, _ in loaded]), views)
    last = loaded[-1][1]
    keep(a.out, model, {**vars(a), "seed": last["args"]["seed"]}, last)
    print(a.out)


if __name__ == "__main__":
    main()
