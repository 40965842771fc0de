"""Vector quantisation: every vector becomes the nearest of a codebook's (van den Oord et al. 2017,
arXiv:1711.00937).

The codes follow the vectors that they stand for, either by a loss (eq. 3) or as moving averages (appendix
A.1), and codes that nobody uses are moved to where there is use. All that is decided by sums over the samples
of a whole step, so that it is the same for any number of ranks and passes.

Notation: K codes e of size D; z vectors; N how often a code is used a step, m the sum of the vectors that it
stands for, both averaged over steps.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RULES = ("ema", "loss")
APART = 0.01
"""How far a moved code lies from its origin, in deviations of the codes."""


class Codebook(nn.Module):
    """K codes, of size D; in the beginning all near 0.

    Args:
        rule: "ema" or "loss".
        decay: of the averages N and m; with 0 and "ema" a step is one of k-means.
        restart: codes used less than this share of the mean use are moved; 0: never.
        passes: how many calls make a step, in training.
        over_ranks: sums a tensor over ranks, in place.
    """

    codes: Tensor
    used: Tensor
    """N, shape (K,)."""
    sums: Tensor
    """m, shape (K, D)."""
    steps: Tensor

    def __init__(
        self, count: int, size: int, rule: str = "ema", decay: float = 0.99, restart: float = 0.1,
        passes: int = 1, over_ranks: Callable[[Tensor], Tensor] = lambda tensor: tensor,
    ) -> None:  # fmt: skip
        super().__init__()
        codes = torch.randn(count, size) * APART
        self.rule, self.decay, self.restart, self.passes = rule, decay, restart, passes
        self.over_ranks = over_ranks
        if rule == "loss":
            self.codes = nn.Parameter(codes)
        else:
            self.register_buffer("codes", codes)
        self.register_buffer("used", torch.zeros(count))
        self.register_buffer("sums", torch.zeros(count, size))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self._seen: list[tuple[Tensor, Tensor]] = []
        """Counts and sums of this step's passes so far; empty between steps."""

    def nearest(self, z: Tensor) -> Tensor:
        """Numbers of the nearest codes, shape (...), for vectors (..., D).

        Measured in float64: codes lie close to one another at first, where float32 would leave the choice to
        rounding, which differs with the number of ranks.
        """
        with torch.autocast(z.device.type, enabled=False):
            flat, codes = z.detach().double().reshape(-1, z.shape[-1]), self.codes.detach().double()
            # |z - e|^2 without |z|^2, which is the same for all codes
            distances = torch.addmm(codes.square().sum(1), flat, codes.T, alpha=-2)
        return distances.argmin(1).view(z.shape[:-1])

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Quantised vectors (..., D), whose gradient goes straight through to z; the codes' numbers (...);
        and two mean squared distances: of z to the codes, held fixed, and of the codes to z, held fixed."""
        numbers = self.nearest(z)
        z = z.float()
        chosen = F.embedding(numbers, self.codes)
        commitment = (z - chosen.detach()).square().mean()
        pull = (chosen - z.detach()).square().mean()
        if self.training:
            self._count(z.detach().reshape(-1, z.shape[-1]), numbers.reshape(-1))
        return z + (chosen - z).detach(), numbers, commitment, pull

    @torch.no_grad()
    def _count(self, z: Tensor, numbers: Tensor) -> None:
        counts = torch.bincount(numbers, minlength=len(self.codes)).float()
        sums = torch.zeros_like(self.sums).index_add_(0, numbers, z)
        self._seen.append((counts, sums))
        if len(self._seen) == self.passes:
            every = [torch.stack(each).sum(0) for each in zip(*self._seen, strict=True)]
            self._seen.clear()
            total = self.over_ranks(torch.cat([every[0][:, None], every[1]], dim=1))
            self._follow(total[:, 0], total[:, 1:])

    def _follow(self, counts: Tensor, sums: Tensor) -> None:
        """One step of the averages; N <- decay N + (1 - decay) n, the same for m, e = m / N (eq. 6-8)."""
        first = int(self.steps) == 0
        self.used.lerp_(counts, 1.0 if first else 1 - self.decay)
        self.sums.lerp_(sums, 1.0 if first else 1 - self.decay)
        if self.rule == "ema":
            alive = self.used > 1e-6
            means = self.sums / self.used.clamp(min=1e-6)[:, None]
            self.codes.copy_(torch.where(alive[:, None], means, self.codes))
        if self.restart:
            self._revive()
        self.steps += 1

    def _revive(self) -> None:
        """A code hardly used becomes a near copy of one that is, drawn by use, and they share its use.

        As Linde, Buzo & Gray (1980) split codes. It needs no vectors of the batch, so that ranks agree
        without exchanging any: N are averages of whole numbers, which have no rounding to differ in.
        """
        dead = torch.nonzero(self.used < self.restart * self.used.mean())[:, 0]
        if not len(dead):
            return
        generator = torch.Generator().manual_seed(int(self.steps))
        use = self.used.cpu().clone()
        use[dead.cpu()] = 0
        origin = torch.multinomial(use, len(dead), replacement=True, generator=generator).to(dead.device)
        noise = torch.randn(len(dead), self.codes.shape[1], generator=generator).to(dead.device)
        codes = self.codes.data
        shares = 1 + torch.bincount(origin, minlength=len(codes)).float()
        codes[dead] = codes[origin] + APART * codes.std() * noise
        self.used /= shares
        self.used[dead] = self.used[origin]
        self.sums.copy_(torch.where(shares[:, None] > 1, codes * self.used[:, None], self.sums))
        self.sums[dead] = codes[dead] * self.used[dead, None]


def perplexity(counts: Tensor) -> Tensor:
    """exp of the entropy of the codes' use: from 1, one code for everything, to K, all alike."""
    p = counts.double() / counts.sum()
    return torch.exp(-torch.special.xlogy(p, p).sum())
