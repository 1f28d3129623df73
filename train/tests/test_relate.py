"""The comparison of faces learns to compare, and its text says all of it."""
import unittest

import numpy as np
import torch

from train import relate


def crowd(rng, n):
    """n faces apart from each other whose own P(interview) says nothing."""
    h = rng.uniform(20, 120, n)
    x = 10 + np.arange(n) * 200
    return np.stack((x, rng.uniform(20, 300, n), 0.8 * h, h, rng.uniform(0.5, 0.9, n), rng.uniform(0.3, 0.5, n)), 1)


def table_of(rng, pictures):
    """Pictures in which the tallest face is the interviewee."""
    t = relate.Table()
    for i in range(pictures):
        d = crowd(rng, int(rng.integers(2, 7)))
        t.add(d, (1400, 500), d[:, :4], d[:, 3] == d[:, 3].max(), 1.0, i, True)
    return t


class Relate(unittest.TestCase):
    def test_learns_to_compare(self):
        rng = np.random.default_rng(5)
        learn, other = table_of(rng, 800), table_of(rng, 200)
        net = relate.fit(learn, np.arange(len(learn.label)), 1)
        label = np.array(other.label) > 0.5
        before = relate.figures(np.array(other.own)[:, 0], label)
        after = relate.figures(relate.judge(net, other), label)
        self.assertLess(before["auc"], 0.6)
        self.assertGreater(after["auc"], 0.93)

    def test_text_says_everything(self):
        """Numbers read back from the text, multiplied by hand, give what the network gives."""
        rng = np.random.default_rng(6)
        t = table_of(rng, 20)
        net = relate.fit(t, np.arange(len(t.label)), 2, epochs=2)
        numbers = [int(v) for v in net.text().split(" ")]
        p, f, v = numbers[0], numbers[1], np.array(numbers[2:]) / relate.UNIT
        layers = []
        for m, n in ((p, relate.OWN + relate.PAIR), (p, p), (f, relate.OWN + 2 * p), (1, f)):
            layers.append((v[:m * n].reshape(m, n), v[m * n:m * n + m]))
            v = v[m * n + m:]
        self.assertEqual(len(v), 0)
        own, pairs, there = (c.numpy() for c in t.tensors()[:3])
        (wa, ba), (wb, bb), (wc, bc), (wd, bd) = layers
        for i, got in enumerate(relate.judge(net, t)):
            some = pairs[i][there[i] > 0]
            e = np.maximum(np.maximum(np.column_stack((np.repeat(own[i:i + 1], len(some), 0), some)) @ wa.T + ba, 0) @ wb.T + bb, 0)
            face = np.maximum(np.concatenate((own[i], e.sum(0) / 4, e.max(0))) @ wc.T + bc, 0)
            said = 2 * own[i, 0]
            most = max(said, min(said + relate.RAISE, 0))
            self.assertAlmostEqual(min(said + (face @ wd.T + bd)[0], most), got, delta=0.02)

    def test_others_are_the_largest_that_are_seen(self):
        d = np.array([[100, 100, 40, 50, 0.9, 0.5], [300, 100, 80, 100, 0.8, 0.5], [500, 100, 20, 25, 0.9, 0.5],
                      [700, 100, 200, 250, 0.1, 0.5]])
        own = relate.describe(d, 1000, 400)
        self.assertTrue(np.allclose(own[:, 8], np.log(3)))
        pairs = relate.compare(d, own, 0, relate.others(d, 0))
        self.assertEqual(len(pairs), 2)  # neither itself nor the one that is hardly seen
        self.assertTrue(np.allclose(np.exp(pairs[:, 2]), (2, 0.5)))

    def test_further_looks(self):
        """Classes are mixed in log odds where looks saw the same face, boxes stay (tests/unit/test_again.c)."""
        d = np.array([[24, 24, 56, 56, 0.9, 0.8], [100, 24, 132, 56, 0.9, 0.8], [200, 24, 232, 56, 0.9, 0.8]])
        far = np.array([[37, 24, 69, 56, 0.3, 0.5], [24, 24, 56, 56, 0.1, 0.0], [114.5, 24, 146.5, 56, 0.9, 0.5],
                        [213, 24, 245, 56, 0.9, 0.5]])
        mixed = relate.seen_again(d, [far])
        self.assertTrue((mixed[:, :5] == d[:, :5]).all() and (d[:, 5] == 0.8).all())
        said = np.log(0.8 / 0.2)
        for got, want in zip(relate.log_odds(mixed[:, 5]), ((said - np.log(999)) / 2, said, said / 2)):
            self.assertAlmostEqual(got, want, places=6)
        self.assertTrue((relate.seen_again(d, [far[:0]]) == d).all() and (relate.seen_again(d, []) == d).all())
        twice = relate.log_odds(relate.seen_again(d, [far, far[:0], far])[:, 5])
        self.assertAlmostEqual(twice[0], (said - 2 * np.log(999)) / 3, places=6)
        self.assertAlmostEqual(twice[2], said / 3, places=6)

    def test_alone(self):
        t = relate.Table()
        d = np.array([[100, 100, 40, 50, 0.9, 0.7]])
        t.add(d, (640, 360), d[:, :4], [1], 1.0, 0, True)
        torch.manual_seed(0)
        self.assertTrue(np.isfinite(relate.judge(relate.Relation().eval(), t)).all())
        self.assertEqual(float(np.sum(t.there)), 0)


if __name__ == "__main__":
    unittest.main()
