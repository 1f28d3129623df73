"""Make a checkpoint out of a veil model file, such as the shipped ones, to train on from it.

A model file holds convolutions whose batch norm was folded in, rounded to 8 bits, with the size prior
in the last. Here the prior is taken out again and each batch norm put back: its statistics are those
of training views, its scale and shift such that the network computes what the file says. Rows of
weights get one length, since the optimiser's steps are of one length too. Averages, momentum and the
random state of the run that made the file are gone; training misses none of them.

    python3 -m train.restore models/veil-n.veil --out train/runs/shipped.pt

train.finetune --init takes a model file as well and does the same.
"""
import argparse
import struct

import numpy as np
import torch

from .model import CONFIGS, ConvBN, Detector, favour_size, macs
from .paths import need
from .start import begin, keep

# src/nn/format.h; the file itself is checked by `veil model info`, here only what is read
CONV, SILU = 1, 4
TYPES = {1: np.float32, 2: np.float16, 3: np.int8}
RMS = 0.25  # of a row's weights: about where Muon (0.005) and the weight decay leave them


def read(path):
    """(texts, [(weights (O,I,KH,KW), bias (O,), activation)]) of a model file, convolutions in the order they run."""
    data = need(path, "model").read_bytes()
    if data[:4] != b"VEIL" or len(data) < 128:
        raise SystemExit(f"{path}: not a veil model")

    def u32(at, n=1):
        return struct.unpack_from(f"<{n}I", data, at)
    (strings, _, n_meta, meta, _, blobs, _, _, n_ops, ops, _, _, at, _) = u32(16, 14)

    def text(offset):
        return data[strings + offset:data.index(b"\0", strings + offset)].decode()

    def blob(i):
        kind, count, offset, _ = u32(blobs + 16 * (i - 1), 4)
        return np.frombuffer(data, TYPES[kind], count, at + offset).astype(np.float32)

    try:
        texts = {text(k): text(v) for k, v in (u32(meta + 8 * i, 2) for i in range(n_meta))}
        convs = []
        for op in (u32(ops + 128 * i, 32) for i in range(n_ops)):
            if op[0] != CONV:
                continue
            bias = blob(op[26])
            w = blob(op[25]).reshape(len(bias), op[15], op[16], -1)
            if op[27]:
                w = w * blob(op[27])[:, None, None, None]
            convs.append((torch.from_numpy(w.transpose(0, 3, 1, 2).copy()), torch.from_numpy(bias.copy()), op[12]))
    except (struct.error, ValueError, KeyError, IndexError) as e:
        raise SystemExit(f"{path}: broken veil model ({e})") from None
    return texts, convs


def folded(path):
    """The network of a model file, its batch norms adding the bias and nothing else."""
    texts, convs = read(path)
    name = texts.get("name")
    if name not in CONFIGS:
        raise SystemExit(f"{path}: not a network of train/ (its name is {name!r}; known: {', '.join(CONFIGS)})")
    model = Detector(name)
    model.bend = float(any(act == SILU for *_, act in convs))
    order = [model.get_submodule(layer) for layer, *_ in macs(model, 64, 64)]
    if [m.weight.shape for m in order] != [w.shape for w, *_ in convs]:
        raise SystemExit(f"{path}: its layers are not those of {name} here")
    norms = {m.conv: m.bn for m in model.modules() if isinstance(m, ConvBN)}
    with torch.no_grad():
        for conv, (w, bias, _) in zip(order, convs):
            conv.weight.copy_(w)
            bn = norms.get(conv)
            if bn is None:
                conv.bias.copy_(bias)
                continue
            bn.running_mean.zero_()
            bn.running_var.fill_(1 - bn.eps)
            bn.weight.fill_(1)
            bn.bias.copy_(bias)
    return favour_size(model, -1).eval()


def unfold(model, views):
    """Give the batch norms of a folded network the statistics of what passes through them, in place."""
    parts, sums, hooks = [m for m in model.modules() if isinstance(m, ConvBN)], {}, []

    def gather(part):
        def hook(_, __, y):
            y = y.detach().double()
            s = sums.setdefault(part, [0, 0.0, 0.0])
            s[0] += y.numel() // y.shape[1]
            s[1] = s[1] + y.sum((0, 2, 3))
            s[2] = s[2] + y.square().sum((0, 2, 3))
        return hook
    for part in parts:
        hooks.append(part.conv.register_forward_hook(gather(part)))
    with torch.no_grad():
        for x in views:
            model(x)
        for h in hooks:
            h.remove()
        for part in parts:
            n, total, squares = sums[part]
            mean = total / n
            var = (squares / n - mean.square()).clamp(min=0)
            rows = part.conv.weight.flatten(1)
            longer = RMS * rows.shape[1] ** 0.5 / rows.norm(dim=1).clamp(min=1e-6)
            bn = part.bn
            part.conv.weight.mul_(longer[:, None, None, None])
            bn.bias.add_(mean.float())
            bn.running_mean.copy_(mean * longer)
            bn.running_var.copy_(var * longer.square())
            bn.weight.copy_((bn.running_var + bn.eps).sqrt() / longer)
    return model


def checkpoint(path, views, out, seed):
    """Write the checkpoint of a model file, its statistics those of these views."""
    keep(out, unfold(folded(path), views), {"seed": seed, "from": str(path)})


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("model", help="veil model file of a network of train/")
    a, views = begin(ap)
    checkpoint(a.model, views, a.out, a.seed)
    print(a.out)


if __name__ == "__main__":
    main()
