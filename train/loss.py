"""Assignment and loss for a whole batch at once, without padding.

Every face looks at the 5x5 cells around its centre on each level (75
candidates), so the work grows with the number of faces and not with
faces x cells. Which candidates become positive follows SimOTA: as many as the
sum of the best overlaps says, the cheapest first.
"""
import torch
import torch.nn.functional as F

from .model import STRIDES, decode_boxes, flatten, grid

# Longest box side, in pixels, that a level may take: [low, high]
RANGE = {8: (0, 96), 16: (16, 256), 32: (40, 1e9)}
TOPK = 10
TAUGHT = 1.0  # weight of what a larger network says beside what people say
TINY = 0.04  # of the short side


def iou_and_diou(a, b):
    """IoU and distance-IoU of boxes (...,4) x1 y1 x2 y2."""
    tl, br = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    inter = (br - tl).clamp(min=0).prod(-1)
    sa, sb = (a[..., 2:] - a[..., :2]), (b[..., 2:] - b[..., :2])
    iou = inter / (sa.prod(-1) + sb.prod(-1) - inter + 1e-7)
    hull = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
    d = (a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2
    return iou, iou - (d ** 2).sum(-1) / ((hull ** 2).sum(-1) + 1e-7)


class DetectionLoss:
    """loss(outputs, batch) -> (total, {name: float})."""

    def __init__(self, box=2.0, label=0.0):
        self.box, self.label = box, label

    def candidates(self, faces, h, w):
        """Cell index (N,75), validity (N,75) and centre distance in cells."""
        cx, cy = (faces[:, 1] + faces[:, 3]) / 2, (faces[:, 2] + faces[:, 4]) / 2
        fw, fh = faces[:, 3] - faces[:, 1], faces[:, 4] - faces[:, 2]
        long = torch.maximum(fw, fh)
        o = torch.arange(-2, 3, device=faces.device)
        oy, ox = (t.reshape(1, -1) for t in torch.meshgrid(o, o, indexing="ij"))
        start, index, valid, far = 0, [], [], []
        for s in STRIDES:
            gw, gh = w // s, h // s
            gx, gy = (cx / s).long()[:, None] + ox, (cy / s).long()[:, None] + oy
            dx, dy = ((gx + 0.5) * s - cx[:, None]).abs(), ((gy + 0.5) * s - cy[:, None]).abs()
            lo, hi = RANGE[s]
            ok = (gx >= 0) & (gx < gw) & (gy >= 0) & (gy < gh) & ((long >= lo) & (long <= hi))[:, None]
            ok &= (dx <= (fw / 2).clamp(min=0.75 * s)[:, None]) & (dy <= (fh / 2).clamp(min=0.75 * s)[:, None])
            index.append(start + gy.clamp(0, gh - 1) * gw + gx.clamp(0, gw - 1))
            valid.append(ok)
            far.append(torch.hypot(dx, dy) / s)
            start += gw * gh
        return torch.cat(index, 1), torch.cat(valid, 1), torch.cat(far, 1)

    @torch.no_grad()
    def assign(self, raw, faces, centres, strides, h, w):
        """Positive cells: (picture, cell, face)."""
        cells = raw.shape[1]
        index, valid, far = self.candidates(faces, h, w)
        picture = faces[:, 0].long()[:, None].expand_as(index)
        r = raw[picture, index]
        iou, _ = iou_and_diou(decode_boxes(r, centres[index], strides[index]), faces[:, None, 1:5])
        iou = iou * valid
        cost = F.softplus(-r[..., 4]) + 3 * -(iou + 1e-6).log() + 10 ** (far - 2.5)
        cost = cost.masked_fill(~valid, float("inf"))
        k = iou.topk(TOPK, 1)[0].sum(1).long().clamp(min=1)
        best, which = cost.topk(TOPK, 1, largest=False)
        chosen = (torch.arange(TOPK, device=k.device)[None] < k[:, None]) & best.isfinite()
        face = torch.arange(len(faces), device=k.device)[:, None].expand_as(which)[chosen]
        cell = index.gather(1, which)[chosen]
        best = best[chosen]
        # a cell that several faces want goes to the one it suits best
        key = faces[face, 0].long() * cells + cell
        low = torch.full((raw.shape[0] * cells,), float("inf"), device=raw.device)
        low.scatter_reduce_(0, key, best, "amin")
        mine = best <= low[key]
        return faces[face[mine], 0].long(), cell[mine], face[mine]

    def __call__(self, outputs, batch):
        h, w = batch["images"].shape[1:3]
        raw, faces = flatten(outputs), batch["faces"]
        centres, strides = grid(h, w, raw.device)
        b, c, f = self.assign(raw.detach(), faces, centres, strides, h, w)
        r = raw[b, c]
        iou, diou = iou_and_diou(decode_boxes(r, centres[c], strides[c]), faces[f, 1:5])
        target = torch.zeros(raw.shape[:2], device=raw.device)
        target[b, c] = iou.detach().clamp(0, 1)
        weight = batch["weight"].float() / 255
        weight[b, c] = 1.0
        logit = raw[..., 4]
        n = max(1.0, float(len(b)))
        quality = (target - logit.sigmoid()).abs() ** 2
        face = (F.binary_cross_entropy_with_logits(logit, target, reduction="none") * quality * weight).sum() / n
        box = (1 - diou).sum() / n
        total = face + self.box * box
        like = self.imitate(raw, batch, centres, strides) if "taught" in batch else None
        parts = {"face": float(face.detach()), "box": float(box.detach()), "positives": len(b)}
        if self.label:
            lab, lw = faces[f, 5], faces[f, 6]
            # a tiny face is background by its size alone; what is to be learnt is the rest
            tiny = faces[f, 4] - faces[f, 2] < TINY * min(h, w)
            lw = lw * (lab >= 0) * torch.where(tiny, 0.25, 1.0)
            bce = F.binary_cross_entropy_with_logits(r[:, 5], lab.clamp(min=0), reduction="none")
            interview = (bce * lw).sum() / lw.sum().clamp(min=1.0)
            total = total + self.label * interview
            parts["label"] = float(interview.detach())
        if like is not None:
            total = total + TAUGHT * like
            parts["taught"] = float(like.detach())
        return total, parts

    def imitate(self, raw, batch, centres, strides):
        """What is other than in the larger network's raw cells: scores everywhere, boxes and classes where
        it sees faces, the class only in whole pictures, where it means something."""
        taught = batch["taught"]
        says = taught[..., 4].sigmoid()
        logit = raw[..., 4]
        n = says.sum().clamp(min=1.0)
        distance = (says - logit.sigmoid()).abs() ** 2
        total = (F.binary_cross_entropy_with_logits(logit, says, reduction="none") * distance).sum() / n
        b, c = (says > 0.1).nonzero(as_tuple=True)
        w, r, t = says[b, c], raw[b, c], taught[b, c]
        theirs = decode_boxes(t, centres[c], strides[c])
        _, diou = iou_and_diou(decode_boxes(r, centres[c], strides[c]), theirs)
        total = total + self.box * ((1 - diou) * w).sum() / n
        if self.label and bool((batch["faces"][:, 6] > 0).any()):
            bce = F.binary_cross_entropy_with_logits(r[:, 5], t[:, 5].sigmoid(), reduction="none")
            total = total + self.label * (bce * w).sum() / n
        return total
