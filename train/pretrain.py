"""Stage 1: learn to find faces, from scratch, on every box there is (one class)."""
import argparse

from .batches import CropBatches, loader
from .dataset import Faces
from .loop import Loop, add_arguments
from .loss import DetectionLoss
from .model import favour_size
from .paths import DATA, RUNS


def evaluate(model):
    """AP on the val pictures at long side 640, as columns of the log."""
    from eval.wider import quick
    return quick(favour_size(model))


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    add_arguments(ap, "pretrain", minutes=60, lr=6e-3)
    a = ap.parse_args()
    data = Faces(a.data or DATA)
    if a.hard:
        data.look_for_hard(a.hard)
    if a.alarms:
        data.look_at_alarms(a.alarms)
    print(f"{len(data)} pictures, {int((data.kind == 0).sum())} faces, {int((data.kind == 1).sum())} ignored", flush=True)
    Loop(a, RUNS / a.run, lambda seed: loader(CropBatches(data, a.batch, a.size, seed), a.workers),
         DetectionLoss(), evaluate=evaluate).run()


if __name__ == "__main__":
    main()
