"""The evaluators on cases that can be worked out by hand."""
import unittest

import numpy as np

from eval.detector import nms
from eval.subject import auc, hidden_at
from eval.wider import average_precision, match, recall_by_height


def boxes(*rows):
    return np.array(rows, float).reshape(-1, 5 if rows and len(rows[0]) == 5 else 4)


class Wider(unittest.TestCase):
    gt = [boxes((0, 0, 20, 20), (50, 50, 30, 30))]
    hit0, hit1, miss = (0, 0, 20, 20), (50, 50, 30, 30), (200, 200, 20, 20)

    def ap(self, *preds, keep=(0, 1)):
        return average_precision([boxes(*preds)], self.gt, [np.array(keep, int)])

    def test_perfect(self):
        self.assertAlmostEqual(self.ap((*self.hit0, .9), (*self.hit1, .8)), 1)

    def test_half_found(self):
        self.assertAlmostEqual(self.ap((*self.hit0, .9), (*self.miss, .1)), 0.5)

    def test_false_positive_first(self):
        # precision 0/1, 1/2, 2/3: every recall level has a precision of 2/3
        self.assertAlmostEqual(self.ap((*self.miss, .9), (*self.hit0, .5), (*self.hit1, .1)), 2 / 3)

    def test_face_outside_the_list_costs_nothing(self):
        self.assertAlmostEqual(self.ap((*self.hit1, .9), (*self.hit0, .5), keep=(0,)), 1)

    def test_missing_everything(self):
        self.assertEqual(average_precision([np.zeros((0, 5))], self.gt, [np.array([0, 1])]), 0)

    def test_duplicate_counts_as_proposal(self):
        recalled, counts = match(boxes((*self.hit0, .9), (*self.hit0, .8)), self.gt[0], np.array([0, 1]))
        self.assertEqual(recalled.tolist(), [1, 1])
        self.assertEqual(counts.tolist(), [True, True])

    def test_recall_by_height(self):
        r = recall_by_height([boxes((*self.hit0, .9))], self.gt, (0.5,))["0.5"]
        self.assertEqual((r["16-24"], r["24-48"]), (100.0, 0.0))


class Subject(unittest.TestCase):
    def test_auc(self):
        self.assertEqual(auc(np.array([.9, .8, .2, .1]), np.array([True, True, False, False])), 1)
        self.assertEqual(auc(np.array([.5, .5, .5, .5]), np.array([True, True, False, False])), 0.5)

    def test_hidden_at(self):
        score = np.concatenate((np.linspace(0.5, 1, 100), np.linspace(0, 0.6, 10)))
        hidden, t = hidden_at(score, np.arange(110) < 100)
        self.assertEqual((score[:100] >= t).mean(), 0.93)
        self.assertEqual(hidden, (score[100:] < t).mean())


class Nms(unittest.TestCase):
    def test_keeps_best_and_apart(self):
        b = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [30, 30, 40, 40]], float)
        self.assertEqual(nms(b, np.array([.5, .9, .7])).tolist(), [1, 2])


if __name__ == "__main__":
    unittest.main()
