"""The mean of several checkpoints, such as a network and what a further round made of it.

Rounds that start from one network end in places between which it is better than at either (Wortsman
et al. 2022, arXiv 2203.05482). Batch norm statistics are averaged with the weights: taken anew of
training crops (Izmailov et al. 2018, arXiv 1803.05407) they fitted whole pictures worse: AUC 0.952
instead of 0.959 (`eval.subject CHECKPOINT --bf16`), AP hard 78.1 instead of 78.6 (`eval.wider CHECKPOINT
--long 640 --bf16`). Checkpoints that do not stem from one another have no mean that is of use; those of other
activations are refused.

    python3 -m train.average train/runs/A/last.pt train/runs/B/last.pt --out train/runs/both/last.pt
"""
import argparse

from .loop import load_model
from .start import keep


def mean(models):
    """A network with the mean of their weights and statistics."""
    first = models[0]
    for m in models[1:]:
        if m.name != first.name or m.bend != first.bend:
            raise SystemExit(f"no mean of different networks: {first.name} (bend {first.bend:g}) and {m.name} (bend {m.bend:g})")
    states = [m.state_dict() for m in models]
    first.load_state_dict({k: sum(s[k] for s in states) / len(states) if v.dtype.is_floating_point else v
                           for k, v in states[0].items()})
    return first.eval()


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("checkpoints", nargs="+")
    ap.add_argument("--out", required=True)
    a = ap.parse_args()
    loaded = [load_model(path) for path in a.checkpoints]
    last = loaded[-1][1]
    keep(a.out, mean([m for m, _ in loaded]), {**vars(a), "seed": last["args"]["seed"]}, last)
    print(a.out)


if __name__ == "__main__":
    main()
