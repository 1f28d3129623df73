"""The fused batch norm and ReLU against PyTorch's own, forward and backward."""
import copy
import unittest

import torch

from train import conv, fused
from train.model import ConvBN


@unittest.skipIf(fused.LIB is None, "no C compiler: the plain way is used")
class Fused(unittest.TestCase):
    def check(self, channels, height, width, with_add):
        torch.manual_seed(channels + height)
        x = torch.randn(3, channels, height, width).to(memory_format=torch.channels_last)
        x = (x * 3 + torch.randn(1, channels, 1, 1)).bfloat16().contiguous(memory_format=torch.channels_last)
        add = torch.randn_like(x) if with_add else None
        bn = torch.nn.BatchNorm2d(channels, eps=1e-3, momentum=0.03)
        torch.nn.init.uniform_(bn.weight, -1, 2)
        torch.nn.init.normal_(bn.bias)
        dy = torch.randn_like(x)
        self.assertTrue(fused.usable(x, bn))

        plain, a = copy.deepcopy(bn), x.float().requires_grad_()
        p = None if add is None else add.float().requires_grad_()
        want = torch.relu(plain(a)) + (0 if p is None else p)
        want.backward(dy.float())
        b = x.clone().requires_grad_()
        q = None if add is None else add.clone().requires_grad_()
        got = fused.bn_relu(b, bn, q)
        got.backward(dy)

        def close(u, v, tolerance):
            scale = v.abs().max().item()
            self.assertLess((u.float() - v).abs().max().item(), tolerance * scale + 1e-6)

        close(got, want, 1 / 128)
        close(bn.weight.grad, plain.weight.grad, 2e-3)
        close(bn.bias.grad, plain.bias.grad, 2e-3)
        close(bn.running_mean, plain.running_mean, 1e-4)
        close(bn.running_var, plain.running_var, 1e-4)
        # at the ReLU's edge one rounding decides, so the mean error counts here
        self.assertLess((b.grad.float() - a.grad).abs().mean().item(), 4e-3 * a.grad.abs().mean().item())
        if add is not None:
            close(q.grad, p.grad, 1 / 128)

    def test_sizes(self):
        for channels, height, width in ((16, 1, 1), (16, 7, 5), (48, 9, 31), (192, 20, 13)):
            for with_add in (False, True):
                with self.subTest(channels=channels, height=height, width=width, add=with_add):
                    self.check(channels, height, width, with_add)

    def test_layer_uses_it(self):
        layer = ConvBN(16, 32, 3).to(memory_format=torch.channels_last).train()
        x = torch.randn(2, 16, 8, 8).to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            y = layer(x)
        self.assertIn("BnRelu" if conv.LIB is None else "ConvBnAct", type(y.grad_fn).__name__)
        self.assertNotIn("BnRelu", type(layer(x).grad_fn).__name__)


if __name__ == "__main__":
    unittest.main()
