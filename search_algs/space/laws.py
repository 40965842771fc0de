"""One-dimensional laws: the inverse of the distribution function and the function itself, for single floats.

Notation: u in [0, 1] is the unit coordinate, x the value, `ppf(u) = x` the inverse distribution function,
`cdf(x) = u`. Plain floats, not arrays: a suggestion decodes one point, where a NumPy call costs more than the
arithmetic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from scipy import special

TAIL = 7.1
"""Standard deviations that an unbounded law reaches (the unit interval is resolved to 2^-40, see
domains.py)."""


@dataclass(frozen=True, slots=True)
class Uniform:
    """U[low, high]."""

    low: float
    high: float
    log: ClassVar[bool] = False
    bounded: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and math.isfinite(self.high - self.low)):
            raise ValueError(f"the bounds {self.low} and {self.high} must be finite")
        if self.low > self.high:
            raise ValueError(f"the lower bound {self.low} is above the upper bound {self.high}; swap them")

    def ppf(self, u: float) -> float:
        """Low at u = 0 and high at u = 1, exactly."""
        return self.high if u >= 1.0 else min(self.high, self.low + u * (self.high - self.low))

    def cdf(self, x: float) -> float:
        """0.5 for the single value of an interval of no width."""
        return (x - self.low) / (self.high - self.low) if self.high > self.low else 0.5


@dataclass(frozen=True, slots=True)
class LogUniform:
    """exp(U[log low, log high])."""

    low: float
    high: float
    log: ClassVar[bool] = True
    bounded: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (0 < self.low < math.inf and math.isfinite(self.high)):
            raise ValueError(
                f"the bounds {self.low} and {self.high} of a logarithmic range must be positive and finite"
            )
        if self.low > self.high:
            raise ValueError(f"the lower bound {self.low} is above the upper bound {self.high}; swap them")

    def ppf(self, u: float) -> float:
        """Low at u = 0 and high at u = 1, exactly."""
        if u <= 0.0:
            return self.low
        if u >= 1.0:
            return self.high
        bottom = math.log(self.low)
        return min(self.high, max(self.low, math.exp(bottom + u * (math.log(self.high) - bottom))))

    def cdf(self, x: float) -> float:
        """0 for x <= 0."""
        if x <= 0.0:
            return 0.0
        bottom = math.log(self.low)
        width = math.log(self.high) - bottom
        return (math.log(x) - bottom) / width if width > 0 else 0.5


@dataclass(frozen=True, slots=True)
class Normal:
    """N(mu, sigma^2), cut at about seven standard deviations."""

    mu: float
    sigma: float
    log: ClassVar[bool] = False
    bounded: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mu) and 0 < self.sigma < math.inf):
            raise ValueError(f"mu = {self.mu} must be finite and sigma = {self.sigma} positive and finite")

    def ppf(self, u: float) -> float:
        """Infinite at the ends, which the domains never ask for."""
        return self.mu + self.sigma * float(special.ndtri(u))

    def cdf(self, x: float) -> float:
        """The error function's accuracy."""
        return float(special.ndtr((x - self.mu) / self.sigma))


@dataclass(frozen=True, slots=True)
class LogNormal:
    """exp(N(mu, sigma^2)), cut at about seven standard deviations."""

    mu: float
    sigma: float
    log: ClassVar[bool] = True
    bounded: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mu) and 0 < self.sigma < math.inf):
            raise ValueError(f"mu = {self.mu} must be finite and sigma = {self.sigma} positive and finite")
        if abs(self.mu) + TAIL * self.sigma > 700:
            raise ValueError(
                f"exp({self.mu} + 7 * {self.sigma}) overflows; mu and sigma belong to the "
                "logarithm of the value"
            )

    def ppf(self, u: float) -> float:
        """Infinite at the upper end, which the domains never ask for."""
        return math.exp(self.mu + self.sigma * float(special.ndtri(u)))

    def cdf(self, x: float) -> float:
        """0 for x <= 0."""
        return float(special.ndtr((math.log(x) - self.mu) / self.sigma)) if x > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Beta:
    """Beta(a, b) on [0, 1]."""

    a: float
    b: float
    log: ClassVar[bool] = False
    bounded: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (0 < self.a < math.inf and 0 < self.b < math.inf):
            raise ValueError(f"a = {self.a} and b = {self.b} must be positive and finite")

    def ppf(self, u: float) -> float:
        """0 at u = 0 and 1 at u = 1; what SciPy cannot tell from 0 (below 1e-300) is 0."""
        x = float(special.betaincinv(self.a, self.b, u))
        return x if x > 1e-300 else 0.0

    def cdf(self, x: float) -> float:
        """0 below and 1 above the unit interval."""
        return float(special.betainc(self.a, self.b, min(1.0, max(0.0, x))))


Law = Uniform | LogUniform | Normal | LogNormal | Beta
