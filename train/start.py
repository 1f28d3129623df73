"""For tools that make a checkpoint to train on from (shrink.py, restore.py, average.py): the checkpoint, which has
no optimiser and no random state, and for the first two options and training views to measure on.
"""
from pathlib import Path

import torch

from .batches import CropBatches
from .dataset import Faces
from .loop import save
from .paths import DATA

PICTURES = 192  # views that statistics are taken of


def begin(ap):
    """The command line, and the views it asks for."""
    ap.add_argument("--data", help="data folder with train.jsonl (default: VEIL_DATA)")
    ap.add_argument("--pictures", type=int, default=PICTURES, help="training views to measure on (default %(default)s)")
    ap.add_argument("--size", type=int, default=320)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--out", required=True)
    a = ap.parse_args()
    torch.set_num_threads(a.threads)
    return a, views(Faces(a.data or DATA), a.pictures, a.size, a.seed)


def views(data, count, size, seed, chunk=32):
    """Training crops as the network takes them, in chunks."""
    batches = iter(CropBatches(data, chunk, size, seed))
    return [next(batches)["images"].permute(0, 3, 1, 2).float() / 255 for _ in range(max(1, count // chunk))]


def keep(path, model, args, history=None, **more):
    """Write a checkpoint of this network; history: checkpoint whose pictures seen, steps and time it goes by."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    past = {k: history[k] if history else 0 for k in ("seen", "step", "spent")}
    save(path, {"model_name": model.name, "ema": model.state_dict(), "model": model.state_dict(), "bend": model.bend,
                **past, "args": args, **more})
