"""The detector network: YOLOv5 family, SiLU or ReLU, strides 8/16/32, six channels a cell.

Channel counts are multiples of 16, because the int8 engine works in 16- and
64-byte blocks. Much of the compute sits at strides 4 and 8: bystanders' faces
are small.
"""
import copy
import math

import torch
from torch import nn

from . import conv, fused

STRIDES = (8, 16, 32)
# boxes start at two cells; faces start rare; classes start undecided
HEAD_BIAS = torch.tensor([0, 0, 0.7, 0.7, -4.6, 0.0])
CHANNELS = 6  # tx ty tw th face interview
# At stride 8 the face logit of a finished network is raised by this much for each e-fold of the box's
# size (the root of its area) over 36 px, and lowered below that: see favour_size
SIZE_PRIOR, SIZE_NEUTRAL = 0.5, 36.0

CONFIGS = {
    # stem: widths of the two first stride-2 convolutions
    # width: channels at strides 4, 8, 16, 32;  depth: bottlenecks there
    # neck: bottlenecks of the four neck stages; head: width of the heads; bend: 1 is SiLU
    "veil-n": dict(stem=(16, 32), width=(32, 64, 128, 192), depth=(1, 3, 2, 1),
                   neck=(1, 2, 1, 1), head=64, bend=1),
    "veil-p": dict(stem=(16, 16), width=(16, 32, 64, 96), depth=(0, 1, 1, 1),
                   neck=(1, 1, 1, 1), head=32, bend=1),
}


class ConvBN(nn.Module):
    """Convolution, batch norm, and an activation: ReLU, or v sigmoid(sharp v), which is SiLU with 1."""

    def __init__(self, cin, cout, k=1, s=1):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, k, s, k // 2, bias=False)
        self.bn = nn.BatchNorm2d(cout, eps=1e-3, momentum=0.03)
        self.sharp = 0.0

    def act(self, x):
        return x * torch.sigmoid(x * self.sharp if self.sharp != 1 else x) if self.sharp else x.relu_()

    def forward(self, x, add=None):
        """Also adds `add` behind the activation, where that comes cheaper than afterwards."""
        if conv.usable(x, self.conv, self.bn):
            return conv.conv_bn_act(x, self.conv, self.bn, self.sharp, add)
        x = self.conv(x)
        if not self.sharp and isinstance(self.bn, nn.BatchNorm2d) and fused.usable(x, self.bn):
            return fused.bn_relu(x, self.bn, add)
        x = self.act(self.bn(x))
        return x if add is None else x + add


class Bottleneck(nn.Module):
    def __init__(self, c, shortcut):
        super().__init__()
        self.a, self.b, self.shortcut = ConvBN(c, c, 1), ConvBN(c, c, 3), shortcut

    def forward(self, x):
        return self.b(self.a(x), x if self.shortcut else None)


class C3(nn.Module):
    """Cross-stage partial block: half the channels go through the bottlenecks."""

    def __init__(self, cin, cout, n, shortcut=True):
        super().__init__()
        h = max(16, cout // 2)
        self.a, self.b, self.out = ConvBN(cin, h), ConvBN(cin, h), ConvBN(2 * h, cout)
        self.shortcut = shortcut
        self.m = nn.Sequential(*[Bottleneck(h, shortcut) for _ in range(n)])

    def forward(self, x):
        if conv.usable(x, self.a.conv, self.a.bn):
            y = conv.cross_stage(x, (self.a, self.b, *(c for m in self.m for c in (m.a, m.b)), self.out), self.shortcut)
            if y is not None:
                return y
        return self.out(torch.cat((self.m(self.a(x)), self.b(x)), 1))


class SPPF(nn.Module):
    """Pools of 5, 9 and 13 through three pools of 5."""

    def __init__(self, c):
        super().__init__()
        self.a, self.out = ConvBN(c, c // 2), ConvBN(c * 2, c)
        self.pool = nn.MaxPool2d(5, 1, 2)

    def forward(self, x):
        x = self.a(x)
        y = self.pool(x)
        z = self.pool(y)
        return self.out(torch.cat((x, y, z, self.pool(z)), 1))


class Detector(nn.Module):
    """images (N,3,H,W) in 0..1, or bytes, RGB -> raw maps p8, p16, p32 of (N,6,H/s,W/s)."""

    def __init__(self, name="veil-n"):
        super().__init__()
        if name not in CONFIGS:
            raise SystemExit(f"unknown network {name!r}; known: {', '.join(CONFIGS)}")
        c, self.name, self._bend = CONFIGS[name], name, 0.0
        w2, w3, w4, w5 = c["width"]
        d2, d3, d4, d5 = c["depth"]
        n1, n2, n3, n4 = c["neck"]
        self.s2 = nn.Sequential(ConvBN(3, c["stem"][0], 3, 2),
                                ConvBN(c["stem"][0], c["stem"][1], 3, 2), C3(c["stem"][1], w2, d2))
        self.s3 = nn.Sequential(ConvBN(w2, w3, 3, 2), C3(w3, w3, d3))
        self.s4 = nn.Sequential(ConvBN(w3, w4, 3, 2), C3(w4, w4, d4))
        self.s5 = nn.Sequential(ConvBN(w4, w5, 3, 2), C3(w5, w5, d5), SPPF(w5))
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.l5, self.t4 = ConvBN(w5, w4), C3(2 * w4, w4, n1, False)
        self.l4, self.t3 = ConvBN(w4, w3), C3(2 * w3, w3, n2, False)
        self.d3, self.b4 = ConvBN(w3, w3, 3, 2), C3(2 * w3, w4, n3, False)
        self.d4, self.b5 = ConvBN(w4, w4, 3, 2), C3(2 * w4, w5, n4, False)
        self.heads = nn.ModuleList(
            nn.Sequential(ConvBN(w, c["head"], 3), nn.Conv2d(c["head"], CHANNELS, 1))
            for w in (w3, w4, w5))
        self._initialise()
        self.bend = c.get("bend", 0)

    @property
    def bend(self):
        """How wide the activations' bend is: 0 is ReLU, 1 is SiLU; between them v sigmoid(v / bend)."""
        return self._bend

    @bend.setter
    def bend(self, value):
        self._bend = float(value)
        for m in self.modules():
            if isinstance(m, ConvBN):
                m.sharp = 1 / self._bend if self._bend > 0.02 else 0.0

    def _initialise(self):
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
        for h in self.heads:
            for end, channels in self.ends(h):
                nn.init.normal_(end.weight, std=0.01)
                end.bias.data = HEAD_BIAS[channels].clone()

    @staticmethod
    def ends(head):
        """Last convolutions of a head, each with its part of the channels."""
        return ((head[-1], slice(None)),)

    def up_beside(self, a, b):
        both = conv.up_beside(a, b) if self.training else None
        return torch.cat((self.up(a), b), 1) if both is None else both

    def forward(self, x):
        if x.dtype == torch.uint8 and not conv.usable(x, self.s2[0].conv, self.s2[0].bn):
            x = x.float().div_(255)
        return tuple(h(o) for h, o in zip(self.heads, self.maps(self.s2(x))))

    def maps(self, p2):
        """What the heads see, finest first, of the map at stride 4."""
        p3 = self.s3(p2)
        p4 = self.s4(p3)
        l5 = self.l5(self.s5(p4))
        l4 = self.l4(self.t4(self.up_beside(l5, p4)))
        o3 = self.t3(self.up_beside(l4, p3))
        o4 = self.b4(torch.cat((self.d3(o3), l4), 1))
        return o3, o4, self.b5(torch.cat((self.d4(o4), l5), 1))


def grid(height, width, device=None):
    """Cell centres (A,2) in pixels and strides (A,) of all cells, p8 then p16 then p32."""
    centres, strides = [], []
    for s in STRIDES:
        y, x = torch.meshgrid(torch.arange(height // s), torch.arange(width // s), indexing="ij")
        centres.append(torch.stack((x, y), -1).reshape(-1, 2).float().add_(0.5).mul_(s))
        strides.append(torch.full((len(centres[-1]),), float(s)))
    return torch.cat(centres).to(device), torch.cat(strides).to(device)


def flatten(outputs):
    """Three raw maps -> (N, A, 6) in float32."""
    return torch.cat([o.float().flatten(2).transpose(1, 2) for o in outputs], 1)


def decode_boxes(raw, centres, strides):
    """Raw (..., 4+) with matching centres and strides -> boxes x1 y1 x2 y2 in pixels."""
    c = centres + raw[..., 0:2] * strides[..., None]
    half = raw[..., 2:4].clamp(-4, 5).exp() * strides[..., None] / 2
    return torch.cat((c - half, c + half), -1)


def favour_size(model, times=1.0):
    """A copy with the size prior in the finest head's last convolution: what a trained network becomes in the end.

    Crops show faces of all sizes alike, pictures do not: at an equal score small boxes are as often
    right, but so many more that those in the wrong crowd out large faces in any ranking. ln size is
    ln s + (tw + th) / 2, so the prior is a sum of the head's own channels and costs nothing.
    Minus one times takes it out again.
    """
    model = copy.deepcopy(model)
    with torch.no_grad():
        weight, bias = model.heads[0][-1].weight, model.heads[0][-1].bias
        weight[4] += times * SIZE_PRIOR * weight[2:4].mean(0)
        bias[4] += times * SIZE_PRIOR * (bias[2:4].mean() + math.log(STRIDES[0] / SIZE_NEUTRAL))
    return model


def fold_batch_norm(model):
    """Fold every batch norm into its convolution, in place; for export."""
    for m in model.modules():
        if isinstance(m, ConvBN) and isinstance(m.bn, nn.BatchNorm2d):
            m.conv = nn.utils.fuse_conv_bn_eval(m.conv.eval(), m.bn.eval())
            m.bn = nn.Identity()
    return model


def macs(model, height=384, width=640):
    """[(layer, multiply-adds, weights)] for one picture."""
    rows, hooks = [], []

    def count(name):
        def hook(m, _, out):
            n = m.weight.numel()
            rows.append((name, n * out.shape[-1] * out.shape[-2], n))
        return hook

    for name, m in model.named_modules():
        if isinstance(m, nn.Conv2d):
            hooks.append(m.register_forward_hook(count(name)))
    was = model.training
    with torch.no_grad():
        model.eval()(torch.zeros(1, 3, height, width))
    model.train(was)
    for h in hooks:
        h.remove()
    return rows


def main():
    import argparse
    ap = argparse.ArgumentParser(description="Print the multiply-adds of a network, layer by layer.")
    ap.add_argument("--model", default="veil-n", choices=CONFIGS)
    ap.add_argument("--size", default="640x384", help="width x height")
    a = ap.parse_args()
    w, h = map(int, a.size.split("x"))
    rows = macs(Detector(a.model), h, w)
    for name, m, n in rows:
        print(f"{name:28s} {m / 1e6:9.2f} MMAC {n:8d} weights")
    print(f"{a.model}: {sum(r[1] for r in rows) / 1e9:.3f} GMAC at {a.size}, "
          f"{sum(r[2] for r in rows) / 1e6:.3f} M weights")


if __name__ == "__main__":
    main()
