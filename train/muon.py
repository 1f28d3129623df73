"""Muon: momentum whose step is turned into the nearest orthogonal matrix, for convolution weights.

After Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon/), with the scale of Liu et al.
2025 (arXiv 2502.16982); three times AdamW's rate does best here all the same. Everything that is no
matrix (batch norm, biases) and the thin first and last layers stay with AdamW.
"""
import torch

STEEP = (3.4445, -4.7750, 2.0315)  # quintic whose iterates pull all singular values towards 1


def orthogonal(matrices, rounds=5):
    """Nearly the orthogonal factors of matrices (m,n) with m <= n, by Newton-Schulz iterations in
    bfloat16. Equal shapes go together: one matrix alone keeps no processor busy."""
    a, b, c = STEEP
    out = [None] * len(matrices)
    for shape in sorted({g.shape for g in matrices}):
        these = [i for i, g in enumerate(matrices) if g.shape == shape]
        x = torch.stack([(matrices[i] / (matrices[i].norm() + 1e-7)).bfloat16() for i in these])
        for _ in range(rounds):
            s = x @ x.mT
            x = torch.baddbmm(x, torch.baddbmm(s, s, s, beta=b, alpha=c), x, beta=a)
        for i, turned in zip(these, x):
            out[i] = turned.to(matrices[i].dtype)
    return out


def suits(p):
    """Convolution weights with enough rows on both sides for directions to matter."""
    return p.ndim == 4 and min(p.shape[0], p.shape[1]) >= 8


class Muon(torch.optim.Optimizer):
    """Parameter groups with `muon: True` take orthogonal steps, the others AdamW's."""

    def __init__(self, groups, lr, betas=(0.9, 0.99), momentum=0.95):
        super().__init__(groups, dict(lr=lr, betas=betas, momentum=momentum, weight_decay=0.0, muon=False, eps=1e-8))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            some = [p for p in group["params"] if p.grad is not None]
            for p in some:
                p.mul_(1 - group["lr"] * group["weight_decay"])
            if group["muon"]:
                self._turned(some, group)
            else:
                for p in some:
                    self._adam(p, p.grad, self.state[p], group)

    def _turned(self, some, group):
        steps, beta = [], group["momentum"]
        for p in some:
            state = self.state[p]
            if not state:
                state["momentum"] = torch.zeros_like(p)
            m = state["momentum"].lerp_(p.grad, 1 - beta)
            g = p.grad.lerp(m, beta).flatten(1)
            steps.append(g if g.shape[0] <= g.shape[1] else g.T)
        for p, g in zip(some, orthogonal(steps)):
            g = g if g.shape[0] == p.shape[0] else g.T
            scale = 0.2 * max(g.shape) ** 0.5  # the size that AdamW's steps have
            p.add_(g.reshape(p.shape), alpha=-group["lr"] * scale)

    @staticmethod
    def _adam(p, g, state, group):
        if not state:
            state["step"], state["mean"], state["square"] = 0, torch.zeros_like(p), torch.zeros_like(p)
        state["step"] += 1
        b1, b2 = group["betas"]
        state["mean"].lerp_(g, 1 - b1)
        state["square"].mul_(b2).addcmul_(g, g, value=1 - b2)
        k = state["step"]
        root = (state["square"] / (1 - b2 ** k)).sqrt_().add_(group["eps"])
        p.addcdiv_(state["mean"], root, value=-group["lr"] / (1 - b1 ** k))


def groups(model, decay):
    """Parameter groups of a network: turned matrices, other weights, the rest without decay."""
    all_of = list(model.parameters())
    return [{"params": [p for p in all_of if suits(p)], "weight_decay": decay, "muon": True},
            {"params": [p for p in all_of if p.ndim > 1 and not suits(p)], "weight_decay": decay},
            {"params": [p for p in all_of if p.ndim <= 1]}]
