"""Convolution, batch norm and ReLU in one operator with kernels of our own (conv.c, convrows.c).

For bfloat16 training on a CPU with AMX, one thread; everything else takes fused.py's or PyTorch's
way, which is the definition. `python3 -m unittest train.tests.test_conv` compares them.
"""
import ctypes
from pathlib import Path

import torch

from . import fused

FIELDS = [(k, ctypes.c_void_p) for k in ("x", "weight", "gamma", "beta", "mean_out", "var_out", "add", "z", "y", "params",
                                         "dy", "dx", "dw", "dgamma", "dbeta")]
FIELDS += [(k, ctypes.c_int64) for k in ("n", "h", "w", "ci", "co", "k", "s", "ho", "wo", "ldx", "ldy", "ldadd", "lddy",
                                         "lddx", "wo_", "wi", "wy", "wx", "stem")]
FIELDS += [("momentum", ctypes.c_float), ("eps", ctypes.c_float)]


class Layer(ctypes.Structure):
    """VeilConv of conv.h."""
    _fields_ = FIELDS


def load():
    cpu = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    if not all(f" {f} " in cpu for f in ("amx_bf16", "avx512_bf16", "avx512bw")):
        return None
    lib = fused.build("conv.c", "convrows.c", "conv.h")
    return lib if lib and lib.veil_conv_ready() else None


LIB = load()


def usable(x, conv, bn):
    """Whether this layer, in training under autocast to bfloat16, is one of those the kernels know."""
    if (LIB is None or not bn.training or x.device.type != "cpu" or not torch.is_autocast_cpu_enabled()
            or torch.get_autocast_cpu_dtype() != torch.bfloat16 or conv.weight.dtype != torch.float32):
        return False
    n, ci, h, w = x.shape
    k, s = conv.kernel_size, conv.stride
    if (ci != conv.in_channels or conv.out_channels % 16 or conv.groups != 1 or conv.bias is not None
            or conv.dilation != (1, 1) or conv.padding != (k[0] // 2, k[0] // 2)
            or conv.padding_mode != "zeros" or n * h * w == 0 or bn.momentum is None or not bn.affine):
        return False
    even = h % 2 == 0 and w % 2 == 0
    if ci == 3:
        return (k, s) == ((3, 3), (2, 2)) and even and not x.requires_grad and x.dtype in (torch.float32, torch.uint8)
    return ci % 16 == 0 and ((k, s) in (((1, 1), (1, 1)), ((3, 3), (1, 1))) or (k, s) == ((3, 3), (2, 2)) and even)


def channels_last(x):
    """As the kernels read it (is_contiguous alone would let one pixel's or one channel's strides pass)."""
    x = x.contiguous(memory_format=torch.channels_last)
    n, c, h, w = x.shape
    return x if x.stride() == (h * w * c, 1, w * c, c) else maps(n, c, h, w, x.dtype).copy_(x)


def maps(n, c, h, w, dtype=torch.bfloat16):
    return torch.empty((n, h, w, c), dtype=dtype).permute(0, 3, 1, 2)


class ConvBnRelu(torch.autograd.Function):
    """relu(batch_norm(conv(x))) + add, with the batch's own statistics."""

    @staticmethod
    def forward(ctx, x, weight, gamma, beta, add, stride, mean_out, var_out, momentum, eps):
        n, ci, h, w = x.shape
        co, _, k, _ = weight.shape
        x = channels_last(x if ci == 3 else x.to(torch.bfloat16))
        ho, wo = h // stride, w // stride
        z, y, params = maps(n, co, ho, wo), maps(n, co, ho, wo), torch.empty(6 * co)
        ws = weight.stride()
        v = Layer(x=x.data_ptr(), weight=weight.data_ptr(), gamma=gamma.data_ptr(), beta=beta.data_ptr(), z=z.data_ptr(),
                  y=y.data_ptr(), params=params.data_ptr(), n=n, h=h, w=w, ci=ci, co=co, k=k, s=stride, ho=ho, wo=wo,
                  ldx=ci, ldy=co, wo_=ws[0], wi=ws[1], wy=ws[2], wx=ws[3], momentum=momentum, eps=eps,
                  stem=0 if ci != 3 else 2 if x.dtype == torch.uint8 else 1)
        if mean_out is not None:
            v.mean_out, v.var_out = mean_out.data_ptr(), var_out.data_ptr()
        if add is not None:
            add = channels_last(add.to(torch.bfloat16))
            v.add, v.ldadd = add.data_ptr(), co
        LIB.veil_conv_forward(ctypes.byref(v))
        ctx.save_for_backward(x, weight, z, params)
        ctx.layer, ctx.added = v, add is not None
        return y

    @staticmethod
    def backward(ctx, dy):
        x, weight, z, params = ctx.saved_tensors
        v, dy = ctx.layer, channels_last(dy.to(torch.bfloat16))
        dw, dgamma, dbeta = torch.empty_like(weight), torch.empty(v.co), torch.empty(v.co)
        dx = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        v.dy, v.lddy, v.dw, v.dgamma, v.dbeta = dy.data_ptr(), v.co, dw.data_ptr(), dgamma.data_ptr(), dbeta.data_ptr()
        v.dx, v.lddx = None if dx is None else dx.data_ptr(), v.ci
        LIB.veil_conv_backward(ctypes.byref(v))
        return dx, dw, dgamma, dbeta, dy if ctx.added else None, None, None, None, None, None


def conv_bn_relu(x, conv, bn, add=None):
    """The operator for a nn.Conv2d and its nn.BatchNorm2d in training mode."""
    if bn.track_running_stats:
        bn.num_batches_tracked.add_(1)
    return ConvBnRelu.apply(x, conv.weight, bn.weight, bn.bias, add, conv.stride[0], bn.running_mean, bn.running_var,
                            bn.momentum, bn.eps)
