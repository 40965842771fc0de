"""Ridge regression with a penalty for each group of features: bilevel, and solved exactly.

    w(lambda) = argmin_w  |y - X w|^2 / n + sum_j lambda_j w_j^2       inner problem
    minimise   |y_v - X_v w(lambda)|^2 / n_v                           over log lambda_1..K

A fifth of the groups carries the signal; the floor is the noise's variance, 0.49. The derivative
by lambda_j is that of the implicit function, -w_j (A^-1 g)_j with A = X'X / n + diag(lambda) and g the outer
gradient.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ray import tune

from benchmarks.gradient.problem import Slopes, each
from trainables.engine import parts

FEATURES, NOISE, SIGNAL = 100, 0.7, 0.2
"""Features in all, standard deviation of the noise, and the share of groups that matter."""
TRAIN, HELD_OUT = 120, 1000
PENALTY = tune.loguniform(1e-4, 1e2)


class Ridge:
    """One data set."""

    def __init__(self, k: int, seed: int) -> None:
        self.space = {"penalty": each(k, PENALTY)}
        rng = np.random.default_rng([seed, k])
        self._owner = np.arange(FEATURES) * k // FEATURES
        matters = rng.permutation(k) < max(1, round(SIGNAL * k))
        w = np.where(matters[self._owner], rng.standard_normal(FEATURES), 0.0)
        w /= np.linalg.norm(w) / 2
        self._parts = []
        for n in (TRAIN, HELD_OUT):
            x = rng.standard_normal((n, FEATURES))
            self._parts.append((x, x @ w + NOISE * rng.standard_normal(n)))

    def loss(self, config: Mapping[str, Any], seed: int = 0) -> float:
        """Mean squared error on held-out rows."""
        x, y = self._parts[1]
        return float(np.square(x @ self._solved(config)[1] - y).mean())

    def slopes(self, config: Mapping[str, Any], seed: int = 0) -> Slopes:
        """Implicit differentiation; exact."""
        a, w = self._solved(config)
        x, y = self._parts[1]
        outer = 2 * x.T @ (x @ w - y) / len(y)
        by = np.bincount(self._owner, -w * np.linalg.solve(a, outer))
        return Slopes({f"penalty.{i}": float(one) for i, one in enumerate(by)}, 0.0)

    def judge(self, config: Mapping[str, Any]) -> float:
        """The outer loss itself: there is no seed to be lucky with."""
        return self.loss(config)

    def _solved(self, config: Mapping[str, Any]) -> tuple[Any, Any]:
        x, y = self._parts[0]
        penalty = np.array(parts.values(config["penalty"]))[self._owner]
        a = x.T @ x / len(y) + np.diag(penalty)
        return a, np.linalg.solve(a, x.T @ y / len(y))
