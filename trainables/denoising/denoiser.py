"""A network that guesses an image and the noise in it, whatever of the two it was trained to predict.

Notation: x = alpha x_0 + sigma eps is what the network sees, y what it predicts, s the data's deviation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from trainables.denoising.described import Described
from trainables.denoising.paths import Path

Denoise = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""x at one time t (a tensor of shape ()) -> guesses of x_0 and eps, shaped like x. All that samplers need."""

PREDICTIONS = ("eps", "x0", "v", "edm", "flow")
NEAR = 1e-12
"""Amounts of data or noise below which the other is all there is."""


def target(prediction: str, alpha: Tensor, sigma: Tensor, s: float) -> tuple[Tensor, Tensor]:
    """p and q of what is predicted, y = p x_0 + q eps, shaped like alpha.

    v: alpha eps - sigma x_0 (Salimans & Ho 2022, arXiv:2202.00512, section 4).
    edm: (sigma/s x_0 - alpha s eps) / sqrt(sigma^2 + alpha^2 s^2), which for alpha = 1 is the F of Karras et
        al. 2022 (eq. 7 and table 1): with s = 1, and a path that preserves the variance, it is -v.
    flow: eps - x_0, the straight path's speed.
    """
    one, none = torch.ones_like(alpha), torch.zeros_like(alpha)
    match prediction:
        case "eps":
            return none, one
        case "x0":
            return one, none
        case "v":
            return -sigma, alpha
        case "edm":
            norm = (sigma**2 + (alpha * s) ** 2).sqrt()
            return sigma / s / norm, -alpha * s / norm
        case _:
            return -one, one


class Denoiser(Described):
    """`net` with its inputs scaled to variance 1, its noise level as (ln sigma/alpha) / 4, and its prediction
    solved for x_0 and eps.

    Args:
        net: called as net(x, noise of shape (n,), label or None, context or None), shaped like x.
        data_std: deviation s of the data.
        description: what its checkpoints say of it, so that it can be built anew from them alone.
    """

    def __init__(
        self,
        net: nn.Module,
        path: Path,
        prediction: str,
        data_std: float,
        description: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(description)
        self.net, self.path, self.prediction, self.data_std = net, path, prediction, data_std

    def forward(
        self, x: Tensor, t: Tensor, label: Tensor | None = None, context: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Guesses of x_0 and eps, float32; t has shape () or (n,)."""
        alpha, sigma = (like(one, x) for one in self.path.at(t))
        y = self._net(x, alpha, sigma, label, context)
        p, q = target(self.prediction, alpha, sigma, self.data_std)
        det = (alpha * q - sigma * p).clone()
        det = torch.where(det.abs() < NEAR, torch.full_like(det, NEAR), det)
        x = x.float()
        return (q * x - sigma * y) / det, (alpha * y - p * x) / det

    def loss(
        self, x0: Tensor, t: Tensor, eps: Tensor, label: Tensor | None = None, context: Tensor | None = None
    ) -> Tensor:
        """Mean squared error of the prediction.

        For eps that is the "simple" loss of Ho et al. (eq. 14), for edm that of Karras et al. (eq. 8).
        """
        alpha, sigma = (like(one, x0) for one in self.path.at(t))
        p, q = target(self.prediction, alpha, sigma, self.data_std)
        y = self._net(alpha * x0 + sigma * eps, alpha, sigma, label, context)
        return (y - (p * x0 + q * eps)).square().mean()

    def _net(
        self, x: Tensor, alpha: Tensor, sigma: Tensor, label: Tensor | None, context: Tensor | None
    ) -> Tensor:
        seen, level = standardised(x, alpha, sigma, self.data_std)
        found: Tensor = self.net(seen, level, label, context)
        return found.float()


def standardised(x: Tensor, alpha: Tensor, sigma: Tensor, s: float) -> tuple[Tensor, Tensor]:
    """What a network sees of images: scaled to variance 1, and their noise levels (ln sigma/alpha) / 4."""
    scale = ((alpha * s) ** 2 + sigma**2).rsqrt()
    level = (sigma.clamp(min=1e-6).log() - alpha.clamp(min=1e-6).log()).flatten() / 4
    return (x * scale).to(x), level.expand(len(x))


def like(value: Tensor, x: Tensor) -> Tensor:
    """A time's value (shape () or (n,)) as float32 that multiplies images x."""
    return value.to(x.device, torch.float32).view(-1, *(1,) * (x.ndim - 1))
