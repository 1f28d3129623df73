"""Data-parallel training in several single-threaded processes on one machine.

On a CPU that other work shares this is much faster than one process with
several threads: oneDNN's backward kernels wait for each other in spinning
barriers, and a thread that lost its core stalls all of them. Processes meet
once a step, sleeping, to average their gradients.
"""
import os
import subprocess
import sys
import tempfile

import torch
import torch.distributed as dist


def first():
    """Whether this is the process that the user started."""
    return int(os.environ.get("VEIL_TRAIN_RANK", 0)) == 0


def start(args):
    """Start the other processes of `--procs N` and join them; returns this one's rank."""
    if args.procs <= 1:
        return 0
    if args.batch % args.procs:
        raise SystemExit(f"--batch {args.batch} is not a multiple of --procs {args.procs}")
    rank = int(os.environ.get("VEIL_TRAIN_RANK", 0))
    if rank == 0:
        meet = tempfile.mkdtemp(prefix="veil-train-") + "/meet"
        for r in range(1, args.procs):
            env = {**os.environ, "VEIL_TRAIN_RANK": str(r), "VEIL_TRAIN_MEET": meet}
            module = sys.modules["__main__"].__spec__.name
            subprocess.Popen([sys.executable, "-m", module, *sys.argv[1:]], env=env)
    else:
        meet = os.environ["VEIL_TRAIN_MEET"]
    dist.init_process_group("gloo", init_method=f"file://{meet}", rank=rank, world_size=args.procs)
    return rank


def average(parameters, progress, stop):
    """Average the gradients; everybody takes rank 0's progress and anybody's wish to stop."""
    if not dist.is_initialized():
        return progress, stop
    grads = [p.grad for p in parameters]
    mine = torch.tensor([progress if dist.get_rank() == 0 else 0.0, float(stop)])
    flat = torch.cat([g.reshape(-1) for g in grads] + [mine])
    dist.all_reduce(flat)
    n, at = dist.get_world_size(), 0
    for g in grads:
        g.copy_(flat[at:at + g.numel()].view_as(g)).div_(n)
        at += g.numel()
    return float(flat[-2]), bool(flat[-1] > 0)
