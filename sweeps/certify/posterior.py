"""How good each raced configuration is: means of few noisy trials, shrunken towards one another.

The winner's mean is too good on average, since it won for its luck too (the winner's curse). The remedy is
that of Stein's estimator in its hierarchical form (Lindley and Smith 1972; Efron and Morris 1975 work an
example, 18 batting averages): true losses of the candidates are themselves spread around a common centre,
and each mean is drawn towards it, the more the larger the noise of a mean is beside that spread.

    y[a, i] ~ N(mu[a], s^2)       trial i of configuration a; s from the repeats
    mu[a]   ~ N(m, (g s)^2)       candidates; m flat, p(s) ~ 1 / s
    g       ~ half-Cauchy(1)      candidates differ by about what seeds differ by, unless they show otherwise
    mu[0]   flat                  the default configuration is none of a kind with them: not shrunken

Given g all is in closed form, so that a sum over a grid of g is the whole computation. `g` stays proper with
two candidates, where Stein's own estimator needs four and a flat prior of the spread three.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweeps.certify.arm import Arm, noise

Array = NDArray[np.float64]
GRID = np.tan(np.pi / 2 * (np.arange(48) + 0.5) / 48)
"""Values of g that are equally likely before any data."""
DRAWS = 4096
"""Of the posterior, from which the probabilities of being the best are counted: to 0.008 at worst."""


@dataclass(frozen=True, slots=True)
class Posterior:
    """What is believed after the trials so far."""

    means: Array
    """Expected loss of each candidate, shrunken, shape (K,)."""

    best: Array
    """Probability that it is the best, for each candidate and then for the default if there is one."""


def posterior(candidates: Sequence[Arm], default: Arm | None = None) -> Posterior:
    """The posterior of the candidates' true losses and of who is the best.

    Every arm must have a loss. Where all repeats agree to the last digit, what is seen is believed.
    """
    arms = [*candidates, *([default] if default is not None else [])]
    n = np.array([len(arm.losses) for arm in arms], dtype=float)
    y = np.array([arm.mean for arm in arms])
    variance, degrees = noise(arms)
    if variance == 0.0:
        return _certain(y, len(candidates), degrees)
    k = len(candidates)
    scale = float(np.sqrt(variance))
    y, centre = (y - y[:k].mean()) / scale, y[:k].mean()
    weights, mean, shrink, rest = _given(GRID, n[:k], y[:k], degrees)
    means = weights @ (shrink * mean[:, None] + (1 - shrink) * y[:k])
    return Posterior(centre + scale * means, _best(n, y, k, weights, mean, rest, degrees))


def _given(g: Array, n: Array, y: Array, degrees: int) -> tuple[Array, Array, Array, Array]:
    """For each g: its posterior weight, the centre's mean, each candidate's share of the centre, and the sum
    of squares that s^2 follows from (in units of the pooled variance)."""
    v = 1 / n + g[:, None] ** 2
    w = 1 / v
    total = w.sum(axis=1)
    mean = (w * y).sum(axis=1) / total
    rest = degrees + (w * (y - mean[:, None]) ** 2).sum(axis=1)
    log = -0.5 * (np.log(v).sum(axis=1) + np.log(total) + (degrees + len(n) - 1) * np.log(rest))
    weights = np.exp(log - log.max())
    return weights / weights.sum(), mean, 1 / (1 + n * g[:, None] ** 2), rest


def _best(n: Array, y: Array, k: int, weights: Array, mean: Array, rest: Array, degrees: int) -> Array:
    """How often each is the best among draws of the posterior; the same draws for the same data."""
    rng = np.random.default_rng(0)
    pick = np.searchsorted(np.cumsum(weights)[:-1], rng.random(DRAWS))
    g = GRID[pick]
    s = np.sqrt(rest[pick] / rng.chisquare(degrees + k - 1, DRAWS))
    total = (1 / (1 / n[:k] + g[:, None] ** 2)).sum(axis=1)
    m = mean[pick] + s / np.sqrt(total) * rng.standard_normal(DRAWS)
    precision = n[:k] + 1 / g[:, None] ** 2
    mu = (n[:k] * y[:k] + (m / g**2)[:, None]) / precision
    mu = mu + s[:, None] / np.sqrt(precision) * rng.standard_normal((DRAWS, k))
    if len(n) > k:
        own = y[k] + s / np.sqrt(n[k]) * rng.standard_normal(DRAWS)
        mu = np.column_stack([mu, own])
    return np.bincount(mu.argmin(axis=1), minlength=len(n)) / DRAWS


def _certain(y: Array, k: int, degrees: int) -> Posterior:
    """No noise was seen: the best is who looks best, once anything was repeated."""
    ties = (y == y.min()).astype(float) if degrees else np.ones(len(y))
    return Posterior(y[:k], ties / ties.sum())
