"""How well images come back."""

from __future__ import annotations

import torch
from torch import Tensor


def psnr(found: Tensor, wanted: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in decibels of each image, shape (n,); pixels from -1 to 1."""
    error = (found - wanted).square().flatten(1).mean(1)
    return 10 * torch.log10(4 / error.clamp(min=1e-10))
