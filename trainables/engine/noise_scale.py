"""Gradient noise scale: how many samples a step needs before its gradient is more signal than noise
(McCandlish et al. 2018, arXiv:1812.06162, section 2.2 and appendix A.1).

    B = tr(S) / |G|^2        S: covariance of one sample's gradient, G: the gradient of all samples

A step that is made of several passes, or of several ranks' parts, shows gradients of two batch sizes. A
gradient over b samples has E|g|^2 = |G|^2 + tr(S) / b, and two such equations give both unknowns. Each step's
estimates have no bias and much variance, so that they are averaged before they are divided.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from trainables.engine.ddp import Ranks


class NoiseScale:
    """Sums over the measured steps of one report."""

    def __init__(self) -> None:
        self.variance = self.square = 0.0
        self.steps = 0

    def add(self, parts: float, inverse: float, whole: float, samples: int) -> None:
        """One step.

        Args:
            parts: mean of |g|^2 over its parts.
            inverse: mean of 1/b over its parts, b the samples of a part.
            whole: |g|^2 of the step.
            samples: of the step.
        """
        variance = (parts - whole) / (inverse - 1 / samples)
        self.variance += variance
        self.square += whole - variance / samples
        self.steps += 1

    def report(self) -> dict[str, float]:
        """`grad_variance` and `grad_square`, the means of tr(S) and |G|^2, and `noise_scale` where both are
        above 0; few steps may leave one below. Empty: nothing was measured."""
        if not self.steps:
            return {}
        variance, square = self.variance / self.steps, self.square / self.steps
        found = {"grad_variance": variance, "grad_square": square}
        return found | {"noise_scale": variance / square} if variance > 0 and square > 0 else found


class Passes:
    """The gradients of one step, taken from the parameters pass by pass and put back as their sum.

    Nothing is exchanged between ranks until then; it costs one copy of the gradients.

    Args:
        params: of the model, on this rank.
        ranks: all ranks.
        samples: of the step.
        scale: that of the loss, under fp16.
    """

    def __init__(
        self, params: Sequence[torch.Tensor], ranks: Ranks, samples: int, scale: float = 1.0
    ) -> None:
        self.params, self.ranks, self.samples, self.scale = params, ranks, samples, scale
        self._sum: list[torch.Tensor | None] = [None for _ in params]
        self._told = torch.zeros(3, dtype=torch.float64, device=ranks.device)  # |g|^2, 1/b, parts

    def keep(self, weight: float) -> None:
        """Take this rank's part of a pass, whose loss counted `weight` in the step's mean over samples."""
        grads = [p.grad for p in self.params if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(grads).double() / (weight * self.ranks.size * self.scale)
        one = torch.ones((), dtype=torch.float64, device=norm.device)
        self._told += torch.stack([norm.square(), one / (weight * self.samples), one])
        for i, p in enumerate(self.params):
            before = self._sum[i]
            if p.grad is not None:
                self._sum[i] = p.grad if before is None else before.add_(p.grad)
            p.grad = None

    def put_back(self, noise: NoiseScale) -> None:
        """Leave the step's gradient in the parameters, its mean over ranks, and tell `noise` of it."""
        several = self.ranks.size > 1
        whole = [
            torch.zeros_like(p) if one is None and several else one
            for p, one in zip(self.params, self._sum, strict=True)
        ]
        there = [i for i, one in enumerate(whole) if one is not None]
        averaged = self.ranks.average([one for one in whole if one is not None])
        for i, one in zip(there, averaged, strict=True):
            self.params[i].grad = one
        norm = float(torch.nn.utils.get_total_norm(averaged)) / self.scale
        squares, inverses, parts = self.ranks.sum(self._told).tolist()
        noise.add(squares / parts, inverses / parts, norm**2, self.samples)
