"""Write the reference for the engine's reverse pass: a tiny network, a picture, PyTorch's gradients.

Into tests/support go gradients.veil (fp32, random weights, the shapes of the real
network: residuals, pooling pyramid, upsampling, three heads) and gradients.bin: the
picture (H,W,3 bytes), then as float32 the seeds and d(sum of seeds * outputs)/d(input).
tests/unit/test_gradients.c reads them. Needs the built program for the model file.
"""
import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from . import model as nets
from .export import to_onnx
from .model import Detector, fold_batch_norm

WIDTH, HEIGHT = 64, 32
TINY = dict(stem=(4, 8), width=(8, 8, 8, 8), depth=(0, 1, 0, 0), neck=(0, 0, 0, 0), head=8)
# output, row, column, channel, amount: a face and its class at each of the three sizes
SEEDS = [(0, 1, 4, 5, 1.0), (0, 3, 7, 4, 0.5), (1, 0, 1, 5, -1.0), (2, 0, 1, 4, 0.25)]


def tiny():
    torch.manual_seed(3)
    nets.CONFIGS["tiny"] = TINY
    m = Detector("tiny")
    for x in m.modules():
        if isinstance(x, nn.BatchNorm2d):
            nn.init.uniform_(x.running_mean, -0.3, 0.3)
            nn.init.uniform_(x.running_var, 0.3, 1.5)
            nn.init.uniform_(x.weight, 0.5, 1.5)
            nn.init.uniform_(x.bias, 0.0, 0.6)
    for h in m.heads:
        nn.init.normal_(h[-1].weight, std=0.5)
    return m.eval()


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--veil", default="build/cli/veil", help="the built program")
    ap.add_argument("--out", default="tests/support", help="folder to write to")
    a = ap.parse_args()
    m, out = tiny(), Path(a.out)
    with tempfile.TemporaryDirectory() as d:
        (Path(d) / "tiny.onnx").write_bytes(to_onnx(m, WIDTH, HEIGHT, {}).SerializeToString())
        subprocess.run([a.veil, "model", "build", f"{d}/tiny.onnx", "-o", out / "gradients.veil",
                        "--precision", "fp32"], check=True)
    fold_batch_norm(m)
    picture = np.random.default_rng(5).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    x = (torch.from_numpy(picture).permute(2, 0, 1)[None].double() / 255).requires_grad_()
    outputs = m.double()(x)
    sum(outputs[o][0, c, row, col] * amount for o, row, col, c, amount in SEEDS).backward()
    gradient = x.grad[0].permute(1, 2, 0).contiguous().numpy().astype("<f4")
    with open(out / "gradients.bin", "wb") as f:
        f.write(picture.tobytes())
        f.write(np.array(SEEDS, "<f4").tobytes())
        f.write(gradient.tobytes())
    print(f"largest gradient {abs(gradient).max():.3g}, {(gradient != 0).mean():.0%} not zero")


if __name__ == "__main__":
    main()
