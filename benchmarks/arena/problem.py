"""What is searched in the arena: a space, what a configuration yields, and the scale of regret."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import differential_evolution

from search_algs.space import Space

Array = NDArray[np.float64]
RANDOM = 8000
"""Random configurations that tell the middle, and among them the start of the search for the optimum."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A full training of one configuration."""

    losses: Array
    """True loss after each iteration, shape (max_t,)."""
    seconds: float
    """Of one iteration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One problem; `regret` is 0 at its optimum and 1 at the median of random configurations."""

    name: str
    space: dict[str, Any]
    """A Ray `param_space`."""
    train: Callable[[list[dict[str, Any]]], list[Outcome]]
    """Outcomes of configurations, all at once."""
    optimum: float
    middle: float
    max_t: int = 1
    noise: float = 0.0
    """Standard deviation of what is reported around the true loss, as a share of middle - optimum."""

    def regret(self, loss: float) -> float:
        """The true loss on the scale from optimum to middle."""
        return (loss - self.optimum) / (self.middle - self.optimum)


def landmarks(
    space: dict[str, Any], final: Callable[[list[dict[str, Any]]], Array], seed: int
) -> tuple[float, float]:
    """(optimum, middle) where nobody knows the optimum: random points, then differential evolution."""
    cube = Space(space)
    rng = np.random.default_rng(seed)
    points = np.array([cube.sample(rng) for _ in range(RANDOM)])
    losses = final([cube.decode(point) for point in points])
    found = differential_evolution(
        lambda columns: final([cube.decode(point) for point in columns.T]),
        [(0.0, 1.0)] * len(cube), init=points[np.argsort(losses)[:60]], maxiter=150, tol=1e-8,
        vectorized=True, updating="deferred", polish=False, rng=seed,
    )  # fmt: skip
    return min(float(found.fun), float(losses.min())), float(np.median(losses))
