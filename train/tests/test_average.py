"""The mean of two networks: of all weights, with batch norm statistics of its own, and of like networks only."""
import copy
import unittest

import torch

from train import average
from train.model import ConvBN
from train.tests.test_shrink import lively


class Average(unittest.TestCase):
    def test_weights_between_and_statistics_new(self):
        a = lively("veil-p", 1)
        b = copy.deepcopy(a)
        for p in b.parameters():
            p.data.add_(0.01 * torch.randn_like(p))
        wanted = [(x + y) / 2 for x, y in zip(a.parameters(), b.parameters())]
        views = [torch.rand(4, 3, 64, 64) for _ in range(3)]
        net = average.take_statistics(average.mean([a, b]), views)
        for p, w in zip(net.parameters(), wanted):
            self.assertTrue(torch.allclose(p, w, atol=1e-6))
        inputs = []
        stem = net.s2[0]
        stem.conv.register_forward_hook(lambda m, i, o: inputs.append(o.detach()))
        with torch.no_grad():
            for x in views:
                net(x)
        mean = torch.cat(inputs).mean((0, 2, 3))
        self.assertTrue(torch.allclose(stem.bn.running_mean, mean, atol=1e-4))
        self.assertFalse(net.training)
        self.assertTrue(all(m.bn.momentum == 0.03 for m in net.modules() if isinstance(m, ConvBN)))

    def test_other_networks_are_refused(self):
        a, b = lively("veil-p", 1), lively("veil-p", 1)
        b.bend = 1.0
        for other in (b, lively("veil-n", 1)):
            with self.assertRaises(SystemExit):
                average.mean([a, other])


if __name__ == "__main__":
    unittest.main()
