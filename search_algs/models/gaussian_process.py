"""A Gaussian process small enough for the driver: Matern-5/2, a length for each parameter, NumPy and SciPy.

    k(x, x') = (1 + s + s^2 / 3) exp(-s),   s = sqrt(5) r,   r^2 = sum_j (x_j - x'_j)^2 / l_j^2

(Rasmussen & Williams 2006, eq. 4.17 with one length a parameter.) Choices enter one-hot over sqrt(2), so that
two different options are at distance 1 / l_j, whichever they are. The amplitude is 1 and the mean 0, because
targets are normal scores. Lengths and noise are the most probable ones (R & W, eq. 5.8, with priors):

    log l_j ~ N(0.5 log d - 0.7, 1): longer with more parameters (Hvarfner et al. 2024, arXiv:2402.02229)
    log noise variance ~ N(-4, 1.5^2)

Legend: n results, m points to judge, d parameters, p features (d, with choices one-hot).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.special import erfcx, ndtri
from scipy.stats import rankdata

from search_algs.space import Choice, Space

Array = NDArray[np.float64]
JITTER = 1e-8
STEPS = 15
"""Of L-BFGS: more lengthen the fit and change no suggestion."""


class Features:
    """From points of the unit cube to what the kernel measures distances between."""

    def __init__(self, space: Space) -> None:
        domains = [d.domain for d in space.dimensions]
        self.sizes = [one.size if isinstance(one, Choice) else 0 for one in domains]
        self._edges = [_edges(one) if isinstance(one, Choice) else None for one in domains]
        self.owner = np.repeat(np.arange(len(domains)), [max(1, size) for size in self.sizes])
        """The parameter that each feature belongs to, shape (p,)."""

    def __call__(self, points: Array) -> Array:
        """Features of points (n, d), shape (n, p)."""
        columns = []
        for column, size, edges in zip(points.T, self.sizes, self._edges, strict=True):
            if edges is None:
                columns.append(column[:, None])
            else:
                option = np.searchsorted(edges, column, side="right")
                columns.append((option[:, None] == np.arange(size)) * math.sqrt(0.5))
        return np.concatenate(columns, axis=1, dtype=float)


@dataclass(frozen=True, slots=True)
class Theta:
    """What is fitted."""

    log_lengths: Array
    """Shape (d,)."""
    log_noise: float

    @classmethod
    def prior(cls, d: int) -> Theta:
        """The prior's mean."""
        return cls(np.full(d, 0.5 * math.log(d) - 0.7), -4.0)

    def pack(self) -> list[float]:
        """As plain numbers, d + 1 of them."""
        return [*self.log_lengths.tolist(), self.log_noise]

    @classmethod
    def unpack(cls, numbers: Any) -> Theta:
        """Back from plain numbers."""
        return cls(np.array(numbers[:-1], dtype=float), float(numbers[-1]))


def normal_scores(losses: Array) -> Array:
    """Ranks as quantiles of the normal distribution, least loss least; ties share one (Blom 1958)."""
    return ndtri((rankdata(losses) - 0.375) / (len(losses) + 0.25))


def fit(features: Features, points: Array, scores: Array, start: Theta) -> Theta:
    """The most probable lengths and noise for scores (n,) at points (n, d)."""
    z = features(points)
    prior = Theta.prior(points.shape[1])
    mean, sd = np.array(prior.pack()), np.array([1.0] * points.shape[1] + [1.5])

    def minus_log_posterior(packed: Array) -> tuple[float, Array]:
        theta = Theta.unpack(packed)
        scaled = z / np.exp(theta.log_lengths)[features.owner]
        s, decay = _distances(scaled, scaled)
        noise = math.exp(theta.log_noise)
        k = (1 + s + s * s / 3) * decay
        k.flat[:: len(k) + 1] += noise + JITTER
        try:
            lower = cholesky(k, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            return math.inf, np.zeros(len(packed))
        inverse = cho_solve((lower, True), np.eye(len(k)), check_finite=False)
        alpha = inverse @ scores
        value = 0.5 * scores @ alpha + np.log(np.diag(lower)).sum()
        # dk/d(log l_j) = 5/3 (1 + s) exp(-s) * squared distance along j, in lengths
        weight = (inverse - np.outer(alpha, alpha)) * (5 / 3) * (1 + s) * decay
        along = weight.sum(1) @ scaled**2 - np.einsum("ai,ai->i", scaled, weight @ scaled)
        slope = np.append(np.bincount(features.owner, along), 0.0)
        slope[-1] = 0.5 * noise * (np.trace(inverse) - alpha @ alpha)
        off = (packed - mean) / sd
        return float(value + 0.5 * off @ off), slope + off / sd

    found = minimize(
        minus_log_posterior, start.pack(), jac=True, method="L-BFGS-B",
        bounds=list(zip(mean - 4 * sd, mean + 4 * sd, strict=True)), options={"maxiter": STEPS},
    )  # fmt: skip
    return Theta.unpack(found.x)


class Posterior:
    """The process given scores (n,) at points (n, d), and results still awaited at `running` (k, d).

    A running trial enters at its predicted mean: it lowers the uncertainty round it and moves no mean, so
    that the next suggestion goes elsewhere (kriging believer, Ginsbourger et al. 2010).
    """

    def __init__(
        self, features: Features, theta: Theta, points: Array, scores: Array, running: Array
    ) -> None:
        self._features, self._scale = features, np.exp(theta.log_lengths)[features.owner]
        self._z = features(points) / self._scale
        noise = math.exp(theta.log_noise) + JITTER
        self._lower = _factor(self._z, noise)
        self._alpha = cho_solve((self._lower, True), scores, check_finite=False)
        if len(running):
            means = self.mean(running)
            self._z = np.concatenate([self._z, features(running) / self._scale])
            self._lower = _factor(self._z, noise)
            scores = np.concatenate([scores, means])
            self._alpha = cho_solve((self._lower, True), scores, check_finite=False)

    def mean(self, points: Array) -> Array:
        """Predicted scores of points (m, d), shape (m,)."""
        s, decay = _distances(self._features(points) / self._scale, self._z)
        return ((1 + s + s * s / 3) * decay) @ self._alpha

    def log_improvement(self, points: Array, best: float) -> Array:
        """Log of the expected improvement on the score `best` at points (m, d), shape (m,).

        In logarithms it has a slope everywhere (Ament et al. 2023, arXiv:2310.20708).
        """
        s, decay = _distances(self._features(points) / self._scale, self._z)
        k = (1 + s + s * s / 3) * decay
        v = solve_triangular(self._lower, k.T, lower=True, check_finite=False)
        sd = np.sqrt(np.maximum(1.0 - np.einsum("ij,ij->j", v, v), 1e-12))
        u = (best - k @ self._alpha) / sd
        # phi(u) + u Phi(u) = phi(u) (1 + u Phi(u) / phi(u)); Phi(u) / phi(u) = sqrt(pi/2) erfcx(-u / sqrt 2)
        far = np.maximum(u, -1e5)  # beyond, the bracket is all rounding
        bracket = 1 + far * math.sqrt(math.pi / 2) * erfcx(-np.minimum(far, 30) / math.sqrt(2))
        near = np.log(np.maximum(bracket, 1e-12)) - 0.5 * u * u - 0.5 * math.log(2 * math.pi)
        return np.log(sd) + np.where(u > 30, np.log(np.maximum(u, 1)), near)


def _factor(z: Array, noise: float) -> Array:
    s, decay = _distances(z, z)
    k = (1 + s + s * s / 3) * decay
    k.flat[:: len(k) + 1] += noise
    return cholesky(k, lower=True, check_finite=False)


def _distances(a: Array, b: Array) -> tuple[Array, Array]:
    """sqrt(5) r between rows of a (n, p) and b (m, p), and exp of minus that; both (n, m)."""
    squared = (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * a @ b.T
    s = np.sqrt(5 * np.maximum(squared, 0))
    return s, np.exp(-s)


def _edges(choice: Choice) -> Array:
    """Where the cells of a choice end, but the last, ascending."""
    weights = choice.probabilities or [1 / choice.size] * choice.size
    return np.cumsum(weights)[:-1]
