"""Ray Tune's domains read as ours: the same values with the same probabilities.

Source: `ray/tune/search/sample.py` of Ray 2.60 (class `Quantized` for the lattices).
"""

from __future__ import annotations

import math
from typing import Any

from ray.tune.search import sample as ray_sample

from search_algs.space.choices import Choice
from search_algs.space.distributions import Distribution, integers
from search_algs.space.domains import Domain, Real, Stepped
from search_algs.space.laws import LogUniform, Normal, Uniform


def read(domain: ray_sample.Domain) -> Domain:
    """Our domain for a Ray one; ValueError says what to use instead where there is none."""
    if isinstance(domain, Distribution):
        return domain.domain
    sampler: Any = domain.sampler
    q: float | None = None
    if isinstance(sampler, ray_sample.Quantized):
        sampler, q = sampler.sampler, float(sampler.q)
        if not 0 < q < math.inf:
            raise ValueError(f"q is {q!r}; the step must be a positive number")
    match domain:
        case ray_sample.Categorical():
            return Choice(tuple(domain.categories))
        case ray_sample.Float():
            return _floats(domain, sampler, q)
        case ray_sample.Integer():
            return _integers(domain, sampler, q)
        case ray_sample.Function():
            raise ValueError(
                "tune.sample_from cannot be searched, for nothing is known of its values; "
                "use when(parent, values, domain) for a parameter that depends on another, "
                "and a constraint such as 'a * b <= 1024' for forbidden combinations"
            )
    raise ValueError(
        f"{type(domain).__name__} is unknown; use tune.uniform, loguniform, randint, choice, ... or "
        "search_algs.space.normal, beta, weighted, ..."
    )


def _floats(domain: Any, sampler: Any, q: float | None) -> Domain:
    if isinstance(sampler, ray_sample.Normal):
        law = Normal(sampler.mean, sampler.sd)
        return Real(law) if q is None else Stepped(law, q, integer=False, nearest=True)
    kind = LogUniform if isinstance(sampler, ray_sample.LogUniform) else Uniform
    checked = kind(domain.lower, domain.upper)
    if q is None:
        return Real(checked)
    first, last = _ends(domain, q)
    bounds = (float(domain.lower), float(domain.upper))
    return Stepped(
        kind(first * q, last * q), q, integer=False, nearest=True, first=first, last=last, bounds=bounds
    )


def _integers(domain: Any, sampler: Any, q: float | None) -> Domain:
    log = isinstance(sampler, ray_sample.LogUniform)
    if q is None or q == 1:
        first, last = math.ceil(domain.lower), math.ceil(domain.upper) - 1  # Ray's upper bound is exclusive
        if last < first:
            raise ValueError(
                f"there is no integer from {domain.lower} to below {domain.upper}; "
                "Ray's upper bound is exclusive, "
                "search_algs.space.int_uniform's is not"
            )
    else:
        if int(q) != q:
            raise ValueError(
                f"q is {q!r}; the step of an integer must be an integer, use tune.quniform for others"
            )
        first, last = _ends(domain, q)
    return integers(first, last, int(q or 1), log)


def _ends(domain: Any, q: float) -> tuple[int, int]:
    """First and last k of the multiples k * q within the bounds; a bound that is nearly one counts as one."""

    def inward(bound: float, rounded: int) -> int:
        near = round(bound / q)
        return near if math.isclose(bound / q, near) else rounded

    first = inward(domain.lower, math.ceil(domain.lower / q))
    last = inward(domain.upper, math.floor(domain.upper / q))
    if last < first:
        raise ValueError(
            f"there is no multiple of q = {q} from {domain.lower} to {domain.upper}; widen the bounds"
        )
    return first, last
