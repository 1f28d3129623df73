"""Convolution, batch norm and activation in one operator with kernels of our own (conv.c, convrows.c).

For bfloat16 training on a CPU with AMX, one thread; everything else takes fused.py's or PyTorch's
way, which is the definition. `python3 -m unittest train.tests.test_conv` compares them.
"""
import ctypes
from pathlib import Path

import torch

from . import fused

FIELDS = [(k, ctypes.c_void_p) for k in ("x", "weight", "gamma", "beta", "mean_out", "var_out", "add", "z", "y", "params",
                                         "dy", "dx", "plus", "dw", "dgamma", "dbeta")]
FIELDS += [(k, ctypes.c_int64) for k in ("n", "h", "w", "ci", "co", "k", "s", "ho", "wo", "ldx", "ldy", "ldadd", "lddy",
                                         "lddx", "ldplus", "wo_", "wi", "wy", "wx", "stem")]
FIELDS += [("momentum", ctypes.c_float), ("eps", ctypes.c_float), ("sharp", ctypes.c_float)]


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
    if (LIB is None or not isinstance(bn, torch.nn.BatchNorm2d) or not bn.training or x.device.type != "cpu" or not torch.is_autocast_cpu_enabled()
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


def pitch(x):
    """Distance of two pixels of a map or of some channels of one; 0 where it is neither."""
    n, c, h, w = x.shape
    ld = x.stride(3)
    return ld if x.stride() == (h * w * ld, 1, w * ld, ld) and ld >= c and ld % 16 == 0 else 0


def readable(x):
    """A gradient as the kernels read it: bfloat16, perhaps some channels of a larger map."""
    return x if x.dtype == torch.bfloat16 and pitch(x) else channels_last(x.to(torch.bfloat16))


def ahead(x, weight, gamma, beta, bn, stride, sharp, add=None, y=None):
    """One layer forward, into y if given: y and what `back` needs."""
    n, ci, h, w = x.shape
    co, _, k, _ = weight.shape
    ho, wo = h // stride, w // stride
    y = maps(n, co, ho, wo) if y is None else y
    z, params = maps(n, co, ho, wo), torch.empty(6 * co)
    ws = weight.stride()
    v = Layer(x=x.data_ptr(), weight=weight.data_ptr(), gamma=gamma.data_ptr(), beta=beta.data_ptr(), z=z.data_ptr(),
              y=y.data_ptr(), params=params.data_ptr(), n=n, h=h, w=w, ci=ci, co=co, k=k, s=stride, ho=ho, wo=wo,
              ldx=ci, ldy=pitch(y), wo_=ws[0], wi=ws[1], wy=ws[2], wx=ws[3], momentum=bn.momentum, eps=bn.eps, sharp=sharp,
              stem=0 if ci != 3 else 2 if x.dtype == torch.uint8 else 1)
    if bn.track_running_stats:
        bn.num_batches_tracked.add_(1)
        v.mean_out, v.var_out = bn.running_mean.data_ptr(), bn.running_var.data_ptr()
    if add is not None:
        v.add, v.ldadd = add.data_ptr(), pitch(add)
    LIB.veil_conv_forward(ctypes.byref(v))
    return y, (v, x, weight, z, params)


def back(kept, dy, need_dx=True, plus=None):
    """One layer backward: dx (with `plus` added), and the gradients of weight, gamma and beta."""
    v, x, weight, z, params = kept
    dw, dgamma, dbeta = torch.empty_like(weight), torch.empty(v.co), torch.empty(v.co)
    dx = torch.empty_like(x) if need_dx else None
    v.dy, v.lddy, v.dw, v.dgamma, v.dbeta = dy.data_ptr(), pitch(dy), dw.data_ptr(), dgamma.data_ptr(), dbeta.data_ptr()
    v.dx, v.lddx = None if dx is None else dx.data_ptr(), v.ci
    if plus is not None:
        v.plus, v.ldplus = plus.data_ptr(), pitch(plus)
    LIB.veil_conv_backward(ctypes.byref(v))
    return dx, (dw, dgamma, dbeta)


class ConvBnAct(torch.autograd.Function):
    """act(batch_norm(conv(x))) + add, with the batch's own statistics."""

    @staticmethod
    def forward(ctx, x, weight, gamma, beta, add, stride, bn, sharp):
        x = channels_last(x if x.shape[1] == 3 else x.to(torch.bfloat16))
        add = None if add is None else channels_last(add.to(torch.bfloat16))
        y, (v, x, weight, z, params) = ahead(x, weight, gamma, beta, bn, stride, sharp, add)
        ctx.save_for_backward(x, weight, z, params)
        ctx.layer, ctx.added = v, add is not None
        return y

    @staticmethod
    def backward(ctx, dy):
        dy = readable(dy)
        dx, grads = back((ctx.layer, *ctx.saved_tensors), dy, ctx.needs_input_grad[0])
        return (dx, *grads, dy if ctx.added else None, None, None, None)


class CrossStage(torch.autograd.Function):
    """model.C3 as one operator: its layers write side by side, and its gradients meet in the kernels."""

    @staticmethod
    def forward(ctx, x, bns, shortcut, sharp, *params):
        layers = [(*params[3 * i:3 * i + 3], bn, 1, sharp) for i, bn in enumerate(bns)]  # a, b, bottlenecks, out
        x = channels_last(x.to(torch.bfloat16))
        n, _, h, w = x.shape
        c = params[0].shape[0]
        both = maps(n, 2 * c, h, w)
        left, right = both[:, :c], both[:, c:]
        blocks = (len(layers) - 3) // 2
        t, kept_a = ahead(x, *layers[0], y=None if blocks else left)
        kept = [kept_a, ahead(x, *layers[1], y=right)[1]]
        for i in range(blocks):
            u, first = ahead(t, *layers[2 + 2 * i])
            t, second = ahead(u, *layers[3 + 2 * i], add=t if shortcut else None, y=left if i + 1 == blocks else None)
            kept += [first, second]
        y, last = ahead(both, *layers[-1])
        ctx.kept, ctx.shortcut, ctx.c = kept + [last], shortcut, c
        return y

    @staticmethod
    def backward(ctx, dy):
        kept, ctx.kept = ctx.kept, None  # as saved tensors: gone after one way back
        both, grads = back(kept[-1], readable(dy))
        g, right, grads = both[:, :ctx.c], both[:, ctx.c:], [grads]
        for i in range(len(kept) - 3, 1, -2):
            du, second = back(kept[i + 1], g)
            g, first = back(kept[i], du, plus=g if ctx.shortcut else None)
            grads += [second, first]
        dx, b = back(kept[1], right)
        dx, a = back(kept[0], g, plus=dx)
        return (dx, None, None, None, *(t for layer in (grads + [b, a])[::-1] for t in layer))


class UpBeside(torch.autograd.Function):
    """cat(a at twice the size, b), by channels."""

    @staticmethod
    def forward(ctx, a, b):
        a, b = channels_last(a), channels_last(b)
        n, ca, h, w = a.shape
        out = maps(n, ca + b.shape[1], 2 * h, 2 * w)
        LIB.veil_up_beside(*(ctypes.c_void_p(t.data_ptr()) for t in (a, b, out)),
                           *(ctypes.c_long(v) for v in (n, h, w, ca, b.shape[1])))
        ctx.shape = a.shape
        return out

    @staticmethod
    def backward(ctx, d):
        d = readable(d)
        n, ca, h, w = ctx.shape
        da = maps(n, ca, h, w)
        LIB.veil_up_back(ctypes.c_void_p(d.data_ptr()), ctypes.c_long(pitch(d)), ctypes.c_void_p(da.data_ptr()),
                         *(ctypes.c_long(v) for v in (n, h, w, ca)))
        return da, d[:, ca:]


def conv_bn_act(x, conv, bn, sharp, add=None):
    """The operator for a nn.Conv2d and its nn.BatchNorm2d in training mode."""
    return ConvBnAct.apply(x, conv.weight, bn.weight, bn.bias, add, conv.stride[0], bn, sharp)


def cross_stage(x, layers, shortcut):
    """The operator for the layers a, b, bottlenecks', out of a C3; None where one of them is not `usable`."""
    for layer in layers:
        if not usable(x.new_empty((1, layer.conv.in_channels, 2, 2)), layer.conv, layer.bn):
            return None
    params = [p for layer in layers for p in (layer.conv.weight, layer.bn.weight, layer.bn.bias)]
    return CrossStage.apply(x, [layer.bn for layer in layers], shortcut, layers[0].sharp, *params)


def up_beside(a, b):
    """cat(a at twice the size, b); None where the kernels do not serve these maps."""
    n, c, h, w = a.shape
    if (LIB is None or a.dtype != torch.bfloat16 or b.dtype != torch.bfloat16 or a.device.type != "cpu" or c % 16
            or b.shape[1] % 16 or b.shape[2:] != (2 * h, 2 * w)):
        return None
    return UpBeside.apply(a, b)
