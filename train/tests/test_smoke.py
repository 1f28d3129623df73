"""Training end to end on generated pictures: labels convert, loss falls, ONNX equals PyTorch."""
import csv
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[2]


def make_pictures(folder, n=24, seed=0):
    """Noise with bright ovals that have two dark eyes; YOLO labels beside."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for i in range(n):
        img = rng.integers(0, 110, (160, 200, 3), dtype=np.uint8)
        lines = []
        for x in (50, 140):
            w, h = int(rng.integers(24, 44)), int(rng.integers(30, 56))
            cy, c = int(rng.integers(50, 110)), int(rng.integers(2))
            cv2.ellipse(img, (x, cy), (w // 2, h // 2), 0, 0, 360, (150, 180, 230), -1)
            for e in (-w // 5, w // 5):
                cv2.circle(img, (x + e, cy - h // 8), 2, (20, 20, 20), -1)
            lines.append(f"{c} {x / 200} {cy / 160} {w / 200} {h / 160}")
        cv2.imwrite(str(folder / f"{i}.png"), img)
        (folder / f"{i}.txt").write_text("\n".join(lines) + "\n")


class Smoke(unittest.TestCase):
    def run_module(self, module, *args):
        r = subprocess.run([sys.executable, "-m", module, *map(str, args)], cwd=ROOT, env=self.env,
                           capture_output=True, text=True)
        self.assertEqual(r.returncode, 0, f"{module}: {r.stdout}\n{r.stderr}")
        return r.stdout

    def test_convert_train_resume_export(self):
        with tempfile.TemporaryDirectory() as tmp:
            tmp = Path(tmp)
            self.env = dict(os.environ, VEIL_CACHE=str(tmp / "cache"), VEIL_RUNS=str(tmp / "runs"),
                            VEIL_DATA=str(tmp / "data"), OMP_NUM_THREADS="1")
            make_pictures(tmp / "pictures")
            self.run_module("train.convert", "--yolo", tmp / "pictures", "--names", "background,interview", "--out", tmp / "data")
            common = ("--batch", 4, "--size", 96, "--epoch-steps", 40, "--warmup", 10, "--workers", 0, "--threads", 1,
                      "--model", "veil-p", "--minutes", 60)
            self.run_module("train.pretrain", *common, "--epochs", 2)
            self.run_module("train.pretrain", *common, "--epochs", 4, "--resume")
            with open(tmp / "runs/pretrain/log.csv") as f:
                loss = [float(r["loss"]) for r in csv.DictReader(f)]
            self.assertEqual(len(loss), 4)
            self.assertLess(loss[-1], loss[0])
            self.run_module("train.finetune", *common, "--epochs", 1, "--composed", 0)
            self.run_module("train.guess", tmp / "runs/finetune/last.pt", "--long", 96, "--out", tmp / "guesses.npz")
            # what a network after a few steps takes for faces is shown again
            self.run_module("train.alarms", tmp / "runs/finetune/last.pt", "--long", 192, "--score", 0.001, "--out", tmp / "alarms.npz")
            self.assertGreater(len(np.load(tmp / "alarms.npz")["alarms"]), 0)
            self.run_module("train.finetune", *common, "--epochs", 1, "--composed", 0, "--alarms", tmp / "alarms.npz", "--run", "again")
            # training goes on from a shipped model file, and only under its own name
            self.run_module("train.finetune", *common, "--epochs", 1, "--composed", 0, "--init", ROOT / "models/veil-p.veil", "--run", "shipped")
            # it sees faces in drawn ones sooner than a network that starts from nothing
            def first(run):
                with open(tmp / "runs" / run / "log.csv") as f:
                    row = next(csv.DictReader(f))
                return float(row["face"]), float(row["box"])
            for shipped, nothing in zip(first("shipped"), first("pretrain")):
                self.assertLess(shipped, nothing)
            r = subprocess.run([sys.executable, "-m", "train.finetune", *map(str, common), "--composed", "0", "--init", ROOT / "models/veil-n.veil"],
                               cwd=ROOT, env=self.env, capture_output=True, text=True)
            self.assertNotEqual(r.returncode, 0)
            self.assertIn("pass --model veil-n", r.stderr)
            # every picture here has classes, so there is nothing to guess
            self.assertTrue((np.load(tmp / "guesses.npz")["label"] == -1).all())
            self.run_module("train.export", "--checkpoint", tmp / "runs/finetune/last.pt", "--size", "160x96", "--out", tmp / "out")
            parity = np.load(tmp / "out/parity.npz")
            self.finished_by_size(tmp / "runs/finetune/last.pt", parity)
            self.assertEqual(parity["image"].shape, (96, 160, 3))
            net = cv2.dnn.readNetFromONNX(str(tmp / "out/veil-p.onnx"))
            net.setInput(parity["image"].transpose(2, 0, 1)[None].astype(np.float32) / 255)
            for name, got in zip(("p8", "p16", "p32"), net.forward(["p8", "p16", "p32"])):
                self.assertLess(np.abs(got - parity[name]).max(), 1e-3)

    def finished_by_size(self, checkpoint, parity):
        """What is exported scores faces by the size of their boxes, and is otherwise as trained."""
        import torch
        from train.loop import load_model
        with torch.no_grad():
            trained = load_model(checkpoint)[0](torch.from_numpy(parity["image"]).permute(2, 0, 1)[None].float() / 255)
        for s, name, raw in zip((8, 16, 32), ("p8", "p16", "p32"), trained):
            raw, got = raw[0].numpy(), parity[name][0]
            size = s * np.exp((raw[2] + raw[3]) / 2)
            prior = 0.5 * np.log(size / 36) if s == 8 else 0
            self.assertLess(np.abs(got[4] - raw[4] - prior).max(), 1e-3)
            for c in (0, 1, 2, 3, 5):
                self.assertLess(np.abs(got[c] - raw[c]).max(), 1e-3)

    def test_coco(self):
        with tempfile.TemporaryDirectory() as tmp:
            tmp, self.env = Path(tmp), dict(os.environ)
            make_pictures(tmp / "pictures", 2)
            coco = {"images": [{"id": 7, "file_name": "1.png", "width": 200, "height": 160},
                               {"id": 8, "file_name": "0.png", "width": 200, "height": 160}],
                    "categories": [{"id": 3, "name": "interview"}, {"id": 4, "name": "head"}],
                    "annotations": [{"image_id": 7, "category_id": 3, "bbox": [10, 20, 30, 40], "iscrowd": 0},
                                    {"image_id": 7, "category_id": 4, "bbox": [60, 20, 30, 40]},
                                    {"image_id": 7, "category_id": 4, "bbox": [0, 0, 200, 9], "iscrowd": 1}]}
            (tmp / "c.json").write_text(json.dumps(coco))
            self.run_module("train.convert", "--coco", tmp / "c.json", "--images", tmp / "pictures", "--out", tmp / "data")
            rows = [json.loads(s) for s in open(tmp / "data/train.jsonl")]
            self.assertEqual([Path(r["image"]).name for r in rows], ["1.png", "0.png"])
            self.assertEqual([(f["box"], f["class"], f["ignore"]) for f in rows[0]["faces"]],
                             [([10, 20, 30, 40], "interview", False), ([60, 20, 30, 40], None, False),
                              ([0, 0, 200, 9], None, True)])
            self.assertEqual(rows[1]["faces"], [])
            self.assertTrue(rows[0]["labelled"] and not rows[1]["labelled"])


if __name__ == "__main__":
    unittest.main()
