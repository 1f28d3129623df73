"""The training loop that pretrain and finetune share: resumable, logged, averaged.

The schedule follows whichever is further along: steps done of the steps
planned, or minutes of a time budget. So `--epochs` gives a repeatable run and
`--minutes` one that ends on time on a busy machine.
"""
import copy
import csv
import math
import os
import random
import signal
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch

from . import muon, parallel
from .curves import draw
from .model import Detector, favour_size, flatten, fold_batch_norm

warnings.filterwarnings("ignore", message="scatter_reduce")


class Average:
    """Exponential moving average of the weights; what is evaluated and exported."""

    def __init__(self, model, decay=0.999):
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay, self.steps = decay, 0

    def update(self, model):
        self.steps += 1
        d = self.decay * (1 - math.exp(-self.steps / 500))
        with torch.no_grad():
            for a, b in zip(self.model.state_dict().values(), model.state_dict().values()):
                if a.dtype.is_floating_point:
                    a.mul_(d).add_(b, alpha=1 - d)
                else:
                    a.copy_(b)


def add_arguments(ap, run, minutes, lr):
    ap.add_argument("--model", default="veil-n", help="network (default %(default)s)")
    ap.add_argument("--data", help="data folder with train.jsonl (default: VEIL_DATA)")
    ap.add_argument("--run", default=run, help="name of the run under train/runs (default %(default)s)")
    ap.add_argument("--epochs", type=int, default=10000, help="epochs at most")
    ap.add_argument("--epoch-steps", type=int, default=250, help="steps an epoch (a checkpoint each)")
    ap.add_argument("--minutes", type=float, default=minutes, help="time budget of the whole schedule")
    ap.add_argument("--batch", type=int, default=32)
    ap.add_argument("--size", type=int, default=320, help="side of the training crops")
    ap.add_argument("--lr", type=float, default=lr)
    ap.add_argument("--optimizer", choices=("adamw", "muon"), default="muon")
    ap.add_argument("--bend", type=float, help="activation to end with: 0 ReLU, 1 SiLU (default: as it is)")
    ap.add_argument("--bend-steps", type=int, default=300, help="steps on the way to --bend")
    ap.add_argument("--warmup", type=int, default=300, help="steps until the full rate")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--workers", type=int, default=2)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--procs", type=int, default=1, help="data-parallel processes; share the batch")
    ap.add_argument("--hard", help="scores of train.hard: look for the missed faces more often")
    ap.add_argument("--alarms", help="what train.alarms found taken for faces: look at it too")
    ap.add_argument("--teacher", help="checkpoint of a larger network that also says what is to be learnt")
    ap.add_argument("--taught", type=float, default=1.0, help="share of the batches that the teacher is asked about; it costs more than a small network does")
    ap.add_argument("--eval-every", type=int, default=0, help="epochs between AP on the val pictures (0: never)")
    ap.add_argument("--resume", action="store_true", help="go on from the run's last checkpoint")
    ap.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")


def load_model(path, device="cpu", averaged=True):
    """Network with the weights of a checkpoint, in eval mode."""
    if not Path(path).exists():
        raise SystemExit(f"checkpoint not found: {path}")
    ck = torch.load(path, map_location=device)
    model = Detector(ck["model_name"])
    model.load_state_dict(ck["ema" if averaged else "model"])
    model.bend = ck.get("bend", 0.0)
    return model.to(device).eval(), ck


def load_finished(path):
    """The averaged weights of a checkpoint with the size prior: the network that is shipped."""
    model, ck = load_model(path)
    return favour_size(model), ck


def load_teacher(path, device):
    """images (N,3,H,W) as bytes -> the raw cells (N,A,6) that a checkpoint's network makes of them."""
    model = fold_batch_norm(load_model(path, device)[0]).bfloat16().to(memory_format=torch.channels_last)
    model.requires_grad_(False)

    def teach(x):
        with torch.no_grad():
            return flatten(model(x.bfloat16().div_(255)))
    return teach


def save(path, state):
    """Write beside and rename, so that a checkpoint is whole or absent."""
    tmp = Path(str(path) + ".part")
    torch.save(state, tmp)
    os.replace(tmp, path)


def parameter_groups(model, decay):
    """Weight decay on convolution weights only."""
    wd = [p for p in model.parameters() if p.ndim > 1]
    return [{"params": wd, "weight_decay": decay},
            {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0}]


class Loop:
    """Run(args, folder, make_loader(seed), loss, init) -> averaged model in last.pt."""

    def __init__(self, args, folder, make_loader, loss, init=None, evaluate=None):
        self.a, self.folder, self.make_loader, self.loss = args, Path(folder), make_loader, loss
        self.evaluate = evaluate
        self.folder.mkdir(parents=True, exist_ok=True)
        self.rank = parallel.start(args)
        args.batch //= args.procs  # the data loaders make this process's share
        torch.set_num_threads(args.threads)
        random.seed(args.seed)
        np.random.seed(args.seed)
        torch.manual_seed(args.seed)
        self.model = Detector(args.model)
        if init:
            start = load_model(init)[0]
            if start.name != args.model:
                raise SystemExit(f"{init} is a {start.name}, not a {args.model}: pass --model {start.name}")
            self.model.load_state_dict(start.state_dict())
            self.model.bend = start.bend
        self.model.to(args.device, memory_format=torch.channels_last).train()
        self.ema = Average(self.model)
        self.teacher = load_teacher(args.teacher, args.device) if args.teacher else None
        if args.optimizer == "muon":
            self.opt = muon.Muon(muon.groups(self.model, 0.03), lr=args.lr)
        else:
            self.opt = torch.optim.AdamW(parameter_groups(self.model, 0.03), lr=args.lr, betas=(0.9, 0.99))
        self.step, self.epoch, self.spent, self.seen = 0, 0, 0.0, 0
        self.bend0 = self.model.bend
        self.done, self.stop, self.asked = 0.0, False, False
        if args.resume:
            self._resume()

    def _resume(self):
        path = self.folder / "last.pt"
        if not path.exists():
            raise SystemExit(f"nothing to resume in {self.folder}")
        ck = torch.load(path, map_location=self.a.device)
        self.model.load_state_dict(ck["model"])
        self.ema.model.load_state_dict(ck["ema"])
        self.ema.steps = ck["ema_steps"]
        if ck["args"].get("optimizer", "adamw") != self.a.optimizer:
            raise SystemExit(f"{path} was trained with --optimizer {ck['args'].get('optimizer', 'adamw')}")
        self.opt.load_state_dict(ck["optimizer"])
        self.model.bend, self.bend0 = ck.get("bend", 0.0), ck.get("bend0", 0.0)
        self.step, self.epoch, self.spent, self.seen = ck["step"], ck["epoch"], ck["spent"], ck["seen"]
        torch.set_rng_state(ck["rng"].cpu())

    def state(self):
        return {"model_name": self.a.model, "model": self.model.state_dict(), "ema": self.ema.model.state_dict(),
                "ema_steps": self.ema.steps, "optimizer": self.opt.state_dict(), "step": self.step,
                "epoch": self.epoch, "spent": self.spent, "seen": self.seen, "args": vars(self.a),
                "bend": self.model.bend, "bend0": self.bend0, "rng": torch.get_rng_state()}

    def progress(self):
        return min(1.0, max(self.step / (self.a.epochs * self.a.epoch_steps),
                            (self.spent + time.time() - self.began) / (60 * self.a.minutes)))

    def rate(self, p):
        """Warm-up, then half a cosine down to 2 % of the rate, at progress p of 0..1."""
        return self.a.lr * min(1, self.step / self.a.warmup) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * p)))

    def one_step(self, batch):
        dev = self.a.device
        batch = {k: v.to(dev) if torch.is_tensor(v) else v for k, v in batch.items()}
        x = batch["images"].permute(0, 3, 1, 2)
        if self.a.bend is not None:
            t = min(1.0, self.step / max(1, self.a.bend_steps))
            self.model.bend = self.ema.model.bend = self.bend0 + t * (self.a.bend - self.bend0)
        with torch.autocast(torch.device(dev).type, torch.bfloat16):
            out = self.model(x)
        if self.teacher and random.random() < self.a.taught:
            batch["taught"] = self.teacher(x)
        total, parts = self.loss(out, batch)
        if not torch.isfinite(total):
            raise SystemExit(f"loss is not finite at step {self.step}")
        self.opt.zero_grad(set_to_none=True)
        total.backward()
        self.step += 1
        # a signal that comes during the exchange counts for the next step
        self.done, self.stop = parallel.average(list(self.model.parameters()), self.progress(), self.asked)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 10.0)
        lr = self.rate(self.done)
        for g in self.opt.param_groups:
            g["lr"] = lr
        self.opt.step()
        self.ema.update(self.model)
        self.seen += len(x) * self.a.procs
        return {"loss": float(total.detach()), **parts, "lr": lr}

    def ask_to_stop(self, *_):
        """A stop signal: keep what was learnt since the last checkpoint, then end."""
        self.asked = True

    def log(self, row):
        path = self.folder / "log.csv"
        old = list(csv.DictReader(open(path))) if path.exists() else []
        keys = list(dict.fromkeys([k for r in old for k in r] + list(row)))
        with open(str(path) + ".part", "w", newline="") as f:
            w = csv.DictWriter(f, keys, restval="")
            w.writeheader()
            w.writerows(old + [row])
        os.replace(str(path) + ".part", path)

    def run(self):
        self.began = start = time.time()
        spent0, batches = self.spent, iter(self.make_loader(self.a.seed * 100003 + self.step + 7919 * self.rank))
        first = self.rank == 0
        if first:
            (self.folder / "pid").write_text(f"{os.getpid()}\n")
        signal.signal(signal.SIGTERM, self.ask_to_stop)
        self.done = self.progress()
        while self.done < 1:
            sums, t0 = {}, time.time()
            for i in range(self.a.epoch_steps):
                if self.stop:
                    self.spent += time.time() - self.began
                    if first:
                        save(self.folder / "last.pt", self.state())
                    raise SystemExit("stopped; --resume goes on")
                for k, v in self.one_step(next(batches)).items():
                    sums[k] = sums.get(k, 0.0) + v
                if first and (sys.stdout.isatty() or (i + 1) % 50 == 0):
                    left = (time.time() - start) * (1 - self.progress()) / max(1e-6, self.progress() - spent0 / 60 / self.a.minutes)
                    print(f"\repoch {self.epoch} {i + 1}/{self.a.epoch_steps} loss {sums['loss'] / (i + 1):.4f} "
                          f"{(i + 1) * self.a.batch * self.a.procs / (time.time() - t0):.0f} img/s, {100 * self.progress():.0f} % done, "
                          f"{left / 60:.0f} min left  ", end="" if sys.stdout.isatty() else "\n", flush=True)
            self.epoch += 1
            now = time.time()
            self.spent, self.began = self.spent + now - self.began, now
            row = {"epoch": self.epoch, "step": self.step, "seen": self.seen, "minutes": round(self.spent / 60, 2),
                   **{k: float(f"{v / self.a.epoch_steps:.5g}") for k, v in sums.items()}}
            if not first:
                continue
            save(self.folder / "last.pt", self.state())
            if self.evaluate and self.a.eval_every and self.epoch % self.a.eval_every == 0:
                row.update(self.evaluate(self.ema.model))
            self.log(row)
            draw(self.folder)
        if not first:
            raise SystemExit(0)
        print(f"\ndone: {self.step} steps, {self.seen} pictures, {self.spent / 60:.1f} min")
        return self.ema.model
