"""Distributions beyond Ray's, with exactly W&B's semantics, usable in any Tune `param_space`.

`round(r / q) * q` is not clipped to the bounds, and is an int if and only if q is one. Two defects of W&B's
own sampler are not copied: an `int_uniform` never goes below its minimum, and a choice at u = 0 is its first
value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from ray.tune.search import sample as ray_sample

from search_algs.space.choices import Choice
from search_algs.space.domains import Domain, Real, Stepped
from search_algs.space.laws import Beta, Law, LogNormal, LogUniform, Normal, Uniform


class Distribution(ray_sample.Domain):
    """One of our domains as a Ray `Domain`, so that Ray's own searcher can draw from it too."""

    def __init__(self, domain: Domain) -> None:
        self.domain = domain

    def sample(self, config: Any = None, size: int = 1, random_state: Any = None) -> Any:
        """One value, or a list of `size`."""
        generator = random_state if hasattr(random_state, "uniform") else np.random.default_rng(random_state)
        drawn = [
            self.domain.from_unit(float(u)) for u in np.atleast_1d(generator.uniform(0.0, 1.0, size=size))
        ]
        return drawn[0] if size == 1 else drawn

    def is_valid(self, value: Any) -> bool:
        """Whether the domain has the value."""
        return self.domain.accepts(value)

    @property
    def domain_str(self) -> str:
        """One line for people."""
        return self.domain.describe()

    def __repr__(self) -> str:
        return f"Distribution({self.domain.describe()})"


def normal(mu: float = 0.0, sigma: float = 1.0) -> Distribution:
    """N(mu, sigma^2)."""
    return Distribution(Real(Normal(mu, sigma)))


def q_normal(mu: float = 0.0, sigma: float = 1.0, q: float = 1.0) -> Distribution:
    """N(mu, sigma^2) rounded to multiples of q."""
    return _rounded(Normal(mu, sigma), q)


def log_normal(mu: float = 0.0, sigma: float = 1.0) -> Distribution:
    """exp(N(mu, sigma^2)): mu and sigma belong to the logarithm."""
    return Distribution(Real(LogNormal(mu, sigma)))


def q_log_normal(mu: float = 0.0, sigma: float = 1.0, q: float = 1.0) -> Distribution:
    """exp(N(mu, sigma^2)) rounded to multiples of q."""
    return _rounded(LogNormal(mu, sigma), q)


def beta(a: float = 1.0, b: float = 1.0) -> Distribution:
    """Beta(a, b) on [0, 1]."""
    return Distribution(Real(Beta(a, b)))


def q_beta(a: float = 1.0, b: float = 1.0, q: float = 1.0) -> Distribution:
    """Beta(a, b) rounded to multiples of q."""
    return _rounded(Beta(a, b), q)


def q_uniform(low: float, high: float, q: float = 1.0) -> Distribution:
    """U[low, high] rounded to multiples of q, unlike `tune.quniform` for any bounds."""
    return _rounded(Uniform(low, high), q)


def log_uniform(low: float, high: float) -> Distribution:
    """exp(U[low, high]): the bounds are exponents of e."""
    return Distribution(Real(LogUniform(*_exponents(low, high))))


def log_uniform_values(low: float, high: float) -> Distribution:
    """Log-uniform on [low, high], as `tune.loguniform`."""
    return Distribution(Real(LogUniform(low, high)))


def q_log_uniform(low: float, high: float, q: float = 1.0) -> Distribution:
    """exp(U[low, high]) rounded to multiples of q: the bounds are exponents of e."""
    return _rounded(LogUniform(*_exponents(low, high)), q)


def q_log_uniform_values(low: float, high: float, q: float = 1.0) -> Distribution:
    """Log-uniform on [low, high], rounded to multiples of q."""
    return _rounded(LogUniform(low, high), q)


def inv_log_uniform(low: float, high: float) -> Distribution:
    """exp(-U[low, high]): log-uniform on [exp(-high), exp(-low)]."""
    return log_uniform(-high, -low)


def inv_log_uniform_values(low: float, high: float) -> Distribution:
    """The same law as `log_uniform_values`."""
    return log_uniform_values(low, high)


def int_uniform(low: int, high: int) -> Distribution:
    """Integers from low to high, both ends included."""
    if int(low) != low or int(high) != high:
        raise ValueError(
            f"the bounds {low} and {high} of int_uniform must be integers; use tune.uniform for real numbers"
        )
    if low > high:
        raise ValueError(f"the lower bound {low} is above the upper bound {high}; swap them")
    return Distribution(integers(int(low), int(high)))


def weighted(values: Sequence[Any], probabilities: Sequence[float]) -> Distribution:
    """A choice whose values have probabilities (they sum to 1)."""
    return Distribution(Choice(tuple(values), tuple(float(p) for p in probabilities)))


def integers(first: int, last: int, q: int = 1, log: bool = False) -> Stepped:
    """k * q for k from first to last, each k one cell of a uniform or log-uniform law."""
    law = LogUniform(first, last + 1) if log else Uniform(first, last + 1)
    return Stepped(law, q, integer=True, nearest=False, first=first, last=last)


def _rounded(law: Law, q: float) -> Distribution:
    if isinstance(q, bool) or not 0 < q < math.inf:
        raise ValueError(f"q is {q!r}; the step must be a positive number")
    ends = (round(law.ppf(0.0) / q), round(law.ppf(1.0) / q)) if law.bounded else (None, None)
    return Distribution(
        Stepped(law, q, integer=isinstance(q, int), nearest=True, first=ends[0], last=ends[1])
    )


def _exponents(low: float, high: float) -> tuple[float, float]:
    if not (abs(low) <= 700 and abs(high) <= 700):
        raise ValueError(
            f"exp({low}) to exp({high}) overflows; the bounds of log_uniform are exponents, "
            "use log_uniform_values"
        )
    return math.exp(low), math.exp(high)
