"""The labels of train.jsonl as flat arrays, next to the cached pictures."""
import json
from pathlib import Path

import numpy as np

from .cache import PictureCache
from .paths import DATA, need

CLASSES = {"background": 0, "interview": 1}
# How often a picture of a source is drawn, relative to its share. The dense
# crowds hold a third of all boxes and would drown the rest.
SOURCE_WEIGHT = {"wider": 2.5, "fddb": 1.0, "shanghaitech_A": 0.35, "shanghaitech_B": 0.5,
                 "street_lschen": 0.6, "helmet_panly": 0.7}
# Boxes of these sources come from one scale of a teacher: their small faces
# are incomplete, so the background of the finest level counts less.
ONE_SCALE = {"helmet_panly", "street_lschen"}

# Boxes of these sources are drawn loosely: see boxes.py.
LOOSE = {"facemask_ilc2021", "rf_mik1i"}

# In these faces without a box are many: what a network takes for a face there mostly is one (seen on
# sheets of 60 alarms of the eighth round; in wider and fddb nearly all were hands, letters and cloth).
PARTLY = {"facemask_ilc2021", "maskon", "helmet_panly", "street_lschen", "shanghaitech_A",
          "shanghaitech_B", "protest_ednmolina"}


def draw(cdf, rng):
    """An index as likely as the steps of a cumulative distribution are high."""
    return min(int(np.searchsorted(cdf, rng.random())), len(cdf) - 1)


class Faces:
    """Pictures with their face boxes.

    boxes[k] = x y w h, kind[k] = 0 face / 1 ignore, label[k] = -1 none, 0
    background .. 1 interview (between: guessed by train.guess), and
    first[i]:first[i+1] are picture i's faces.
    """

    def __init__(self, data=DATA, split="train", limit=None):
        data = Path(data)
        rows = [json.loads(s) for s in open(need(data / "train.jsonl", "label list"), encoding="utf-8")]
        rows = [r for r in rows if r.get("split", "train") == split][:limit]
        if not rows:
            raise SystemExit(f"no pictures with split {split!r} in {data / 'train.jsonl'}")
        self.rows = [{k: r.get(k) for k in ("image", "source", "labelled", "doubtful")} for r in rows]
        self.pictures = PictureCache([data / r["image"] for r in rows], [(r["height"], r["width"]) for r in rows])
        faces = [r["faces"] for r in rows]
        flat = [f for fs in faces for f in fs]
        self.first = np.concatenate(([0], np.cumsum([len(f) for f in faces]))).astype(np.int64)
        self.boxes = np.array([f["box"] for f in flat], np.float32).reshape(-1, 4)
        self.kind = np.array([bool(f.get("ignore")) for f in flat], np.int8)
        self.label = np.array([CLASSES.get(f.get("class"), -1) for f in flat], np.float32)
        self.source = [r.get("source") or "own" for r in rows]
        self.labelled = np.array([bool(r.get("labelled")) for r in rows])
        self.doubtful = np.array([bool(r.get("doubtful")) for r in rows])
        self.one_scale = np.array([s in ONE_SCALE for s in self.source])
        self.weight = np.array([SOURCE_WEIGHT.get(s, 1.0) for s in self.source])
        self.want = None  # how much each face is looked for by crops; None = all alike
        self.alarms = None  # picture, box x y w h, score: what alarms.py found taken for faces

    def add_labels(self, file):
        """Classes given later (labels/*.jsonl): image, box -> class, or null where a box is no face."""
        at = {r["image"]: i for i, r in enumerate(self.rows)}
        added = 0
        for line in need(file, "labels").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            i = at.get(row["image"])
            if i is None or self.labelled[i]:
                continue
            a, b = self.first[i], self.first[i + 1]
            for f in row["faces"]:
                k = a + np.flatnonzero(np.abs(self.boxes[a:b] - np.array(f["box"], np.float32)).max(1) < 0.6)
                if f["class"] is None:
                    self.kind[k] = 1
                else:
                    self.label[k] = CLASSES[f["class"]]
            self.labelled[i], self.doubtful[i] = True, bool(row.get("doubtful"))
            added += 1
        return added

    def load(self, file, made_by, name):
        """One row a face, as another tool made it."""
        rows = np.load(need(file, f"output of {made_by}"))[name]
        if len(rows) != len(self.label):
            raise SystemExit(f"{file} was made for other data: {len(rows)} faces, not {len(self.label)}")
        return rows

    def look_for_hard(self, file):
        """Show the faces that hard.py found missed, and their pictures, more often."""
        score = self.load(file, "train.hard", "score")
        # tiny faces are hard for want of pixels, not of practice
        seen = np.clip(np.sqrt(self.boxes[:, 2] * self.boxes[:, 3]) / 24, 0.1, 1)
        self.want = np.where(self.kind == 0, 0.15 + np.clip(1 - score / 0.7, 0, 1) * seen, 0).astype(np.float32)
        sums = np.add.reduceat(np.concatenate((self.want, [0])), self.first[:-1])
        sums[self.first[1:] == self.first[:-1]] = 0
        self.weight = self.weight * (0.6 + np.minimum(sums, 3))

    def look_at_alarms(self, file):
        """Show what alarms.py found taken for faces; the surer the network was, the more often."""
        with np.load(need(file, "output of train.alarms")) as z:
            if int(z["faces"]) != len(self.label):
                raise SystemExit(f"{file} was made for other data: {int(z['faces'])} faces, not {len(self.label)}")
            alarms = [r for r in z["alarms"] if self.source[int(r[0])] not in PARTLY]
        if alarms:
            self.alarms = np.array(alarms)
            self.alarms_cdf = np.cumsum(self.alarms[:, 5] / self.alarms[:, 5].sum())

    def alarm(self, rng):
        """(picture, box) of one of them."""
        picture, *box, _ = self.alarms[draw(self.alarms_cdf, rng)]
        return int(picture), box

    def __len__(self):
        return len(self.rows)

    def faces(self, i):
        """boxes, kind, label of picture i (copies)."""
        a, b = self.first[i], self.first[i + 1]
        return self.boxes[a:b].copy(), self.kind[a:b].copy(), self.label[a:b].copy()

    def wanted(self, i):
        """How much crops look for each face of picture i, or None."""
        return None if self.want is None else self.want[self.first[i]:self.first[i + 1]]
