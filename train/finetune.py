"""Stage 2: learn interview and background, and keep finding faces.

Every other batch is a detection batch as in pretraining; the others are whole
pictures with class labels and composed interviews. AP on the val pictures and
the subject figures are reported before and after.
"""
import argparse
import json

import torch

from . import parallel, restore, start
from .batches import loader
from .classviews import MixedBatches
from .dataset import Faces
from .loop import Loop, add_arguments, load_model
from .loss import DetectionLoss
from .model import favour_size
from .paths import DATA, RUNS


def report(model, name, folder):
    """AP at 640 and subject figures, printed and kept in before.json / after.json."""
    from eval.subject import figures
    from eval.wider import quick
    model = favour_size(model)
    out = {"wider_640": quick(model), "subject": figures(model)[0]}
    print(f"{name}: {json.dumps(out)}", flush=True)
    (folder / f"{name}.json").write_text(json.dumps(out, indent=1) + "\n")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(ap, "finetune", minutes=45, lr=4e-3)
    ap.add_argument("--init", default=str(RUNS / "pretrain" / "last.pt"), help="checkpoint or veil model file to start from")
    ap.add_argument("--composed", type=float, default=0.25, help="share of composed interviews (0: none)")
    ap.add_argument("--guesses", help="soft labels of train.guess for the pictures without classes")
    ap.add_argument("--boxes", help="boxes that train.boxes straightened")
    ap.add_argument("--labels", nargs="+", default=[], help="classes given after the data was made (train/labels/*.jsonl)")
    ap.add_argument("--label-weight", type=float, default=1.0, help="weight of the class loss")
    ap.add_argument("--smallest", type=float, default=8.0, help="smallest size, px, that crops show a chosen face at (default %(default)s)")
    ap.add_argument("--report", action="store_true", help="AP and subject figures before and after")
    a = ap.parse_args()
    data, folder = Faces(a.data or DATA), RUNS / a.run
    for file in a.labels:
        print(f"{file}: {data.add_labels(file)} more pictures have classes", flush=True)
    if a.hard:
        data.look_for_hard(a.hard)
    if a.alarms:
        data.look_at_alarms(a.alarms)
    if a.boxes:
        data.boxes = data.load(a.boxes, "train.boxes", "boxes")
    guesses = data.load(a.guesses, "train.guess", "label") if a.guesses else None
    print(f"{len(data)} pictures, {int(data.labelled.sum())} with classes: "
          f"{int((data.label == 1).sum())} interview, {int((data.label == 0).sum())} background", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    if a.init.endswith(".veil"):
        restored = folder / "start.pt"
        if not a.resume and parallel.first():
            restore.checkpoint(a.init, start.views(data, start.PICTURES, a.size, a.seed), restored, a.seed)
        a.init = str(restored)
    if a.report and not a.resume and parallel.first():
        torch.set_num_threads(a.threads)
        report(load_model(a.init)[0], "before", folder)
    model = Loop(a, folder, lambda seed: loader(MixedBatches(data, a.batch, a.size, seed, a.composed, guesses, smallest=a.smallest), a.workers),
                 DetectionLoss(label=a.label_weight), init=None if a.resume else a.init).run()
    if a.report:  # only the first process gets here
        report(model, "after", folder)


if __name__ == "__main__":
    main()
