"""Neural spline flows (Durkan et al. 2019, arXiv:1906.04032) as zuko builds them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainables.flows.couplings import Shape

MISSING = "zuko is not installed: pip install 'starling-sweeps[zuko]' (1 MB)."


class Splines(nn.Module):
    """Every pixel through a monotonic rational-quadratic spline on [-5, 5]; the identity beyond.

    Args:
        layers: how many times all pixels are transformed.
        bins: pieces of a spline.
        width, depth: of the masked network that says the splines of a pixel from those before it.
        coupling: one half of the pixels from the other, which is inverted in two passes; otherwise each
            from all before it, which is inverted in as many passes as there are pixels and fits better.
    """

    def __init__(self, shape: Shape, layers: int, bins: int, width: int, depth: int, coupling: bool) -> None:
        super().__init__()
        try:
            import zuko  # here, because it is optional and changes settings of torch
        except ImportError as error:
            raise ValueError(MISSING) from error

        channels, height, column = shape
        flow = zuko.flows.NSF(
            channels * height * column, transforms=layers, bins=bins, hidden_features=[width] * depth,
            passes=2 if coupling else None,
        )  # fmt: skip
        self.transform = flow.transform

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """z like x, and the log-determinant of dz/dx, shape (n,), in float32 whatever the autocast."""
        with torch.autocast(x.device.type, enabled=False):
            z, gained = self.transform().call_and_ladj(x.flatten(1))
        return z.view(x.shape), gained

    def inverse(self, z: Tensor) -> Tensor:
        """x from z."""
        with torch.autocast(z.device.type, enabled=False):
            found: Tensor = self.transform().inv(z.flatten(1))
        return found.view(z.shape)
