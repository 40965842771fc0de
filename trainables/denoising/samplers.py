"""From noise to images: DDIM (with DDPM's ancestral sampling in it), Heun, and the reverse SDE.

All take `denoise(x, t) -> (x_0, eps)`, a path, the noise to begin with, and falling times; after the last
they end with the guess of x_0 there.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from trainables.denoising.denoiser import Denoise
from trainables.denoising.paths import Path

SAMPLERS = ("ddim", "heun", "sde")


def noise(path: Path, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """What sampling begins with: normal with deviation sigma(end)."""
    _, sigma = path.level(torch.tensor(path.end, dtype=torch.float64))
    return sigma * torch.randn(shape, generator=generator, device=generator.device)


def sample(
    kind: str, denoise: Denoise, path: Path, x: Tensor, steps: int, eta: float, generator: torch.Generator
) -> Tensor:
    """Images from noise x by the sampler of that name; `eta` is DDIM's."""
    times = path.times(steps).to(x.device)
    match kind:
        case "ddim":
            return ddim(denoise, path, x, times, eta, generator)
        case "heun":
            return heun(denoise, path, x, times)
        case _:
            return reverse_sde(denoise, path, x, times, generator)


def ddim(
    denoise: Denoise, path: Path, x: Tensor, times: Tensor, eta: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:  # fmt: skip
    """Song et al. 2021 (arXiv:2010.02502), eq. 12, on any path: x_s = alpha_s x_0 + sqrt(sigma_s^2 - c^2) eps
    + c z, where c is `eta` times the deviation of q(x_s | x_t, x_0).

    eta = 0 is Euler's method for the probability-flow ODE; eta = 1 with all steps is DDPM's ancestral
    sampling (Ho et al. 2020, algorithm 2, with the posterior's variance, eq. 7).
    """
    for t, s in itertools.pairwise(times):
        x0, eps = denoise(x, t)
        mean, deviation = transition(path, x0, eps, t, s, eta)
        z = torch.randn(x.shape, generator=generator, device=x.device) if eta else torch.zeros(())
        x = mean + deviation * z.to(x)
    return denoise(x, times[-1])[0]


def transition(path: Path, x0: Tensor, eps: Tensor, t: Tensor, s: Tensor, eta: float) -> tuple[Tensor, float]:
    """Mean and deviation of DDIM's step from time t to s < t, given guesses at time t."""
    (alpha_t, sigma_t), (alpha_s, sigma_s) = path.level(t), path.level(s)
    kept = sigma_t**2 - (alpha_t / alpha_s) ** 2 * sigma_s**2  # variance that s -> t adds
    deviation = eta * sigma_s / sigma_t * max(kept, 0.0) ** 0.5
    return alpha_s * x0 + max(sigma_s**2 - deviation**2, 0.0) ** 0.5 * eps, deviation


def heun(denoise: Denoise, path: Path, x: Tensor, times: Tensor) -> Tensor:
    """The probability-flow ODE, dx = x_0 d(alpha) + eps d(sigma), by Heun's second-order method.

    Both integrals by the trapezoidal rule; with alpha = 1 it is algorithm 1 of Karras et al. 2022.
    """
    for t, s in itertools.pairwise(times):
        (alpha_t, sigma_t), (alpha_s, sigma_s) = path.level(t), path.level(s)
        a, b = alpha_s - alpha_t, sigma_s - sigma_t
        x0, eps = denoise(x, t)
        x0_s, eps_s = denoise(x + a * x0 + b * eps, s)
        x = x + a * (x0 + x0_s) / 2 + b * (eps + eps_s) / 2
    return denoise(x, times[-1])[0]


def reverse_sde(
    denoise: Denoise, path: Path, x: Tensor, times: Tensor, generator: torch.Generator | None = None
) -> Tensor:
    """dx = (f x - g^2 score) dt + g dW backwards in time by Euler-Maruyama (Song et al. 2021, eq. 6);
    score = -eps / sigma.

    Raises:
        ValueError: for a path that ends without any data, where the drift is infinite.
    """
    if path.level(times[0])[0] == 0:
        raise ValueError("the reverse SDE cannot begin where no data is left; take the sampler heun or ddim.")
    for t, s in itertools.pairwise(times):
        f, g2 = (float(value) for value in path.diffusion(t))
        _, sigma = path.level(t)
        _, eps = denoise(x, t)
        h = float(t - s)
        z = torch.randn(x.shape, generator=generator, device=x.device).to(x)
        x = x - h * (f * x + g2 / sigma * eps) + (h * g2) ** 0.5 * z
    return denoise(x, times[-1])[0]


def clipped(denoise: Denoise, path: Path, low: float = -1.0, high: float = 1.0) -> Denoise:
    """Guesses of x_0 held within the range of pixels, and eps made to agree with them."""

    def held(x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        alpha, sigma = path.level(t)
        x0 = denoise(x, t)[0].clamp(low, high)
        return x0, (x - alpha * x0) / sigma

    return held
