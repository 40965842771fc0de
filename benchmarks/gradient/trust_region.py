"""A plain Gaussian process in a trust region, the rival to beat: TuRBO-1 (Eriksson et al. 2019,
arXiv:1910.01739) on our own process.

The region is a box round the best point, its sides in the proportions of the process's lengths (section 3.1).
After 3 results in a row that improved on the best it doubles, after max(4, d) / workers rounds without one it
halves, and below 2^-7 the search begins anew. Candidates differ from the best point in about 20 coordinates
(their appendix). Departures: expected improvement with running trials believed instead of Thompson samples,
since results come one by one, and normal scores as everywhere in our process.
"""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np

from search_algs.ask_tell import Active, AskTell, Shared, Unit
from search_algs.models.gaussian_process import Features, Posterior, Theta, fit, normal_scores

LONGEST, FIRST, SHORTEST = 1.6, 0.8, 2**-7
SUCCESSES = 3
CANDIDATES = 1000
MOVED = 20
REFIT = 4
"""New results after which the lengths are fitted again."""


class TrustRegion(AskTell):
    """One trust region; numbers only, no conditions.

    Args:
        n_startup_trials: random points in the beginning and after a restart.
        workers: trials at once.
    """

    def __init__(self, *, n_startup_trials: int = 20, workers: int = 4, **shared: Unpack[Shared]) -> None:
        super().__init__(**shared)
        self._startup, self._workers = n_startup_trials, workers

    def start(self) -> None:
        """Nothing known."""
        self._features = Features(self.space)
        self._begin_region()
        self._running: dict[int, Unit] = {}

    def ask(self, number: int, rng: np.random.Generator) -> Unit:
        """Random at first; then the candidate of greatest expected improvement in the region."""
        if len(self._losses) < min(self._startup, 2 * len(self.space)):
            return self.space.sample(rng)
        points, losses = np.array(self._points), np.array(self._losses)
        scores = normal_scores(losses)
        if len(losses) - self._fitted_at >= REFIT:
            self._theta = fit(self._features, points, scores, self._theta)
            self._fitted_at = len(losses)
        best = points[losses.argmin()]
        lengths = np.exp(self._theta.log_lengths)
        sides = self._length * lengths / np.exp(np.log(lengths).mean())
        low, high = np.clip(best - sides / 2, 0, 1), np.clip(best + sides / 2, 0, 1)
        d = len(best)
        moved = rng.random((CANDIDATES, d)) < min(1.0, MOVED / d)
        moved[np.arange(CANDIDATES), rng.integers(d, size=CANDIDATES)] = True
        candidates = np.where(moved, low + rng.random((CANDIDATES, d)) * (high - low), best)
        posterior = Posterior(
            self._features, self._theta, points, scores, np.array(list(self._running.values()))
        )
        improvement = posterior.log_improvement(candidates, float(posterior.mean(points).min()))
        return candidates[improvement.argmax()]

    def issued(self, number: int, unit: Unit, active: Active, memo: dict[str, Any] | None) -> None:
        """A running trial."""
        self._running[number] = unit

    def lost(self, number: int) -> None:
        """No result."""
        del self._running[number]

    def tell(
        self, number: int, unit: Unit, active: Active, losses: tuple[float, ...], extra: dict[str, float]
    ) -> None:
        """A result; the region grows or shrinks."""
        del self._running[number]
        better = losses[0] < min(self._losses, default=np.inf)
        self._points.append(unit)
        self._losses.append(losses[0])
        if len(self._losses) <= self._startup:
            return
        self._wins, self._misses = (self._wins + 1, 0) if better else (0, self._misses + 1)
        if self._wins == SUCCESSES:
            self._length, self._wins = min(LONGEST, 2 * self._length), 0
        if self._misses >= max(4, len(self.space)):
            self._length, self._misses = self._length / 2, 0
        if self._length < SHORTEST:
            self._begin_region()

    def _begin_region(self) -> None:
        self._points: list[Unit] = []
        self._losses: list[float] = []
        self._theta = Theta.prior(len(self.space))
        self._length, self._wins, self._misses, self._fitted_at = FIRST, 0, 0, 0
