"""Batch norm, ReLU and the residual add in one operator (fused.c); None where it cannot be built.

Only for bfloat16 training on a CPU; everything else takes PyTorch's own way, which is the
definition. `python3 -m unittest train.tests.test_fused` compares the two.
"""
import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch

from .paths import CACHE


def build(*names):
    """The compiled library of these C files, kept in the cache; None without a compiler."""
    cc = shutil.which(os.environ.get("CC", "cc"))
    if not cc or os.environ.get("VEIL_TRAIN_FUSED") == "0":
        return None
    host = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    flags = next((s for s in host.splitlines() if s.startswith("flags")), "")
    sources = [Path(__file__).with_name(name) for name in names]
    key = hashlib.sha256(b"".join(s.read_bytes() for s in sources) + flags.encode()).hexdigest()[:12]
    lib = Path(CACHE) / f"{sources[0].stem}-{key}.so"
    if not lib.exists():
        lib.parent.mkdir(parents=True, exist_ok=True)
        tmp = tempfile.mktemp(dir=lib.parent)
        made = subprocess.run([cc, "-O3", "-march=native", "-std=gnu11", "-shared", "-fPIC", "-o", tmp,
                               *(str(s) for s in sources if s.suffix == ".c"), "-lm"], capture_output=True)
        if made.returncode:
            return None
        os.replace(tmp, lib)
    return ctypes.CDLL(str(lib))


LIB = build("fused.c")


def _p(t):
    return ctypes.c_void_p(t.data_ptr() if torch.is_tensor(t) else t.ctypes.data if t is not None else None)


def _shape(x):
    n, c, h, w = x.shape
    return ctypes.c_size_t(n * h * w), ctypes.c_size_t(c)


def usable(x, bn):
    """Whether the fused way serves this map."""
    return (LIB is not None and bn.training and x.dtype == torch.bfloat16 and x.device.type == "cpu"
            and x.shape[1] % 16 == 0 and x.is_contiguous(memory_format=torch.channels_last))


class BnRelu(torch.autograd.Function):
    """relu(batch_norm(x)) + add, with the batch's own statistics."""

    @staticmethod
    def forward(ctx, x, weight, bias, add, mean_out, var_out, momentum, eps):
        rows, channels = _shape(x)
        n = rows.value
        s, q = np.empty(channels.value), np.empty(channels.value)
        LIB.veil_bn_sums(_p(x), rows, channels, _p(s), _p(q))
        mean = s / n
        var = np.maximum(q / n - mean * mean, 0)
        if mean_out is not None:
            mean_out.mul_(1 - momentum).add_(torch.from_numpy(mean).float(), alpha=momentum)
            var_out.mul_(1 - momentum).add_(torch.from_numpy(var * (n / max(1, n - 1))).float(), alpha=momentum)
        inv = 1 / np.sqrt(var + eps)
        scale = (weight.detach().numpy() * inv).astype(np.float32)
        shift = (bias.detach().numpy() - mean * scale).astype(np.float32)
        y = torch.empty_like(x)
        if add is not None:
            add = add.to(torch.bfloat16).contiguous(memory_format=torch.channels_last)
        LIB.veil_bn_relu(_p(x), _p(add), _p(y), rows, channels, _p(scale), _p(shift))
        ctx.save_for_backward(x)
        ctx.rest = (scale, shift, mean, inv, n, add is not None)
        return y

    @staticmethod
    def backward(ctx, dy):
        x, = ctx.saved_tensors
        scale, shift, mean, inv, n, added = ctx.rest
        rows, channels = _shape(x)
        dy = dy.to(torch.bfloat16).contiguous(memory_format=torch.channels_last)
        s, p = np.empty(channels.value), np.empty(channels.value)
        LIB.veil_bn_relu_sums(_p(x), _p(dy), rows, channels, _p(scale), _p(shift), _p(s), _p(p))
        dw = (p - mean * s) * inv  # sum of g * xhat
        # dx = scale * (g - s/n - xhat * dw/n), xhat = (x - mean) * inv
        m = -scale * inv * dw / n
        c = -scale * s / n - m * mean
        dx = torch.empty_like(x)
        m, c = m.astype(np.float32), c.astype(np.float32)
        LIB.veil_bn_relu_back(_p(x), _p(dy), _p(dx), rows, channels, _p(scale), _p(shift), _p(m), _p(c))
        return (dx, torch.from_numpy(dw.astype(np.float32)), torch.from_numpy(s.astype(np.float32)),
                dy if added else None, None, None, None, None)


def bn_relu(x, bn, add=None):
    """The operator for a nn.BatchNorm2d in training mode."""
    if bn.track_running_stats:
        bn.num_batches_tracked.add_(1)
    return BnRelu.apply(x, bn.weight, bn.bias, add, bn.running_mean, bn.running_var, bn.momentum, bn.eps)
