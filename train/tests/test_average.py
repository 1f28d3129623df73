"""The mean of two networks: of all weights and statistics, and of like networks only."""
import copy
import tempfile
import unittest
from unittest import mock

import torch

from train import average, start
from train.loop import load_model
from train.tests.test_shrink import lively


class Average(unittest.TestCase):
    def test_weights_and_statistics_between(self):
        a = lively("veil-p", 1)
        b = copy.deepcopy(a)
        for v in b.state_dict().values():
            if v.dtype.is_floating_point:
                v.add_(0.01 * torch.rand_like(v))
        wanted = {k: (x.double() + y.double()) / 2 for (k, x), y in zip(a.state_dict().items(), b.state_dict().values())}
        with tempfile.TemporaryDirectory() as folder:
            files = [f"{folder}/{name}.pt" for name in "abm"]
            for file, m in zip(files, (a, b)):
                start.keep(file, m, {"seed": 3})
            with mock.patch("sys.argv", ["average", *files[:2], "--out", files[2]]):
                average.main()
            net, kept = load_model(files[2])
        self.assertEqual(kept["args"]["seed"], 3)
        self.assertFalse(net.training)
        for k, v in net.state_dict().items():
            if v.dtype.is_floating_point:
                self.assertTrue(torch.allclose(v.double(), wanted[k], atol=1e-6), k)
        self.assertFalse(torch.equal(net.s2[0].bn.running_mean, a.s2[0].bn.running_mean))

    def test_other_networks_are_refused(self):
        a, b = lively("veil-p", 1), lively("veil-p", 1)
        b.bend = 1.0
        for other in (b, lively("veil-n", 1)):
            with self.assertRaises(SystemExit):
                average.mean([a, other])


if __name__ == "__main__":
    unittest.main()
