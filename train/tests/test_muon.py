"""The optimiser's directions against the singular value decomposition; labels given later."""
import copy
import json
import tempfile
import unittest
from pathlib import Path

import cv2
import numpy as np
import torch

from train import muon
from train.dataset import Faces


class Directions(unittest.TestCase):
    def test_orthogonal_factor(self):
        torch.manual_seed(3)
        for m, n in ((16, 144), (64, 64), (48, 192)):
            g = torch.randn(m, n) @ torch.diag(torch.logspace(0, -1, n))  # long in some directions, short in others
            got = muon.orthogonal([g])[0]
            u, _, vt = torch.linalg.svd(g, full_matrices=False)
            cosine = (got * (u @ vt)).sum() / (got.norm() * (u @ vt).norm())
            self.assertEqual(got.shape, g.shape)
            self.assertGreater(float(cosine), 0.95)
            self.assertLess(float(torch.linalg.svdvals(got).max()), 1.3)

    def test_learns_and_resumes(self):
        torch.manual_seed(4)
        net = torch.nn.Sequential(torch.nn.Conv2d(8, 16, 3), torch.nn.ReLU(), torch.nn.Conv2d(16, 8, 3))
        wanted = copy.deepcopy(net)
        for p in wanted.parameters():
            p.data += 0.1 * torch.randn_like(p)
        x = torch.randn(8, 8, 9, 9)

        def steps(net, opt, n):
            for _ in range(n):
                loss = (net(x) - wanted(x).detach()).square().mean()
                opt.zero_grad()
                loss.backward()
                opt.step()
            return float(loss)

        opt = muon.Muon(muon.groups(net, 0.0), lr=3e-3)
        first = steps(net, opt, 1)
        twin, kept = copy.deepcopy(net), opt.state_dict()
        again = muon.Muon(muon.groups(twin, 0.0), lr=3e-3)
        again.load_state_dict(copy.deepcopy(kept))
        last = steps(net, opt, 150)
        self.assertLess(last, 0.3 * first)
        self.assertEqual(steps(twin, again, 150), last)

    def test_groups_hold_every_parameter_once(self):
        from train.model import Detector
        net = Detector("veil-p")
        ids = [id(p) for g in muon.groups(net, 0.03) for p in g["params"]]
        self.assertEqual(sorted(ids), sorted(id(p) for p in net.parameters()))


class LaterLabels(unittest.TestCase):
    def test_classes_and_no_faces(self):
        with tempfile.TemporaryDirectory() as tmp:
            tmp = Path(tmp)
            cv2.imwrite(str(tmp / "a.png"), np.zeros((40, 60, 3), np.uint8))
            faces = [{"box": [x, 5, 10, 12], "ignore": False, "class": None} for x in (2, 20, 40)]
            (tmp / "train.jsonl").write_text(json.dumps(
                {"image": "a.png", "source": "own", "split": "train", "labelled": False, "doubtful": False,
                 "width": 60, "height": 40, "faces": faces}) + "\n")
            given = {"image": "a.png", "doubtful": True, "faces": [
                {"box": [2, 5, 10, 12], "class": "interview"}, {"box": [40.3, 5, 10, 12], "class": None}]}
            other = dict(given, image="gone.png")
            (tmp / "more.jsonl").write_text(json.dumps(given) + "\n" + json.dumps(other) + "\n")
            data = Faces(tmp)
            self.assertEqual(data.add_labels(tmp / "more.jsonl"), 1)
            self.assertEqual(data.label.tolist(), [1, -1, -1])
            self.assertEqual(data.kind.tolist(), [0, 0, 1])
            self.assertTrue(data.labelled[0] and data.doubtful[0])


if __name__ == "__main__":
    unittest.main()
