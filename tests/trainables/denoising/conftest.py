"""Exact guesses for data whose distribution is known, in the place of a network."""

from collections.abc import Callable

import pytest
import torch

from trainables.denoising.denoiser import Denoise
from trainables.denoising.paths import Path

torch.set_num_threads(1)
MEAN = torch.tensor([0.5, -1.0, 0.0], dtype=torch.float64)
DEVIATION = torch.tensor([0.5, 1.0, 0.2], dtype=torch.float64)


def gaussian(path: Path, mean: torch.Tensor = MEAN, deviation: torch.Tensor = DEVIATION) -> Denoise:
    """E[x_0 | x_t] and E[eps | x_t] of data N(mean, deviation^2)."""

    def denoise(x: torch.Tensor, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        alpha, sigma = path.level(t)
        x0 = mean + alpha * deviation**2 / (alpha**2 * deviation**2 + sigma**2) * (x - alpha * mean)
        eps = sigma / (alpha**2 * deviation**2 + sigma**2) * (x - alpha * mean)
        return x0, eps

    return denoise


@pytest.fixture
def exact() -> Callable[..., Denoise]:
    """`exact(path)`, or with another mean and deviation."""
    return gaussian


@pytest.fixture
def moments() -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation of the data that `exact` knows."""
    return MEAN, DEVIATION
