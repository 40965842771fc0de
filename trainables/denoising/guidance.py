"""Sampling what is wanted: guidance by the network itself or by a classifier of noisy images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from trainables.denoising.denoiser import Denoise
from trainables.denoising.paths import Path


def classifier_free(conditional: Denoise, unconditional: Denoise, w: float) -> Denoise:
    """(1 + w) times the conditional guess less w times the unconditional (Ho & Salimans 2022,
    arXiv:2207.12598, eq. 6).

    w = 0 is the conditional guess and w = -1 the unconditional, bit for bit, at the cost of one network.
    """
    if w == 0:
        return conditional
    if w == -1:
        return unconditional

    def guided(x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        (x0, eps), (x0_any, eps_any) = conditional(x, t), unconditional(x, t)
        return x0 + w * (x0 - x0_any), eps + w * (eps - eps_any)

    return guided


def by_classifier(
    denoise: Denoise, log_probability: Callable[[Tensor, Tensor], Tensor], path: Path, scale: float
) -> Denoise:
    """The score moved by `scale` times the gradient of log p(wanted class | x_t).

    Dhariwal & Nichol 2021 (arXiv:2105.05233), algorithm 2: eps <- eps - sigma grad. With scale = 1 and exact
    probabilities it is the score of that class.

    Args:
        log_probability: x and t to shape (n,).
    """
    if scale == 0:
        return denoise

    def guided(x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        alpha, sigma = path.level(t)
        with torch.enable_grad():
            noisy = x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(log_probability(noisy, t).sum(), noisy)
        x0, eps = denoise(x, t)
        return x0 + scale * sigma**2 / alpha * gradient, eps - scale * sigma * gradient

    return guided
