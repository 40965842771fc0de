"""The exact log-likelihood of images under the probability-flow ODE.

Song et al. 2021 (arXiv:2011.13456), eq. 39: log p(x at start) = log p(x at end) + integral of the divergence
of the speed along the way.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from trainables.denoising.denoiser import Denoise
from trainables.denoising.paths import Path


def log_likelihood(
    denoise: Denoise, path: Path, x: Tensor, steps: int, probes: int | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:  # fmt: skip
    """Natural log of the density of each image, shape (n,), by Heun's method from data to noise.

    Args:
        probes: random signs by which the divergence is estimated without bias (Hutchinson); None: exactly, by
            one derivative for each pixel.
    """
    times = path.times(steps + 1).flip(0).to(x.device)
    gained = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    signs = None
    if probes is not None:
        bits = torch.randint(0, 2, (probes, *x.shape), generator=generator, device=x.device)
        signs = bits.to(x.dtype) * 2 - 1
    for t, s in itertools.pairwise(times):
        h = float(s - t)
        speed, divergence = _speed(denoise, path, x, t, signs)
        speed_s, divergence_s = _speed(denoise, path, x + h * speed, s, signs)
        x = x + h / 2 * (speed + speed_s)
        gained += h / 2 * (divergence + divergence_s).double()
    _, sigma = path.level(times[-1])
    flat = x.flatten(1).double() / sigma
    prior = -0.5 * flat.square().sum(1) - flat.shape[1] * math.log(sigma * math.sqrt(2 * math.pi))
    return prior + gained


def bits_per_dim(log_density: Tensor, dimensions: int, bin_width: float) -> Tensor:
    """Bits that a pixel costs, from densities of images dequantised by noise of one bin's width."""
    return -log_density / (dimensions * math.log(2)) - math.log2(bin_width)


def _speed(denoise: Denoise, path: Path, x: Tensor, t: Tensor, signs: Tensor | None) -> tuple[Tensor, Tensor]:
    """alpha' x_0 + sigma' eps and its divergence, shape (n,)."""
    a, b = (float(value) for value in path.slopes(t))
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        x0, eps = denoise(x, t)
        speed = a * x0 + b * eps
        if signs is None:
            flat = speed.flatten(1)
            each = [
                torch.autograd.grad(flat[:, i].sum(), x, retain_graph=True)[0].flatten(1)[:, i]
                for i in range(flat.shape[1])
            ]
            divergence = torch.stack(each).sum(0)
        else:
            each = [
                (torch.autograd.grad((speed * e).sum(), x, retain_graph=True)[0] * e).flatten(1).sum(1)
                for e in signs
            ]
            divergence = torch.stack(each).mean(0)
    return speed.detach(), divergence.detach()
