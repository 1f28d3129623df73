"""The comparison of faces: each one beside all others of its picture.

The network judges every face from what surrounds it; that somebody else is larger, nearer to the
middle or surer to be meant it can hardly compare. A small network over the list of faces can: for
each face, what it is to each other one goes through one layer pair, the sum and the maximum of
that and the face itself through another (deep sets, Zaheer et al. 2017, arXiv 1703.06114). It is
fitted in minutes on what a trained network says of the labelled pictures, and travels in the model
file as a text. src/relate.c is its twin in C.

Before that, each face's class is the mean, in log odds, of what the network says of it and of what it
says in further, smaller looks at the picture (src/again.h): who a picture is about shows in the whole
of it, and the network sees more of the whole in a smaller one.

Being the first of those who are there makes nobody an interviewee: the largest face of a passing
crowd got P = 0.93 from a comparison, with 0.12 from the network. So it may lower the network's
word, and raise it up to even odds only, where nobody is shown yet. On one in four pictures not
learnt from, 93 % of interview faces kept, 87.5 % of background faces are hidden by the network,
93.6 % by comparison alone, 93.0 % so.
"""
import json

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from .look import begin, look
from .paths import CACHE

FILE = CACHE / "relation.txt"
OWN, PAIR = 9, 10  # numbers that describe a face, and one face to another
OTHERS = 16        # largest other faces that count
AGAIN = (384, 256) # long sides of the further looks
AGAIN_SCORE = 0.05 # what they count as seen; src/again.c and src/detect.c have the same,
SAME = 0.4         # overlap from which two looks saw the same face
P_LEAST = 1e-3     # how sure each look may be
SEEN = 0.2         # score from which a face is one of the others
SMALLEST = 0.04    # faces lower than this part of the short side are not learnt from
UNIT = 4096        # weights travel as integers in this unit
RAISE = 1.5        # the network's logit is raised by so much at most, and to even odds; but lowered at will


def log_odds(p):
    p = np.clip(p, P_LEAST, 1 - P_LEAST)
    return np.log(p / (1 - p))


def seen_again(d, fars):
    """d (n,6) x1 y1 x2 y2 score P(interview), its classes the mean with those that further looks' faces have."""
    from eval.detector import overlap
    d = d.copy()
    for i in range(len(d)):
        said = [d[i, 5]]
        for far in fars:
            o = overlap(far, d[i])
            if o.max(initial=0) >= SAME:
                said.append(far[o.argmax(), 5])
        if len(said) > 1:
            d[i, 5] = 1 / (1 + np.exp(-log_odds(np.array(said)).mean()))
    return d


def describe(d, width, height):
    """(n,9) of faces d (n,6): x y w h score P(interview), in a picture of width x height."""
    h, n = d[:, 3], max(1, int((d[:, 4] >= SEEN).sum()))
    one = np.ones(len(d))
    return np.stack((log_odds(d[:, 5]) / 2, np.log(h / height) + 2, np.log(h / np.sqrt(width * height)) + 2,
                     2 * (d[:, 0] + d[:, 2] / 2) / width - 1, 2 * (d[:, 1] + h / 2) / height - 1, 2 * d[:, 4] - 1,
                     2 * np.log(h / d[:, 2]), np.log(width / height) * one, np.log(n) * one), 1).astype(np.float32)


def others(d, i):
    """The 16 largest faces beside face i, largest first."""
    order = np.argsort(-d[:, 3] * d[:, 4], kind="stable")
    return np.array([k for k in order if k != i and d[k, 4] >= SEEN][:OTHERS], int)


def compare(d, own, i, j):
    """(k,10) of what faces j are to face i."""
    if not len(j):
        return np.zeros((0, PAIR), np.float32)
    middle = d[:, :2] + d[:, 2:4] / 2
    dx, dy = ((middle[j] - middle[i]) / d[i, 3]).T
    return np.stack((own[j, 0], own[j, 0] - own[i, 0], np.log(d[j, 3] / d[i, 3]), np.sign(dx) * np.log1p(abs(dx)),
                     np.log1p(abs(dx)), np.sign(dy) * np.log1p(abs(dy)), own[j, 5], own[j, 3], own[j, 4], own[j, 1]),
                    1).astype(np.float32)


class Relation(nn.Module):
    """own (B,9), pairs (B,16,10), there (B,16) -> logit of P(interview) (B), before it is limited."""

    def __init__(self, pair=16, face=32):
        super().__init__()
        self.a, self.b = nn.Linear(OWN + PAIR, pair), nn.Linear(pair, pair)
        self.c, self.d = nn.Linear(OWN + 2 * pair, face), nn.Linear(face, 1)
        nn.init.zeros_(self.d.weight)

    def forward(self, own, pairs, there):
        e = torch.cat((own[:, None].expand(-1, pairs.shape[1], -1), pairs), 2)
        e = self.b(self.a(e).relu()).relu() * there[..., None]
        return 2 * own[:, 0] + self.d(self.c(torch.cat((own, e.sum(1) / 4, e.amax(1)), 1)).relu())[:, 0]

    def text(self):
        """As the model file keeps it: two sizes, then every layer's weights and biases."""
        numbers = [len(self.a.bias), len(self.c.bias)]
        for m in (self.a, self.b, self.c, self.d):
            numbers += [round(v * UNIT) for p in (m.weight, m.bias) for v in p.detach().flatten().tolist()]
        return " ".join(map(str, numbers))


class Table:
    """Faces with a class, as the network finds them: what describes them, class, weight and picture."""

    def __init__(self):
        self.own, self.pairs, self.there, self.meant, self.label = [], [], [], [], []
        self.weight, self.picture, self.counts = [], [], []

    def add(self, d, size, boxes, label, weight, picture, counts):
        from eval.detector import overlap
        d = d[d[:, 4] >= SEEN]
        if not len(d):
            return
        corners = np.concatenate((d[:, :2], d[:, :2] + d[:, 2:4]), 1)
        own, found, interview = describe(d, *size), [], np.zeros(len(d), np.float32)
        for (x, y, w, h), lab in zip(boxes, label):
            o = overlap(corners, np.array((x, y, x + w, y + h)))
            if o.max() >= 0.4:
                interview[o.argmax()] = max(interview[o.argmax()], lab)
                if h >= SMALLEST * min(size):
                    found.append((int(o.argmax()), lab, h))
        for i, lab, h in found:
            j = others(d, i)
            pairs, there, meant = np.zeros((OTHERS, PAIR), np.float32), np.zeros(OTHERS), np.zeros(OTHERS)
            pairs[:len(j)], there[:len(j)], meant[:len(j)] = compare(d, own, i, j), 1, interview[j]
            for column, v in zip((self.own, self.pairs, self.there, self.meant, self.label, self.weight, self.picture, self.counts),
                                 (own[i], pairs, there, meant, lab, weight, picture, counts and h >= 0.05 * min(size))):
                column.append(v)

    def tensors(self):
        return [torch.tensor(np.array(c, np.float32))
                for c in (self.own, self.pairs, self.there, self.meant, self.label, self.weight)]


def collect(model, data, long_side):
    """Every labelled picture as it is, and mirrored at a smaller size."""
    table = Table()
    for i in np.flatnonzero(data.labelled):
        boxes, kind, label = data.faces(i)
        known = (kind == 0) & (label >= 0)
        if not known.any():
            continue
        img = data.pictures[i]
        h, w = img.shape[:2]
        for k, side in enumerate((long_side, int(0.8 * long_side))):
            d = seen_again(look(model, img, side, SEEN, k), [look(model, img, far, AGAIN_SCORE, k) for far in AGAIN])
            d[:, 2:4] -= d[:, :2]
            table.add(d, (w, h), boxes[known], label[known], 0.3 if data.doubtful[i] else 1.0, i, k == 0 and not data.doubtful[i])
        if i % 500 == 0:
            print(f"{i} of {len(data)}", flush=True)
    return table


def fit(table, rows, seed, epochs=16, rate=3e-3):
    """A Relation for these rows. Others are left out at times, all of them in one of eight, and what
    the network said is shaken, so that nothing hangs on one of them. For half of the background faces
    those whom the picture is about are gone: a camera may turn to bystanders alone, and then the first
    of them is no interviewee either."""
    torch.manual_seed(seed)
    net, rows = Relation(), torch.as_tensor(rows)
    own, pairs, there, meant, label, weight = table.tensors()
    opt = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=0.1)
    steps, done = epochs * (-(-len(rows) // 256)), 0
    for _ in range(epochs):
        for q in rows[torch.randperm(len(rows))].split(256):
            for g in opt.param_groups:
                g["lr"] = rate * (0.02 + 0.49 * (1 + np.cos(np.pi * done / steps)))
            shaken = own[q].clone()
            shaken[:, 0] += 0.15 * torch.randn(len(q))
            some = there[q] * (torch.rand(len(q), OTHERS) > 0.1) * (torch.rand(len(q), 1) > 0.125)
            turned = (torch.rand(len(q)) < 0.5) & (label[q] < 0.5)
            some = some * ~(turned[:, None] & (meant[q] > 0.5))
            out = binary_cross_entropy_with_logits(net(shaken, pairs[q], some), label[q], reduction="none")
            loss = (out * weight[q]).sum() / weight[q].sum()
            opt.zero_grad()
            loss.backward()
            opt.step()
            done += 1
    return net.eval()


def judge(net, table):
    """Logits as src/relate.c has them."""
    own, pairs, there = table.tensors()[:3]
    with torch.no_grad():
        said = 2 * own[:, 0]
        return torch.minimum(net(own, pairs, there), torch.maximum(said, (said + RAISE).clamp(max=0))).numpy()


def figures(score, label):
    from eval.subject import auc, hidden_at
    return {"auc": round(auc(score, label), 4), "hidden_at_93_kept": round(100 * hidden_at(score, label)[0], 1)}


def main():
    a, model, data = begin(__doc__, FILE, 640, labels=True)
    table = collect(model, data, a.long)
    label, picture = np.array(table.label) > 0.5, np.array(table.picture)
    counts, part = np.array(table.counts), np.random.default_rng(1).permutation(len(data))[picture] % 5
    folds = np.zeros(len(label))
    for k in range(5):
        folds[part == k] = judge(fit(table, np.flatnonzero(part != k), k), table)[part == k]
    before = np.array(table.own)[:, 0]
    print(json.dumps({"faces": int(counts.sum()), "network": figures(before[counts], label[counts]),
                      "relation, cross-validated": figures(folds[counts], label[counts])}))
    with open(a.out, "w", encoding="ascii") as f:
        f.write(fit(table, np.arange(len(label)), 1).text() + "\n")
    print(f"-> {a.out}")


if __name__ == "__main__":
    main()
