"""A smaller network from a larger one, activations between ReLU and SiLU, and learning from a teacher."""
import tempfile
import unittest
from pathlib import Path

import torch

from train import export, shrink
from train.loop import load_model, load_teacher, save
from train.loss import DetectionLoss
from train.model import Detector, flatten, grid


def lively(name, seed):
    """A network with ReLU whose layers do something: batch norms that are neither off nor all open."""
    torch.manual_seed(seed)
    net = Detector(name)
    net.bend = 0.0
    for m in net.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(m.bias, 0.2, 0.3)
    for head in net.heads:
        torch.nn.init.normal_(head[-1].weight, std=0.2)
    net.train()
    with torch.no_grad():
        for _ in range(40):  # statistics
            net(torch.rand(4, 3, 64, 64))
    return net.eval()


def pictures(seed, n=8):
    torch.manual_seed(seed)
    return torch.rand(n, 3, 64, 64)


class Shrink(unittest.TestCase):
    def test_same_shape_is_same_network(self):
        """A fit with nothing to leave out gives back the network: every layer is met, in the right order."""
        large, small = lively("veil-p", 1), Detector("veil-p")
        fitted = [pictures(i) for i in range(4)]
        shrink.Shrinker(large, small, fitted, 1).run()
        x = fitted[0]
        with torch.no_grad():
            for a, b in zip(small.eval()(x), large(x)):
                left = (a - b).square().mean() / (b - b.mean((0, 2, 3), keepdim=True)).square().mean()
                self.assertLess(float(left), 0.02)

    def test_every_layer_of_the_smaller_is_set(self):
        large, small = lively("veil-n", 2), Detector("veil-p")
        before = {k: v.clone() for k, v in small.state_dict().items() if k.endswith("weight")}
        shrink.Shrinker(large, small, [pictures(0)], 1).run()
        for k, v in small.state_dict().items():
            if k in before:
                self.assertFalse(torch.equal(v, before[k]), k)

    def test_silu_is_refused(self):
        large = lively("veil-p", 1)
        large.bend = 1.0
        with self.assertRaises(SystemExit):
            shrink.Shrinker(large, Detector("veil-p"), [pictures(0)], 1)

    def test_choice_takes_what_others_follow_from(self):
        torch.manual_seed(3)
        a, b = torch.randn(500), torch.randn(500)
        rows = torch.stack((a, a * 0.01, b, b * 0.01 + a * 0.01), 1)
        self.assertEqual(shrink.choose(rows, 2), [0, 2])


class Bend(unittest.TestCase):
    def test_activation(self):
        net, x = Detector("veil-p"), torch.linspace(-6, 6, 50)
        layer = net.s2[0]
        for bend, want in ((0, torch.relu(x)), (1, torch.nn.functional.silu(x)), (0.25, x * torch.sigmoid(4 * x))):
            net.bend = bend
            self.assertTrue(torch.allclose(layer.act(x.clone()), want, atol=1e-6), bend)

    def test_checkpoint_keeps_it(self):
        with tempfile.TemporaryDirectory() as tmp:
            net = Detector("veil-p")
            save(Path(tmp) / "a.pt", {"model_name": "veil-p", "ema": net.state_dict(), "bend": 1.0})
            save(Path(tmp) / "b.pt", {"model_name": "veil-p", "ema": net.state_dict()})
            self.assertEqual(load_model(Path(tmp) / "a.pt")[0].bend, 1)
            self.assertEqual(load_model(Path(tmp) / "b.pt")[0].bend, 0)

    def test_export(self):
        net = Detector("veil-p").eval()
        for bend, has in ((0, False), (1, True)):
            net.bend = bend
            kinds = {n.op_type for n in export.to_onnx(net, 96, 64, {}).graph.node}
            self.assertEqual("Sigmoid" in kinds, has)
            self.assertEqual("Relu" in kinds, not has)
        net.bend = 0.5
        with self.assertRaisesRegex(SystemExit, "on the way"):
            export.to_onnx(net, 96, 64, {})


class Teacher(unittest.TestCase):
    def batch(self, **more):
        return {"images": torch.zeros(1, 64, 96, 3, dtype=torch.uint8), "faces": torch.tensor([[0, 10., 10, 40, 44, 1, 1, 0]]),
                "weight": torch.full((1, 8 * 12 + 4 * 6 + 2 * 3), 255, dtype=torch.uint8), **more}

    def test_nothing_to_learn_from_itself(self):
        torch.manual_seed(4)
        raw = torch.randn(1, 126, 6)
        centres, strides = grid(64, 96)
        loss = DetectionLoss(label=1.0)
        same = loss.imitate(raw, self.batch(taught=raw), centres, strides)
        # a class that is no certainty keeps its own entropy
        says = raw[..., 4].sigmoid()
        w, c = says[says > 0.1], raw[..., 5][says > 0.1].sigmoid()
        entropy = -(c * c.log() + (1 - c) * (1 - c).log()) * w / says.sum()
        self.assertAlmostEqual(float(same), float(entropy.sum()), places=4)
        for channel in range(6):
            other = raw.clone()
            other[..., channel] += 1
            self.assertGreater(float(loss.imitate(other, self.batch(taught=raw), centres, strides)), float(same) + 1e-3, channel)

    def test_teacher_is_the_checkpoint(self):
        with tempfile.TemporaryDirectory() as tmp:
            net = lively("veil-p", 5)
            save(Path(tmp) / "t.pt", {"model_name": "veil-p", "ema": net.state_dict()})
            x = (pictures(7) * 255).to(torch.uint8).contiguous(memory_format=torch.channels_last)
            taught = load_teacher(Path(tmp) / "t.pt", "cpu")(x)
            with torch.no_grad():
                want = flatten(net(x.float() / 255))
            self.assertLess(float((taught - want).norm() / want.norm()), 0.1)  # eight bits a number, fifty layers
            self.assertFalse(taught.requires_grad)


if __name__ == "__main__":
    unittest.main()
