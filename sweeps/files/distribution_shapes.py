"""The distributions of a sweep file: W&B's keys, defaults and limits, and the domain that each stands for.

Names and semantics are those of W&B's sweep configuration (its JSON schema and the `params.py` of its sweep
package).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from pydantic import Field, FiniteFloat, NonNegativeFloat, field_validator, model_validator
from ray import tune

from search_algs import space as domains
from sweeps.files.shapes import Shape

Number = int | FiniteFloat


class Distribution(Shape):
    """One distribution with its parameters."""

    distribution: str


class Constant(Distribution):
    """One value for every trial."""

    value: Any


class Categorical(Distribution):
    """Values, equally likely."""

    values: list[Any] = Field(min_length=1)


class Weighted(Categorical):
    """Values with probabilities that add up to 1."""

    probabilities: list[NonNegativeFloat] = Field(min_length=1)

    @model_validator(mode="after")
    def _add_up(self) -> Weighted:
        total = sum(self.probabilities)
        if len(self.values) != len(self.probabilities):
            counts = f"{len(self.values)} values and {len(self.probabilities)} probabilities"
            raise ValueError(f"there are {counts}.")
        if not math.isclose(total, 1.0, rel_tol=1e-5, abs_tol=1e-8):
            raise ValueError(f"the probabilities {self.probabilities} add up to {total:g}, not 1.")
        return self


class Range(Distribution):
    """From min to max."""

    min: Number
    max: Number

    @model_validator(mode="after")
    def _in_order(self) -> Range:
        if self.min >= self.max:
            raise ValueError(f"min {self.min} is not less than max {self.max}.")
        return self


class IntRange(Range):
    """Integers, both ends included."""

    min: int
    max: int


class PositiveRange(Range):
    """A range on a logarithmic scale."""

    @field_validator("min")
    @classmethod
    def _above_zero(cls, least: Number) -> Number:
        if least <= 0:
            raise ValueError(f"is {least}; a logarithmic scale begins above 0.")
        return least


class Stepped(Distribution):
    """Rounded to multiples of q: `round(x / q) * q`, an int if and only if q is one."""

    q: Number = 1.0

    @field_validator("q")
    @classmethod
    def _step(cls, q: Number) -> Number:
        if q <= 0:
            raise ValueError(f"is {q}; a step must be above 0.")
        return q


class SteppedRange(Range, Stepped):
    """A range, then rounded, so that the result may lie up to q / 2 beyond an end."""


class SteppedPositiveRange(PositiveRange, Stepped):
    """A range on a logarithmic scale, then rounded."""


class Gaussian(Distribution):
    """Mean and standard deviation; sigma 0 makes a constant, as in W&B's schema."""

    mu: Number = 0.0
    sigma: Number = Field(default=1.0, ge=0)


class SteppedGaussian(Gaussian, Stepped):
    """Mean and standard deviation, then rounded."""


class Beta(Distribution):
    """The two shape parameters of a beta distribution on [0, 1]."""

    a: Number = Field(default=1.0, gt=0)
    b: Number = Field(default=1.0, gt=0)


class SteppedBeta(Beta, Stepped):
    """A beta distribution, then rounded."""


class Integers(IntRange, Stepped):
    """Multiples of q among the integers, both ends included."""

    q: int = 1
    log: bool = False


class Multiples(SteppedRange):
    """Multiples of q, both ends included."""

    log: bool = False


class Kind(NamedTuple):
    """A distribution's keys, and the value or domain in a `param_space` that they make."""

    shape: type[Distribution]
    domain: Callable[[Any], Any]


def _gaussian(law: Callable[..., Any], constant: Callable[[float], float]) -> Callable[[Any], Any]:
    def make(d: Any) -> Any:
        steps = (d.q,) if isinstance(d, Stepped) else ()
        if d.sigma > 0:
            return law(d.mu, d.sigma, *steps)
        return round(constant(d.mu) / steps[0]) * steps[0] if steps else constant(d.mu)

    return make


def _identity(x: float) -> float:
    return x


def _integers(d: Integers) -> Any:
    if d.q == 1:
        return (tune.lograndint if d.log else tune.randint)(d.min, d.max + 1)
    return (tune.qlograndint if d.log else tune.qrandint)(d.min, d.max, d.q)


WANDB: dict[str, Kind] = {
    "constant": Kind(Constant, lambda d: d.value),
    "categorical": Kind(Categorical, lambda d: tune.choice(d.values)),
    "categorical_w_probabilities": Kind(Weighted, lambda d: domains.weighted(d.values, d.probabilities)),
    "int_uniform": Kind(IntRange, lambda d: tune.randint(d.min, d.max + 1)),
    "uniform": Kind(Range, lambda d: tune.uniform(d.min, d.max)),
    "q_uniform": Kind(SteppedRange, lambda d: domains.q_uniform(d.min, d.max, d.q)),
    "log_uniform": Kind(Range, lambda d: domains.log_uniform(d.min, d.max)),
    "log_uniform_values": Kind(PositiveRange, lambda d: tune.loguniform(d.min, d.max)),
    "inv_log_uniform": Kind(Range, lambda d: domains.inv_log_uniform(d.min, d.max)),
    "inv_log_uniform_values": Kind(PositiveRange, lambda d: tune.loguniform(d.min, d.max)),  # the same law
    "q_log_uniform": Kind(SteppedRange, lambda d: domains.q_log_uniform(d.min, d.max, d.q)),
    "q_log_uniform_values": Kind(
        SteppedPositiveRange, lambda d: domains.q_log_uniform_values(d.min, d.max, d.q)
    ),
    "normal": Kind(Gaussian, _gaussian(domains.normal, _identity)),
    "q_normal": Kind(SteppedGaussian, _gaussian(domains.q_normal, _identity)),
    "log_normal": Kind(Gaussian, _gaussian(domains.log_normal, math.exp)),
    "q_log_normal": Kind(SteppedGaussian, _gaussian(domains.q_log_normal, math.exp)),
    "beta": Kind(Beta, lambda d: domains.beta(d.a, d.b)),
    "q_beta": Kind(SteppedBeta, lambda d: domains.q_beta(d.a, d.b, d.q)),
}
"""W&B's distributions by name."""

RAY: dict[str, Kind] = {
    "integers": Kind(Integers, _integers),
    "multiples": Kind(Multiples, lambda d: (tune.qloguniform if d.log else tune.quniform)(d.min, d.max, d.q)),
}
"""What W&B has no word for: `tune.lograndint`, `qrandint`, `qlograndint`; `quniform`, `qloguniform`."""

DEPRECATED = {
    "log_uniform": "log_uniform_values",
    "inv_log_uniform": "inv_log_uniform_values",
    "q_log_uniform": "q_log_uniform_values",
}
"""Distributions whose min and max are exponents of e, and what W&B advises instead."""
