"""The training convolutions against PyTorch's in float32, forward and backward."""
import copy
import unittest

import torch

from train import conv
from train.model import C3, ConvBN, Detector

BF16 = torch.bfloat16


def rel(a, b):
    """Size of the difference, of the size of what was expected."""
    return ((a.float() - b).norm() / b.norm().clamp(min=1e-20)).item()


def plain(layer, x, dy, rounded, add=None):
    """The layer in float32 on the same numbers; behind the convolution with the `rounded` result of the
    kernels, because one rounding there may open or close a ReLU."""
    w = layer.conv.weight.detach().to(BF16).float().requires_grad_()
    g, b = (p.detach().clone().requires_grad_() for p in (layer.bn.weight, layer.bn.bias))
    x = x.detach().float().requires_grad_()
    a = None if add is None else add.detach().float().requires_grad_()
    z = torch.nn.functional.conv2d(x, w, None, layer.conv.stride, layer.conv.padding)
    exact = z.detach()
    z = z + (rounded.float() - exact)
    mean, var = layer.bn.running_mean.clone(), layer.bn.running_var.clone()
    y = torch.nn.functional.batch_norm(z, mean, var, g, b, True, layer.bn.momentum, layer.bn.eps)
    y = (y * torch.sigmoid(layer.sharp * y) if layer.sharp else torch.relu(y)) + (0 if a is None else a)
    y.backward(dy.float())
    return exact, y.detach(), x.grad, w.grad, g.grad, b.grad, mean, var, None if a is None else a.grad


@unittest.skipIf(conv.LIB is None, "no AMX or no C compiler: the plain way is used")
class Layers(unittest.TestCase):
    def check(self, n, ci, co, h, w, k=3, s=1, with_add=False):
        for opened, sharp in ((True, 0), (False, 0), (False, 1), (False, 4)):
            self.check_one(n, ci, co, h, w, k, s, with_add, opened, sharp)

    def check_one(self, n, ci, co, h, w, k, s, with_add, opened, sharp):
        torch.manual_seed(ci + co + h)
        layer = ConvBN(ci, co, k, s).to(memory_format=torch.channels_last).train()
        layer.sharp = sharp
        torch.nn.init.uniform_(layer.bn.weight, 0.5, 2)
        torch.nn.init.normal_(layer.bn.bias, 20.0 if opened else 0.0)
        x = torch.randn(n, ci, h, w).to(memory_format=torch.channels_last)
        x = x.to(BF16) if ci != 3 else x / 4
        x.requires_grad_(ci != 3)
        dy = torch.randn(n, co, h // s, w // s).to(BF16).contiguous(memory_format=torch.channels_last)
        add = torch.randn_like(dy).requires_grad_() if with_add else None
        with torch.autocast("cpu", BF16):
            y = layer(x, add)
        self.assertIn("ConvBnAct", type(y.grad_fn).__name__)
        saved = {k: p.detach().clone() for k, p in layer.state_dict().items()}
        z = y.grad_fn.saved_tensors[2]
        y.backward(dy)
        layer.bn.running_mean.zero_(), layer.bn.running_var.fill_(1)
        want = plain(layer, x.to(BF16), dy, z, add)
        layer.load_state_dict(saved)
        got = (z, y, x.grad, layer.conv.weight.grad, layer.bn.weight.grad, layer.bn.bias.grad, layer.bn.running_mean,
               layer.bn.running_var, None if add is None else add.grad)
        self.assertEqual(layer.conv.weight.grad.stride(), layer.conv.weight.stride())
        names = ("z", "y", "dx", "dw", "dgamma", "dbeta", "mean", "var", "dadd")
        # bfloat16 has eight bits: one rounding is 1/600 of the norm, and dz and dx are rounded. The
        # statistics are taken before z is rounded, which moves a few values across the ReLU's edge.
        limits = (3e-3, 3e-3, 6e-3, 6e-3, 2e-3, 2e-3, 1e-2, 1e-3, 1e-6)
        if sharp:  # the slope takes part in every product
            limits = (3e-3, 3e-3, 6e-3, 6e-3, 4e-3, 4e-3, 1e-2, 1e-3, 1e-6)
        elif not opened:
            limits = (3e-3, 3e-3, 4e-2, 4e-2, 4e-2, 4e-2, 1e-2, 1e-3, 1e-6)
        for name, a, b, limit in zip(names, got, want, limits):
            if b is not None and a is not None:
                self.assertLess(rel(a, b), limit, f"{name} of {(n, ci, co, h, w, k, s)}, {f'sharp {sharp}' if sharp else 'ReLU'} {'open' if opened else 'as it falls'}")

    def test_stride_1(self):
        for n, ci, co, h, w in ((1, 16, 16, 3, 5), (3, 16, 16, 80, 80), (2, 32, 32, 41, 39), (5, 48, 48, 10, 10),
                                (16, 96, 96, 10, 10), (3, 192, 64, 10, 10), (2, 64, 64, 40, 40), (1, 128, 64, 20, 20),
                                (1, 16, 16, 160, 96), (2, 16, 48, 7, 1)):
            with self.subTest(shape=(n, ci, co, h, w)):
                self.check(n, ci, co, h, w, with_add=ci == co)

    def test_stride_2(self):
        for n, ci, co, h, w in ((1, 16, 32, 160, 160), (3, 32, 64, 80, 80), (2, 64, 128, 20, 12), (5, 128, 192, 20, 20),
                                (1, 16, 16, 8, 2), (3, 16, 16, 320, 192), (1, 128, 128, 28, 28), (2, 96, 48, 6, 10)):
            with self.subTest(shape=(n, ci, co, h, w)):
                self.check(n, ci, co, h, w, s=2)

    def test_1x1(self):
        for n, ci, co, h, w in ((1, 16, 16, 3, 3), (3, 32, 16, 80, 80), (1, 16, 32, 33, 31), (2, 384, 192, 10, 10),
                                (3, 48, 96, 7, 5), (1, 96, 48, 10, 10), (5, 256, 64, 20, 20), (2, 192, 96, 9, 3)):
            with self.subTest(shape=(n, ci, co, h, w)):
                self.check(n, ci, co, h, w, k=1)

    def test_stem(self):
        for n, h, w in ((1, 320, 320), (3, 384, 640), (2, 512, 512), (5, 14, 18)):
            with self.subTest(shape=(n, h, w)):
                self.check(n, 3, 16, h, w, s=2)


@unittest.skipIf(conv.LIB is None, "no AMX or no C compiler: the plain way is used")
class Blocks(unittest.TestCase):
    """What joins layers, against the same layers one by one."""

    def test_c3(self):
        for cin, cout, n, shortcut, h, w in ((32, 32, 0, True, 5, 7), (64, 64, 3, True, 20, 20), (128, 64, 2, False, 9, 4),
                                             (48, 96, 1, True, 10, 10)):
            with self.subTest(shape=(cin, cout, n, h, w), shortcut=shortcut):
                torch.manual_seed(cin + n)
                one = C3(cin, cout, n, shortcut).to(memory_format=torch.channels_last).train()
                for m in one.modules():
                    if isinstance(m, torch.nn.BatchNorm2d):
                        torch.nn.init.normal_(m.bias, 2.0)
                two = copy.deepcopy(one)
                x = torch.randn(2, cin, h, w).to(BF16).to(memory_format=torch.channels_last)
                x, z = x.clone().requires_grad_(), x.clone().requires_grad_()
                dy = torch.randn(2, cout, h, w).to(BF16)
                with torch.autocast("cpu", BF16):
                    y = one(x)
                    want = two.out(torch.cat((two.m(two.a(z)), two.b(z)), 1))
                self.assertIn("CrossStage", type(y.grad_fn).__name__)
                self.assertTrue(torch.equal(y, want))
                y.backward(dy)
                want.backward(dy)
                self.assertLess(rel(x.grad, z.grad.float()), 6e-3)
                for (k, a), b in zip(one.named_parameters(), two.parameters()):
                    self.assertLess(rel(a.grad, b.grad), 2e-2, k)
                for (k, a), b in zip(one.named_buffers(), two.buffers()):
                    self.assertTrue(torch.equal(a, b), k)

    def test_up_beside(self):
        torch.manual_seed(1)
        a, b = torch.randn(2, 32, 5, 3).to(BF16).requires_grad_(), torch.randn(2, 16, 10, 6).to(BF16).requires_grad_()
        want = torch.cat((torch.nn.functional.interpolate(a, scale_factor=2.0), b), 1)
        dy = torch.randn(2, 48, 10, 6).to(BF16)
        da, db = torch.autograd.grad(want.float(), (a, b), dy.float())
        got = conv.up_beside(a, b)
        self.assertTrue(torch.equal(got, want))
        got.backward(dy)
        self.assertLess(rel(a.grad, da.float()), 4e-3)
        self.assertTrue(torch.equal(b.grad, db))


@unittest.skipIf(conv.LIB is None, "no AMX or no C compiler: the plain way is used")
class Network(unittest.TestCase):
    """One step of a whole network: as near to float32 as PyTorch's own bfloat16, in no direction off."""

    def gradients(self, model, x, targets, kernels, autocast=True):
        model = copy.deepcopy(model).train()
        lib = conv.LIB
        conv.LIB = lib if kernels else None
        try:
            with torch.autocast("cpu", BF16, enabled=autocast):
                out = model(x)
        finally:
            conv.LIB = lib
        sum((o.float() * t).mean() for o, t in zip(out, targets)).backward()
        return {k: p.grad for k, p in model.named_parameters()}, model.state_dict()

    def check(self, name, n, h, w):
        torch.manual_seed(3)
        model = Detector(name).to(memory_format=torch.channels_last)
        for layer in model.modules():  # most ReLUs open: with random weights each rounding turns the rest
            if isinstance(layer, torch.nn.BatchNorm2d):
                torch.nn.init.constant_(layer.bias, 3.0)
        for head in model.heads:
            torch.nn.init.normal_(head[-1].weight, std=0.3)
        x = torch.rand(n, 3, h, w).to(memory_format=torch.channels_last)
        targets = [torch.randn(n, 6, h // s, w // s) for s in (8, 16, 32)]
        exact, _ = self.gradients(model, x, targets, False, False)
        theirs, _ = self.gradients(model, x, targets, False)
        ours, state = self.gradients(model, x, targets, True)
        self.assertEqual(list(state), list(model.state_dict()))
        size = sum(g.square().sum() for g in exact.values())
        error = [sum((g[k] - e).square().sum() for k, e in exact.items()).div(size).sqrt().item() for g in (theirs, ours)]
        along = [sum((g[k] * e).sum() for k, e in exact.items()).div(size).item() for g in (theirs, ours)]
        self.assertLess(error[1], 1.1 * error[0] + 0.01, f"{name}: error {error[1]:.4f}, PyTorch's {error[0]:.4f}")
        self.assertLess(abs(along[1] - 1), abs(along[0] - 1) + 0.02)

    def test_networks(self):
        for name, n, h, w in (("veil-n", 1, 384, 640), ("veil-n", 3, 192, 160), ("veil-p", 2, 448, 448)):
            with self.subTest(name=name, shape=(n, h, w)):
                self.check(name, n, h, w)

    def test_bytes(self):
        torch.manual_seed(4)
        model = Detector("veil-p").train()
        x = torch.randint(0, 256, (2, 64, 96, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
        with torch.autocast("cpu", BF16):
            for a, b in zip(copy.deepcopy(model)(x), model(x.float().div_(255))):
                self.assertTrue(torch.equal(a, b))
        for a, b in zip(model.eval()(x), model(x.float().div_(255))):
            self.assertTrue(torch.equal(a, b))

    def test_switched_off_without_autocast(self):
        layer = ConvBN(16, 32, 3).train()
        x = torch.randn(2, 16, 8, 8)
        self.assertNotIn("BnRelu", type(layer(x).grad_fn).__name__)
        layer.eval()
        with torch.autocast("cpu", BF16):
            self.assertNotIn("BnRelu", type(layer(x).grad_fn).__name__)


if __name__ == "__main__":
    unittest.main()
