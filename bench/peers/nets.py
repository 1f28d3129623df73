"""The networks compared: shaped like public face detectors, with random weights, and our own.

Only shapes matter for time: layers, channels and strides follow the published configurations of
YuNet_s, SCRFD-500M and SCRFD-2.5G (with key points); heads end in their raw maps, which every engine
computes. Batch norm stands behind every convolution as it does there.
"""
import io
import sys
import warnings
from pathlib import Path

import onnx
import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from train.export import OPERATORS, clean  # noqa: E402
from train.model import Detector  # noqa: E402


def conv(cin, cout, k=3, s=1, groups=1, act=True):
    parts = [nn.Conv2d(cin, cout, k, s, k // 2, groups=groups, bias=False), nn.BatchNorm2d(cout)]
    return nn.Sequential(*parts, *([nn.ReLU()] if act else []))


def up(x):
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


class Point(nn.Module):
    """YuNet's unit: 1x1, then depthwise 3x3."""

    def __init__(self, cin, cout, act=True):
        super().__init__()
        self.point = nn.Conv2d(cin, cout, 1)
        self.depth = conv(cout, cout, groups=cout) if act else nn.Conv2d(cout, cout, 3, 1, 1, groups=cout)

    def forward(self, x):
        return self.depth(self.point(x))


class YuNet(nn.Module):
    def __init__(self, stages=((16, 16), (16, 32), (32, 64), (64, 64), (64, 64), (64, 64))):
        super().__init__()
        first = stages[0][1]
        self.stem = nn.Sequential(conv(3, first, 3, 2), Point(first, first))
        self.stages = nn.ModuleList(nn.Sequential(Point(a, a), Point(a, b)) for a, b in stages[1:])
        width = stages[-1][1]
        self.lateral = nn.ModuleList(Point(width, width) for _ in range(3))
        self.heads = nn.ModuleList(
            nn.ModuleList(Point(width, n, act=False) for n in (1, 4, 1, 10)) for _ in range(3))

    def forward(self, x):
        x = F.max_pool2d(self.stem(x), 2)
        maps = []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i >= 2:
                maps.append(x)
            if 1 <= i <= 3:
                x = F.max_pool2d(x, 2)
        for i in (2, 1):
            maps[i] = self.lateral[i](maps[i])
            maps[i - 1] = maps[i - 1] + up(maps[i])
        maps[0] = self.lateral[0](maps[0])
        return [head(m) for heads, m in zip(self.heads, maps) for head in heads]


class Pyramid(nn.Module):
    """SCRFD's neck and heads."""

    def __init__(self, cins, width, separable):
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1) for c in cins)
        self.out = nn.ModuleList(nn.Conv2d(width, width, 3, 1, 1) for _ in cins)
        self.down = nn.ModuleList(nn.Conv2d(width, width, 3, 2, 1) for _ in cins[1:])
        self.down_out = nn.ModuleList(nn.Conv2d(width, width, 3, 1, 1) for _ in cins[1:])

        def unit(a, b):
            return nn.Sequential(conv(a, a, groups=a), conv(a, b, 1)) if separable else conv(a, b)

        self.stack = nn.ModuleList(nn.Sequential(unit(width, 64), unit(64, 64)) for _ in cins)
        self.heads = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(64, n, 3, 1, 1) for n in (2, 8, 20)) for _ in cins)

    def forward(self, maps):
        m = [c(x) for c, x in zip(self.lateral, maps)]
        for i in (2, 1):
            m[i - 1] = m[i - 1] + up(m[i])
        m = [c(x) for c, x in zip(self.out, m)]
        for i in (0, 1):
            m[i + 1] = m[i + 1] + self.down[i](m[i])
        m = [m[0], *(c(x) for c, x in zip(self.down_out, m[1:]))]
        return [head(y) for heads, y in zip(self.heads, [s(x) for s, x in zip(self.stack, m)])
                for head in heads]


class Staged(nn.Module):
    """stem, stages, and a tail over the maps of all stages but the first."""

    def forward(self, x):
        x = self.stem(x)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return self.tail(maps[1:])


class Scrfd500M(Staged):
    def __init__(self, blocks=(2, 3, 2, 6), planes=(16, 16, 40, 72, 152, 288)):
        super().__init__()

        def unit(a, b, s=1):
            return nn.Sequential(conv(a, a, 3, s, groups=a), conv(a, b, 1))

        self.stem = nn.Sequential(conv(3, planes[0], 3, 2), unit(planes[0], planes[1]))
        self.stages = nn.ModuleList(
            nn.Sequential(unit(planes[i + 1], planes[i + 2], 2),
                          *(unit(planes[i + 2], planes[i + 2]) for _ in range(n - 1)))
            for i, n in enumerate(blocks))
        self.tail = Pyramid(planes[3:], 16, separable=True)


class Basic(nn.Module):
    def __init__(self, cin, cout, s):
        super().__init__()
        self.a, self.b = conv(cin, cout, 3, s), conv(cout, cout, 3, act=False)
        self.side = nn.Identity()
        if s > 1 or cin != cout:
            pool = [nn.AvgPool2d(2)] if s > 1 else []
            self.side = nn.Sequential(*pool, conv(cin, cout, 1, act=False))

    def forward(self, x):
        return F.relu(self.b(self.a(x)) + self.side(x))


class Scrfd2500M(Staged):
    def __init__(self, blocks=(3, 5, 3, 2), planes=(24, 48, 48, 80), base=24):
        super().__init__()
        self.stem = nn.Sequential(conv(3, base // 2, 3, 2), conv(base // 2, base // 2),
                                  conv(base // 2, base), nn.MaxPool2d(3, 2, 1))
        cins = (base, *planes[:-1])
        self.stages = nn.ModuleList(
            nn.Sequential(Basic(a, b, 1 if i == 0 else 2), *(Basic(b, b, 1) for _ in range(n - 1)))
            for i, (a, b, n) in enumerate(zip(cins, planes, blocks)))
        self.tail = Pyramid(planes[1:], 24, separable=False)


def ours(name):
    """Our shapes with ReLU, as those of the others have it."""
    net = Detector(name)
    net.bend = 0
    return net


NETS = {"YuNet_s": YuNet, "SCRFD-500M": Scrfd500M, "SCRFD-2.5G": Scrfd2500M,
        "veil-n": lambda: ours("veil-n"), "veil-p": lambda: ours("veil-p")}


def make(name):
    torch.manual_seed(0)
    net = NETS[name]().eval()
    for m in net.modules():  # numbers that neither die out nor grow from layer to layer
        if isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
    return net


def drop_padding(model):
    """Padding by nothing, which the exporter writes before an average pool."""
    g = model.graph
    same = {n.output[0]: n.input[0] for n in g.node if n.op_type == "Pad"}
    for n in [n for n in g.node if n.op_type == "Pad"]:
        g.node.remove(n)
    for n in g.node:
        for j, name in enumerate(n.input):
            n.input[j] = same.get(name, name)
    return model


def export(model, width, height, path):
    """ONNX with batch norm folded, as every exporter does."""
    data = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, torch.zeros(1, 3, height, width), data, opset_version=13,
                          input_names=["images"], do_constant_folding=True)
    cleaned = clean(drop_padding(onnx.load_from_string(data.getvalue())), OPERATORS | {"AveragePool"})
    Path(path).write_bytes(cleaned.SerializeToString())
