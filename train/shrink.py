"""Start a smaller network from a trained larger one of the same family, instead of from nothing.

Layer by layer, in the order of the forward pass: of the larger layer's channels those are kept that
its other channels follow from best (pivoted QR of its activations); the smaller layer's weights are
then fitted by least squares so that, fed by the smaller layers before it, it gives what the larger
one gives there. Bottlenecks that the smaller network lacks are asked of the one it has, or of the
layer before. What is lost is learnt again by train.finetune, --init, best with --teacher.

    python3 -m train.shrink train/runs/finetune/last.pt --model veil-p --out train/runs/shrunk.pt
"""
import argparse

import numpy as np
import torch
import torch.nn.functional as F
from scipy.linalg import qr

from .loop import load_model
from .model import CONFIGS, C3, ConvBN, Detector, SPPF
from .start import begin, keep

ROWS = 60000      # samples a layer is fitted to
RIDGE = 1e-4      # of the mean square of a feature


class Tap:
    """Input and output of one module while a network runs, without holding the graph."""

    def __init__(self, module):
        self.handle = module.register_forward_hook(self.keep)

    def keep(self, _, given, out):
        self.x, self.y = given[0].detach(), out.detach().clone()  # a ReLU behind works in place


def run(net, images, module):
    """(input, output) of `module` over all pictures, in float32."""
    tap, xs, ys = Tap(module), [], []
    with torch.no_grad():
        for x in images:
            net(x)
            xs.append(tap.x)
            ys.append(tap.y)
    tap.handle.remove()
    return torch.cat(xs), torch.cat(ys)


def rows_of(x, conv, places):
    """Samples x features of a convolution's input at the output places (n, y, x), with a one for the bias."""
    k, s = conv.kernel_size[0], conv.stride[0]
    x = F.pad(x, (k // 2,) * 4)
    n, y, c = places
    cols = [x[n, :, y * s + i, c * s + j] for i in range(k) for j in range(k)]
    a = torch.stack(cols, 2).flatten(1)  # channel, then place in the kernel: as the weights lie
    return torch.cat((a, torch.ones(len(a), 1)), 1)


def fit(a, target, relu, weight=None, rounds=6):
    """Least squares a @ w = target (rows, outputs). Before a ReLU what is below zero may be anywhere below zero."""
    a, target = a.double(), target.double()
    scale = a if weight is None else a * weight[:, None].double()
    gram = a.T @ scale
    gram += RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    factor = torch.linalg.cholesky(gram)
    wanted = target
    for _ in range(rounds if relu else 1):
        w = torch.cholesky_solve(scale.T @ wanted, factor)
        if relu:
            now = a @ w
            wanted = torch.where(target <= 0, now.clamp(max=0), target)
    return w.float()


def choose(y, count):
    """The channels from which the others follow best, by pivoted QR of centred samples (rows, channels)."""
    if count >= y.shape[1]:
        return list(range(y.shape[1]))
    y = y - y.mean(0)
    return sorted(int(i) for i in qr(y.numpy().astype(np.float64), mode="r", pivoting=True)[1][:count])


class Shrinker:
    def __init__(self, large, small, images, seed):
        if large.bend:  # the fits leave open what a ReLU cuts off; SiLU cuts nothing off
            raise SystemExit("only networks with ReLU can be shrunk, and this one has SiLU")
        small.bend = 0.0
        self.large, self.small, self.images = large.eval(), small.eval(), images
        self.rng = np.random.default_rng(seed)

    def places(self, y):
        n, _, h, w = y.shape
        i = torch.from_numpy(self.rng.permutation(n * h * w)[:ROWS])
        return i // (h * w), i // w % h, i % w

    def layer(self, name, wanted, share=None):
        """Fit the small layer `name` to the large network's module `wanted`; returns the channels kept.

        wanted: module of the large network whose output is asked for, before its ReLU if it is a
        ConvBN. share: channels that another layer has chosen, where both are added.
        """
        layer = self.small.get_submodule(name)
        _, y = run(self.large, self.images, wanted.bn if isinstance(wanted, ConvBN) else wanted)
        x, _ = run(self.small, self.images, layer)
        at, wide = self.places(y), y.shape[1]
        y = y[at[0], :, at[1], at[2]]
        kept = choose(y.clamp(min=0), layer.conv.out_channels) if share is None else share
        a = rows_of(x, layer.conv, at)
        w = fit(a, y[:, kept], True)
        self.set(layer, a, w)
        y = y[:, kept].clamp(min=0)
        error = (y - (a @ w).clamp(min=0)).square().mean() / y.var(0).mean()
        print(f"{name:14s} {len(kept):3d} of {wide:3d} channels, {float(error):.3f} of the variance lost", flush=True)
        return kept

    @staticmethod
    def set(layer, a, w):
        z = a[:, :-1] @ w[:-1]
        layer.conv.weight.data.copy_(w[:-1].T.reshape(layer.conv.weight.shape))
        mean, var = z.mean(0), z.var(0).clamp(min=1e-6)
        layer.bn.running_mean.copy_(mean)
        layer.bn.running_var.copy_(var)
        layer.bn.weight.data.copy_((var + layer.bn.eps).sqrt())
        layer.bn.bias.data.copy_(mean + w[-1])

    def c3(self, name):
        small, large = self.small.get_submodule(name), self.large.get_submodule(name)
        last = len(large.m) - 1
        if not len(small.m):
            self.layer(f"{name}.a", large.m if len(large.m) else large.a)
        elif not small.shortcut:
            self.layer(f"{name}.a", large.a)
            skipped = last + 1 - len(small.m)
            for i in range(len(small.m)):
                self.layer(f"{name}.m.{i}.a", large.m[skipped + i].a)
                self.layer(f"{name}.m.{i}.b", large.m[skipped + i].b)
        else:
            _, y = run(self.large, self.images, large.m)
            at = self.places(y)
            kept = choose(y[at[0], :, at[1], at[2]], small.a.conv.out_channels)
            self.layer(f"{name}.a", large.a, share=kept)
            for i in range(len(small.m)):
                self.layer(f"{name}.m.{i}.a", large.m[i].a)
                # the last one there is gives what all the others would have added
                self.residual(f"{name}.m.{i}.b", large.m[last if i + 1 == len(small.m) else i], kept)
        self.layer(f"{name}.b", large.b)
        self.layer(f"{name}.out", large.out)

    def residual(self, name, wanted, kept):
        """Fit the last layer of a bottleneck to what its input lacks of the large bottleneck's output."""
        block, layer = self.small.get_submodule(name[:-2]), self.small.get_submodule(name)
        _, y = run(self.large, self.images, wanted)
        x, _ = run(self.small, self.images, layer)
        before, _ = run(self.small, self.images, block)
        at = self.places(y)
        lacks = (y[at[0], :, at[1], at[2]][:, kept] - before[at[0], :, at[1], at[2]])
        a = rows_of(x, layer.conv, at)
        w = fit(a, lacks.clamp(min=0), True)
        self.set(layer, a, w)
        left = (lacks - (a @ w).clamp(min=0)).square().mean() / lacks.square().mean()
        print(f"{name:14s} {layer.conv.out_channels:3d} channels, {float(left):.3f} of what it adds lost", flush=True)

    def head(self, i):
        """The first layer like any other; the last where the large network sees or suspects faces."""
        self.layer(f"heads.{i}.0", self.large.heads[i][0])
        conv = self.small.heads[i][1]
        _, y = run(self.large, self.images, self.large.heads[i][1])
        x, _ = run(self.small, self.images, conv)
        at = self.places(y)
        y, a = y[at[0], :, at[1], at[2]], rows_of(x, conv, at)
        near = y[:, 4].sigmoid() + 1e-3
        for c in range(y.shape[1]):
            weight = near + 0.05 if c == 4 else near
            w = fit(a, y[:, c:c + 1], False, weight)
            conv.weight.data[c] = w[:-1, 0].reshape(conv.weight[c].shape)
            conv.bias.data[c] = w[-1, 0]

    def run(self):
        small = self.small
        for name, m in small.named_children():
            if name == "heads":
                for i in range(len(m)):
                    self.head(i)
            elif isinstance(m, torch.nn.Upsample):
                continue
            else:
                self.walk(name, m)

    def walk(self, name, m):
        large = self.large.get_submodule(name)
        if isinstance(m, ConvBN):
            self.layer(name, large)
        elif isinstance(m, C3):
            self.c3(name)
        elif isinstance(m, SPPF):
            self.layer(f"{name}.a", large.a)
            self.layer(f"{name}.out", large.out)
        else:
            for i, part in m.named_children():
                self.walk(f"{name}.{i}", part)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("checkpoint")
    ap.add_argument("--model", default="veil-p", choices=CONFIGS, help="the smaller network (default %(default)s)")
    a, views = begin(ap)
    large, ck = load_model(a.checkpoint)
    small = Detector(a.model)
    Shrinker(large, small, views, a.seed).run()
    keep(a.out, small, vars(a), **{"from": {"checkpoint": str(a.checkpoint), "seen": ck["seen"]}})
    print(a.out)


if __name__ == "__main__":
    main()
