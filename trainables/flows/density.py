"""A density of images from an invertible map to noise: log p(x) = log p(z) + log |dz/dx|."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, kw_only=True, slots=True)
class Prior:
    """What each number of the noise is drawn from."""

    log_density: Callable[[Tensor], Tensor]
    quantile: Callable[[Tensor], Tensor]
    deviation: float


PRIORS = {
    "normal": Prior(
        log_density=lambda z: -0.5 * (z.square() + math.log(2 * math.pi)),
        quantile=torch.special.ndtri,
        deviation=1.0,
    ),
    "logistic": Prior(
        log_density=lambda z: -F.softplus(z) - F.softplus(-z),
        quantile=torch.logit,
        deviation=math.pi / math.sqrt(3),
    ),
}


class Density(nn.Module):
    """Pixels are brought to the prior's mean and deviation, then through `bijection`, and must then look like
    draws from the prior.

    Args:
        mean, deviation: of each pixel of the dequantised training images, shape (channels, height, width).
        bijection: has forward(x) -> (z, log-determinant (n,)) and inverse(z) -> x.
        prior: one of PRIORS.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Tensor, deviation: Tensor, bijection: nn.Module, prior: str) -> None:
        super().__init__()
        self.bijection, self.prior = bijection, PRIORS[prior]
        self.register_buffer("mean", mean)
        self.register_buffer("scale", deviation / self.prior.deviation)

    def forward(self, x: Tensor) -> Tensor:
        """Natural log of the density of each image, shape (n,)."""
        z, gained = self.bijection((x - self.mean) / self.scale)
        return self.prior.log_density(z).flatten(1).sum(1) + gained - self.scale.log().sum()

    def sample(self, u: Tensor) -> Tensor:
        """Images like u, whose numbers are uniform draws in (0, 1)."""
        found: Tensor = self.bijection.inverse(self.prior.quantile(u))  # type: ignore[operator]  # see the class
        return found * self.scale + self.mean
