"""A checkpoint out of a model file: the same network, with batch norms that training can go on from."""
import tempfile
import unittest
from pathlib import Path

import torch

from train import restore
from train.loop import load_finished, save
from train.model import ConvBN

SHIPPED = Path(__file__).resolve().parents[2] / "models"


def views(seed, n=3):
    torch.manual_seed(seed)
    return [torch.rand(4, 3, 96, 96) for _ in range(n)]


class Restore(unittest.TestCase):
    def test_same_outputs_and_statistics_of_its_views(self):
        for name in ("veil-n", "veil-p"):
            plain = restore.folded(SHIPPED / f"{name}.veil")
            given = views(1)
            with torch.no_grad():
                wanted = [plain(x) for x in given]
                net = restore.unfold(plain, given)
                for x, y in zip(given, wanted):
                    for a, b in zip(net(x), y):
                        self.assertLess(float((a - b).abs().max()), 2e-3 * float(b.abs().max()))
                net.train()  # batch statistics of the same views instead of stored ones: nearly the same again
                together = net(torch.cat(given))
                for a, b in zip(together, (torch.cat(o) for o in zip(*wanted))):
                    self.assertLess(float((a - b).square().mean()), 1e-3 * float(b.square().mean()))
            for m in net.modules():
                if isinstance(m, ConvBN):
                    rms = m.conv.weight.flatten(1).square().mean(1).sqrt()
                    rms = rms[rms > 0]  # rows that 8 bits left nothing of stay so
                    self.assertLess(float((rms / restore.RMS - 1).abs().max()), 1e-3)

    def test_size_prior_is_taken_out_once(self):
        """What is exported from the checkpoint is what the file says: the prior stands in it once."""
        path = SHIPPED / "veil-n.veil"
        net = restore.folded(path)
        with tempfile.TemporaryDirectory() as tmp:
            save(f"{tmp}/last.pt", {"model_name": "veil-n", "ema": net.state_dict(), "bend": net.bend})
            again = load_finished(f"{tmp}/last.pt")[0]
        weight, bias, _ = next(c for c in restore.read(path)[1] if len(c[1]) == 6)
        self.assertLess(float((again.heads[0][-1].weight - weight).abs().max()), 1e-5)
        self.assertLess(float((again.heads[0][-1].bias - bias).abs().max()), 1e-5)
        self.assertGreater(float((net.heads[0][-1].bias[4] - bias[4]).abs()), 0.1)
        self.assertEqual(again.bend, 1.0)

    def test_other_files_are_refused(self):
        good = (SHIPPED / "veil-p.veil").read_bytes()
        with tempfile.TemporaryDirectory() as tmp:
            path = Path(tmp) / "m.veil"
            for content in (b"", b"ONNX" * 100, good[:200], good[:len(good) // 2]):
                path.write_bytes(content)
                with self.assertRaises(SystemExit):
                    restore.folded(path)
            with self.assertRaises(SystemExit):
                restore.folded(Path(tmp) / "absent.veil")


if __name__ == "__main__":
    unittest.main()
