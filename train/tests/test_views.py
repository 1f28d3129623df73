"""Class views keep their promises: where the faces come to lie, and how large they are. And the
candidates of the architecture are what their names say.
"""
import subprocess
import sys
import unittest
from pathlib import Path

import numpy as np

from train import alarms, augment, batches, boxes, classviews, views

CANVAS = (320, 192)


def picture():
    """A grey picture with a bright square an interviewee's face big, and three small ones of bystanders."""
    img = np.full((240, 400, 3), 90, np.uint8)
    boxes = np.array([[150, 60, 80, 80], [20, 30, 30, 30], [330, 40, 32, 32], [360, 150, 29, 29]], np.float32)
    for x, y, w, h in boxes.astype(int):
        img[y:y + h, x:x + w] = 250
    return img, (boxes, np.zeros(4, np.int8), np.array([1, 0, 0, 0], np.float32))


class Boxes(unittest.TestCase):
    def test_a_loose_box_moves_most_of_the_way(self):
        seen = [np.array([[10, 10, 50, 60, 0.9, 0]]), np.array([[14, 10, 50, 60, 0.8, 0], [200, 200, 240, 240, 0.9, 0]])]
        got = boxes.straighten(seen, np.array((20.0, 20, 30, 40)))
        np.testing.assert_allclose(got, (0.25 * 20 + 0.75 * 12, 0.25 * 20 + 0.75 * 10, 36, 47.5))

    def test_a_box_that_few_looks_see_stays(self):
        box, far = np.array((20.0, 20, 30, 40)), np.array([[200, 200, 240, 240, 0.9, 0.0]])
        near = np.array([[20, 20, 52, 62, 0.9, 0.0]])
        np.testing.assert_array_equal(boxes.straighten([near, far, far, np.zeros((0, 6))], box), box)
        np.testing.assert_array_equal(boxes.straighten([near, near, far, far], box), box)


class Alarms(unittest.TestCase):
    def test_only_what_no_face_covers_is_an_alarm(self):
        d = np.array([[0, 0, 10, 10, 0.5, 0], [20, 0, 30, 10, 0.4, 0], [40, 0, 50, 10, 0.3, 0]], float)
        known = np.array([[8, 0, 10, 10], [39, -2, 14, 14]], float)  # a fifth of the first, all of the third
        self.assertEqual(alarms.alone(d, known).tolist(), [False, True, False])
        self.assertEqual(alarms.alone(d, np.zeros((0, 4))).tolist(), [True, True, True])

    def test_views_look_at_alarms(self):
        """With views of alarms alone, the square that was taken for a face is in every one of them."""
        img, faces = picture()
        x, y, w, h = (int(v) for v in faces[0][3])

        class Data:
            pictures, one_scale, weight = [img], [False], np.ones(1)
            alarms = np.zeros((1, 6))

            def __len__(self):
                return 1

            def faces(self, i):
                return faces[0][:3], faces[1][:3], faces[2][:3]

            def alarm(self, rng):
                return 0, np.array((x, y, w, h), np.float32)

        img[:] = 90
        img[y:y + h, x:x + w] = 250
        made = batches.CropBatches(Data(), 1, 160, 0)
        was, batches.ALARMS = batches.ALARMS, 1.0
        try:
            for seed in range(20):
                view, _ = views.toward(img, Data().faces(0), (160, 160), (x, y, w, h), np.random.default_rng(seed), lo=14)
                self.assertGreater((view[..., 0] > 200).sum(), 60)
                view = made.sample(np.random.default_rng(seed))[0].astype(int)
                self.assertGreater((np.abs(view - np.median(view, (0, 1))).max(-1) > 12).sum(), 40)
        finally:
            batches.ALARMS = was


class Smallest(unittest.TestCase):
    def test_crops_go_to_larger_faces(self):
        """Where crops are cut around faces from 60 px on, what they show is mostly so large; whole pictures stay."""
        img = np.full((1200, 1600, 3), 90, np.uint8)
        face = np.array([[700, 500, 40, 50]], np.float32), np.zeros(1, np.int8), np.zeros(1, np.float32)

        def sizes(lo):
            made = [views.crop(img, face, (320, 320), np.random.default_rng(seed), None, lo)[1][0] for seed in range(200)]
            return np.array([np.sqrt(b[0, 2] * b[0, 3]) for b in made if len(b)])
        few, many = sizes(8.0), sizes(60.0)
        self.assertGreater(np.median(many), 1.5 * np.median(few))
        self.assertLess(many.min(), 30)


class OutOfFocus(unittest.TestCase):
    def test_nothing_sharp_and_nobody(self):
        """Of a chequered picture with one face: no face in the view, and less detail than before."""
        y, x = np.indices((240, 400)) // 4
        img = np.repeat(((x + y) % 2 * 160 + 40).astype(np.uint8)[..., None], 3, 2)
        face = np.array([[10, 10, 30, 30]], np.float32), np.zeros(1, np.int8), np.zeros(1, np.float32)
        def detail(v):
            return np.abs(np.diff(v.astype(int), axis=1)).mean()
        for seed in range(20):
            view, (boxes, *_) = views.out_of_focus(img, face, (160, 160), np.random.default_rng(seed))
            if len(boxes):  # nowhere empty: an ordinary view
                continue
            sharp, _ = views.empty_spot(img, face, (160, 160), np.random.default_rng(seed))
            self.assertLess(detail(view), 0.8 * detail(sharp))

    def test_faces_stay_sharp(self):
        y, x = np.indices((240, 400)) // 40
        img = np.repeat(((x + y) % 2 * 160 + 90).astype(np.uint8)[..., None], 3, 2)
        everywhere = np.array([[0, 0, 400, 240]], np.float32), np.zeros(1, np.int8), np.zeros(1, np.float32)
        for seed in range(10):
            view, _ = views.out_of_focus(img, everywhere, (160, 160), np.random.default_rng(seed))
            self.assertGreater(np.abs(np.diff(view.astype(int), axis=1)).max(), 60)


class ClassViews(unittest.TestCase):
    def bright(self, img, faces, least):
        """Every labelled box lies on its bright square."""
        for (x, y, w, h), kind in zip(faces[0], faces[1]):
            inner = img[int(y + 0.2 * h):int(y + 0.8 * h), int(x + 0.2 * w):int(x + 0.8 * w)]
            if kind == 0:
                self.assertGreater(inner.mean(), least)

    def test_near_makes_a_bystander_large(self):
        found = 0
        for seed in range(40):
            img, faces = picture()
            made = classviews.near(img, faces, CANVAS, np.random.default_rng(seed))
            if made is None:
                continue
            found += 1
            view, (boxes, kind, label) = made
            self.assertGreaterEqual((kind == 0).sum(), 2)
            self.assertEqual(view.shape, (CANVAS[1], CANVAS[0], 3))
            heights = boxes[(label == 0) & (kind == 0), 3] / CANVAS[1]
            self.assertGreater(heights.max(), 0.17)
            self.assertLess(heights.min(), 0.42)
            self.bright(view, (boxes, kind, label), 230)
        self.assertGreater(found, 5)

    def test_near_leaves_nobody_alone(self):
        img, (boxes, kind, label) = picture()
        alone = boxes[1:2], kind[1:2], label[1:2]
        self.assertIsNone(classviews.near(img, alone, CANVAS, np.random.default_rng(0)))

    def test_near_needs_a_bystander(self):
        img, (boxes, kind, label) = picture()
        self.assertIsNone(classviews.near(img, (boxes, kind, np.ones(4, np.float32)), CANVAS, np.random.default_rng(0)))

    def test_far_makes_all_small_and_keeps_their_classes(self):
        for seed in range(20):
            img, faces = picture()
            whole = min(CANVAS[0] / 400, CANVAS[1] / 240)
            view, (boxes, kind, label) = classviews.far(img, faces, CANVAS, np.random.default_rng(seed))
            self.assertEqual(view.shape, (CANVAS[1], CANVAS[0], 3))
            self.assertEqual(list(label), [1, 0, 0, 0])
            z = boxes[0, 3] / 80 / whole
            self.assertTrue(0.39 < z < 0.71, z)
            self.bright(view, (boxes, kind, label), 200)

    def test_turned_faces_stay_under_their_boxes(self):
        for degrees in (-90, -35, 10, 60, 100):
            img, faces = picture()
            view, turned = augment.rotate(img, faces, degrees)
            self.assertEqual(view.shape, img.shape)
            self.bright(view, turned, 230)


class Passing(unittest.TestCase):
    def test_part_of_a_face_is_covered(self):
        """The interviewee's face loses a part, mostly stays a face with its class, and nobody changes class."""
        changed, kept = 0, 0
        for seed in range(60):
            img, faces = picture()
            x, y, w, h = faces[0][0].astype(int)
            before = img.astype(int)
            view, (boxes, kind, label) = classviews.passing(img, faces, np.random.default_rng(seed))
            self.assertTrue((img == before).all())  # the cached picture is not ours to draw in
            self.assertEqual(view.shape, img.shape)
            part = (np.abs(view.astype(int) - before)[y:y + h, x:x + w].max(-1) > 8).mean()
            still = [k for k, b in enumerate(boxes) if np.array_equal(b, faces[0][0])]
            changed += part > 0.1
            if still:
                self.assertEqual(label[still[0]], 1)
                kept += kind[still[0]] == 0
            else:
                self.assertGreater(part, 0.5)
        self.assertGreater(changed, 20)  # he is the one in four of seven
        self.assertGreater(kept, 40)

    def test_nobody_with_a_class(self):
        img, (boxes, kind, label) = picture()
        view, faces = classviews.passing(img, (boxes, kind, np.full(4, -1, np.float32)), np.random.default_rng(0))
        self.assertIs(view, img)


class Edge(unittest.TestCase):
    def test_who_comes_in(self):
        """Of faces of 20 px, 11, 9 and 7 px are seen at the left edge; 3 are too few to keep; one lies in a corner."""
        boxes = np.array([[-9, 10, 20, 20], [-11, 40, 20, 20], [-13, 70, 20, 20], [-17.5, 100, 20, 20], [90, 112, 20, 20]], np.float32)
        got, kind, _ = views.clip((boxes, np.zeros(5, np.int8), np.zeros(5, np.float32)), 101, 124)
        self.assertEqual(got[:, 2:].tolist(), [[11, 20], [9, 20], [7, 20], [11, 12]])
        self.assertEqual(kind.tolist(), [0, 0, 1, 0])


class Composed(unittest.TestCase):
    def test_faces_behind_the_speaker(self):
        """Of five faces in a row a speaker covers a fifth, four tenths, six tenths, three quarters and nine tenths:
        whoever is to be hidden by the measure of leaks (less than 70 % covered) is to be found."""
        boxes = np.array([[30 * i, 0, 20, 20] for i in range(5)], np.float32)
        alpha = np.zeros((40, 150), np.float32)
        for (x, _, w, h), share in zip(boxes.astype(int), (0.2, 0.4, 0.6, 0.75, 0.9)):
            alpha[:int(h * share), x:x + w] = 1
        speaker = np.array([130, 25, 15, 15], np.float32)
        faces = boxes, np.zeros(5, np.int8), np.zeros(5, np.float32)
        got, kind, label = classviews.Speakers.merge(faces, speaker, alpha, (0, 0, 150, 40))
        self.assertEqual(got.tolist(), [*boxes[:4].tolist(), speaker.tolist()])
        self.assertEqual(kind.tolist(), [0, 0, 0, 1, 0])
        self.assertEqual(label.tolist(), [0, 0, 0, 0, 1])


class Candidates(unittest.TestCase):
    def test_maps_and_layers(self):
        code = ("import sys, torch; from train.candidates import *; n = sys.argv[1]; settle(n); m = Candidate(n).eval(); "
                "print(n, [tuple(o.shape[1:]) for o in m(torch.zeros(1, 3, 64, 96))], "
                "sum(c.groups > 1 for c in m.modules() if isinstance(c, nn.Conv2d)), "
                "m.bend == 1)")
        maps = [(6, 8, 12), (6, 4, 6), (6, 2, 3)]
        for name, want in (("finest", f"{[(6, 16, 24), *maps]} 0 False"), ("silu", f"{maps} 0 True"),
                           ("depthwise", f"{maps} 15 False"), ("decoupled", f"{maps} 0 False")):
            r = subprocess.run([sys.executable, "-c", code, name], cwd=Path(__file__).resolve().parents[2],
                               capture_output=True, text=True)
            self.assertEqual(r.stdout.strip(), f"{name} {want}", r.stderr)


if __name__ == "__main__":
    unittest.main()
