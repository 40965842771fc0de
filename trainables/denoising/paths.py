"""Paths from data to noise: x_t = alpha(t) x_0 + sigma(t) eps, t in (0, 1], eps standard normal.

As a diffusion dx = f x dt + g dW: f = (ln alpha)', g^2 = (sigma^2)' - 2 f sigma^2 (Song et al. 2021,
arXiv:2011.13456, eq. 5 and 29; Kingma et al. 2021, arXiv:2107.00630, eq. 2).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Path:
    """Times are tensors of float64, whatever the precision of the images."""

    start: float = 1e-3
    """The smallest time: below it a network learns nothing new."""
    end: float = 1.0
    """The largest: there data and noise can no longer be told apart, nearly."""

    def at(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """alpha(t) and sigma(t), shaped like t."""
        raise NotImplementedError

    def level(self, t: Tensor) -> tuple[float, float]:
        """The same at one time, as numbers."""
        alpha, sigma = self.at(t)
        return float(alpha), float(sigma)

    def slopes(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """alpha'(t) and sigma'(t): the speed of the probability-flow ODE is alpha' x_0 + sigma' eps."""
        with torch.enable_grad():
            t = t.detach().requires_grad_()
            both = [(one + 0 * t).sum() for one in self.at(t)]  # alpha may not depend on t
            alpha, sigma = (torch.autograd.grad(one, t, retain_graph=True)[0] for one in both)
        return alpha, sigma

    def diffusion(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """f(t) and g^2(t), shaped like t."""
        (alpha, sigma), (d_alpha, d_sigma) = self.at(t), self.slopes(t)
        f = d_alpha / alpha
        return f, 2 * sigma * d_sigma - 2 * f * sigma**2

    def draw(self, u: Tensor) -> Tensor:
        """Training times from uniform draws in (0, 1)."""
        return self.start + u.double() * (self.end - self.start)

    def times(self, steps: int) -> Tensor:
        """`steps` times from `end` down to `start`; after the last a sampler goes to x_0 itself."""
        return self.start + torch.linspace(1, 0, steps, dtype=torch.float64) ** 2 * (self.end - self.start)


class Steps(Path):
    """The discrete path of DDPM: T noising steps of variances beta, alpha_i^2 = prod (1 - beta).

    "linear" from 1e-4 to 0.02 at T = 1,000 (Ho et al. 2020, arXiv:2006.11239, section 4), rescaled by 1,000/T
    for other T; "cosine" as Nichol & Dhariwal 2021 (arXiv:2102.09672), eq. 17, beta at most 0.999.
    """

    def __init__(self, schedule: str = "linear", count: int = 1000) -> None:
        i = torch.arange(count + 1, dtype=torch.float64)
        if schedule == "linear":
            scale = 1000 / count
            betas = torch.linspace(1e-4 * scale, 0.02 * scale, count, dtype=torch.float64)
        else:
            bar = torch.cos((i / count + 0.008) / 1.008 * math.pi / 2) ** 2
            betas = 1 - bar[1:] / bar[:-1]
        self.betas = betas.clamp(max=0.999)
        """Shape (T,): of step 1, ..., T."""
        bar = torch.cat([torch.ones(1, dtype=torch.float64), torch.cumprod(1 - self.betas, 0)])
        self.count, self.table = count, torch.stack([bar.sqrt(), (1 - bar).sqrt()])
        self.start = 1 / count

    def at(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """At step round(t T)."""
        if self.table.device != t.device:  # once, not at every step
            self.table = self.table.to(t.device)
        alpha, sigma = self.table[:, (t * self.count).round().long()]
        return alpha, sigma

    def slopes(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """There are none."""
        raise ValueError("a path of discrete steps is no SDE; take vp, which is its limit for many steps.")

    def draw(self, u: Tensor) -> Tensor:
        """One of 1/T, 2/T, ..., 1, equally likely."""
        return (u.double() * self.count).ceil().clamp(1, self.count) / self.count

    def times(self, steps: int) -> Tensor:
        """Evenly spaced steps, T the first of them."""
        if steps > self.count:
            raise ValueError(
                f"`steps` is {steps}, and the network knows {self.count} noise levels; take at most as many."
            )
        return (torch.arange(steps, 0, -1, dtype=torch.float64) * self.count / steps).round() / self.count


class VP(Path):
    """Variance preserving: alpha = exp(-B/2), B = beta_0 t + (beta_1 - beta_0) t^2 / 2 (Song et al., eq. 33).

    The limit of "linear" for many steps, with beta from 0.1 to 20.
    """

    def __init__(self, beta_min: float = 0.1, beta_max: float = 20.0) -> None:
        self.beta_min, self.beta_max = beta_min, beta_max

    def _log_alpha(self, t: Tensor) -> Tensor:
        return -0.25 * t**2 * (self.beta_max - self.beta_min) - 0.5 * t * self.beta_min

    def at(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """alpha^2 + sigma^2 = 1."""
        log = self._log_alpha(t)
        return log.exp(), (-torch.expm1(2 * log)).sqrt()


class SubVP(VP):
    """sigma = 1 - alpha^2: less noise than VP for the same alpha (Song et al., eq. 29)."""

    def at(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """sigma is the variance of VP."""
        log = self._log_alpha(t)
        return log.exp(), -torch.expm1(2 * log)


class Cosine(Path):
    """alpha = cos(pi t / 2): variance preserving, the noise's angle grows evenly (Salimans & Ho 2022)."""

    end = 0.999

    def at(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and sine."""
        return torch.cos(t * math.pi / 2), torch.sin(t * math.pi / 2)

    def times(self, steps: int) -> Tensor:
        """Evenly spaced."""
        return torch.linspace(self.end, self.start, steps, dtype=torch.float64)


class VE(Path):
    """Variance exploding: alpha = 1, sigma geometric from `low` to `high` (Song et al., eq. 30)."""

    start = 0.0

    def __init__(self, low: float = 0.01, high: float = 20.0) -> None:
        self.low, self.high = low, high

    def at(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """sigma = low (high / low)^t."""
        return torch.ones_like(t), self.low * torch.exp(t * math.log(self.high / self.low))

    def times(self, steps: int) -> Tensor:
        """Evenly spaced: sigma is geometric already."""
        return torch.linspace(1, 0, steps, dtype=torch.float64)


class EDM(Path):
    """alpha = 1 and Karras et al. 2022 (arXiv:2206.00364): even steps in t are their sampling levels (eq. 5).

    Training levels are log-normal, ln sigma ~ N(-1.2, 1.2^2) (table 1), within [low, high].
    """

    start = 0.0
    RHO, MEAN, DEVIATION = 7.0, -1.2, 1.2

    def __init__(self, low: float = 0.002, high: float = 80.0) -> None:
        self.low, self.high = low, high

    def at(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """sigma^(1/7) grows evenly."""
        a, b = self.low ** (1 / self.RHO), self.high ** (1 / self.RHO)
        return torch.ones_like(t), (a + t * (b - a)) ** self.RHO

    def draw(self, u: Tensor) -> Tensor:
        """The time at which sigma is the log-normal's quantile u."""
        log = self.MEAN + self.DEVIATION * torch.special.ndtri(u.double())
        a, b = self.low ** (1 / self.RHO), self.high ** (1 / self.RHO)
        return ((torch.exp(log / self.RHO) - a) / (b - a)).clamp(0, 1)

    def times(self, steps: int) -> Tensor:
        """Their eq. 5."""
        return torch.linspace(1, 0, steps, dtype=torch.float64)


class Flow(Path):
    """The straight path of flow matching, x_t = (1 - t) x_0 + t eps (Lipman et al. 2023, arXiv:2210.02747,
    with time reversed)."""

    def at(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """1 - t and t."""
        return 1 - t, t

    def times(self, steps: int) -> Tensor:
        """Evenly spaced: the path is straight."""
        return torch.linspace(1, self.start, steps, dtype=torch.float64)


PATHS: dict[str, type[Path]] = {
    "vp": VP, "subvp": SubVP, "ve": VE, "cosine": Cosine, "edm": EDM, "flow": Flow,
}  # fmt: skip
