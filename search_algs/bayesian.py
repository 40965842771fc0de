"""Bayesian search: a Gaussian process, asked for the point of greatest expected improvement, never waiting
(Jones et al. 1998; log improvement: Ament et al. 2023; running trials: Ginsbourger et al. 2010).

After a start of Sobol points (Owen-scrambled) each suggestion

1. takes the results as normal scores of their ranks, so that no outlier and no scale of the loss matters;
2. adds the running trials at their predicted mean, so that workers spread (Ginsbourger et al. 2010);
3. judges by log expected improvement (Ament et al. 2023) 256 recombinations of the best results and 64
   uniform points, then steps round the best of those. What is best so far is judged by the model too, so that
   one lucky result misleads nobody.

Under a scheduler that stops trials, `max_t` says how deep a full training is. A trial that ended before is
carried up to what it would have reached (`models.rungs`) if it came far enough, else left out.

The lengths are fitted anew after every twelfth part of new results; beyond 300 results the best 150 and the
latest 150 are used. Cost: 4 ms a suggestion after 100 results, 18 ms after 1,000. One objective; for several
take `gp`, `tpe` or `nsga2`.
"""

from __future__ import annotations

import math
from typing import Any, Unpack

import numpy as np
from scipy.stats import qmc

from search_algs.ask_tell import Active, AskTell, Shared, Unit
from search_algs.models.gaussian_process import Array, Features, Posterior, Theta, fit, normal_scores
from search_algs.models.rungs import carried

UNIFORM = 64
"""Uniform candidates beside the recombinations."""
STARTS, ROUNDS, STEPS, STEP_SD = 4, 2, 32, 0.08
"""Local search: so many best candidates, rounds, steps from each, and how far a step goes."""
SOBOL = 1024
"""Points of the sequence that are ever used; after them uniform ones."""
AWAITED = 128
"""Running trials that enter the model at most: the latest."""


class Bayesian(AskTell):
    """Gaussian-process search for parallel, noisy trials in mixed and conditional spaces.

    Args:
        n_startup_trials: results before the model is used; None: 8, or as many as there are parameters.
        n_candidates: recombinations of good results that are judged for each suggestion.
        max_results: results the model is fitted to at most, half of them the best, half the latest.

    Raises:
        ValueError: for a value below 1.
    """

    watches = True

    def __init__(
        self,
        *,
        n_startup_trials: int | None = None,
        n_candidates: int = 256,
        max_results: int = 300,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(**shared)
        for name, value in (
            ("n_startup_trials", n_startup_trials),
            ("n_candidates", n_candidates),
            ("max_results", max_results),
        ):
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value!r}; it must be at least 1")
        self._startup, self._count, self._most = n_startup_trials, n_candidates, max_results

    def start(self) -> None:
        """No results yet."""
        d = len(self.space)
        self._needed = self._startup if self._startup is not None else max(8, d)
        if d:
            self._features, self._theta = Features(self.space), Theta.prior(d)
            engine = qmc.Sobol(d, scramble=True, bits=32, rng=np.random.default_rng(self.seed))
            self._sobol: Array = engine.random(SOBOL)
        self._points: dict[int, Unit] = {}
        self._running: dict[int, None] = {}
        self._curves: dict[int, dict[int, float]] = {}  # with max_t: trusted losses by iteration
        self._results: dict[int, float] = {}  # ended ones, in the order they came
        self._deep = 0  # results that are no part of a training
        self._ended = self._fitted_at = 0
        self._refitted = False
        self._tried: set[bytes] = set()

    def ask(self, number: int, rng: np.random.Generator) -> Unit:
        """The candidate of greatest expected improvement; a Sobol point at the start."""
        if self._deep < self._needed or not len(self.space):
            again = number >= SOBOL or not len(self.space) or self._key(self._sobol[number]) is None
            return self.space.sample(rng) if again else self._sobol[number]
        numbers, losses = self._data()
        points, scores = np.array([self._points[one] for one in numbers]), normal_scores(losses)
        if self._due(len(numbers)):
            self._theta = fit(self._features, points, scores, self._theta)
            self._refitted, self._fitted_at = True, self._ended
        awaited = [self._points[one] for one in list(self._running)[-AWAITED:]]
        posterior = Posterior(self._features, self._theta, points, scores, np.array(awaited))
        return self._best(posterior, points, rng)

    def issued(
        self, number: int, unit: Unit, active: Active, memo: dict[str, Any] | None
    ) -> dict[str, Any] | None:
        """A running trial; to be remembered: the lengths, if they were fitted for it."""
        if memo and "theta" in memo:
            self._theta, self._fitted_at, self._refitted = Theta.unpack(memo["theta"]), self._ended, True
        refitted, self._refitted = self._refitted, False
        self._points[number] = unit
        self._running[number] = None
        self._tried.add(unit.tobytes())
        return {"theta": self._theta.pack()} if refitted else None

    def watch(self, number: int, iteration: int, losses: tuple[float, ...]) -> None:
        """A running trial's loss, deep enough to be trusted."""
        self._curves.setdefault(number, {})[iteration] = losses[0]

    def tell(
        self, number: int, unit: Unit, active: Active, losses: tuple[float, ...], extra: dict[str, float]
    ) -> None:
        """A result."""
        del self._running[number]
        self._results[number] = losses[0]
        self._deep += 1
        self._ended += 1

    def lost(self, number: int) -> None:
        """No result; what is known of its training is kept if it came far enough."""
        del self._running[number]
        if number in self._curves:
            self._results[number] = math.nan
            self._ended += 1

    def learned(self, unit: Unit, active: Active, losses: tuple[float, ...]) -> bool:
        """A result like any other, numbered from -1 downwards."""
        number = -1 - len(self._results)
        self._points[number], self._results[number] = unit, losses[0]
        self._deep += 1
        self._ended += 1
        self._tried.add(unit.tobytes())
        return True

    def _data(self) -> tuple[list[int], Array]:
        """The results to fit, by number, and their losses; stopped trials at what they would have reached."""
        losses = self._results
        if self._curves:
            ended = {number: self._curves.get(number, {}) for number in self._results}
            losses = carried({number: curve for number, curve in ended.items() if curve})
            losses |= {
                n: loss for n, loss in self._results.items() if n not in losses and not math.isnan(loss)
            }
        order = [number for number in self._results if number in losses]
        if len(order) > self._most:
            latest = order[-(self._most // 2) :]
            rest = sorted(order[: -(self._most // 2)], key=losses.__getitem__)
            order = rest[: self._most - len(latest)] + latest
        return order, np.array([losses[number] for number in order])

    def _due(self, n: int) -> bool:
        return not self._fitted_at or self._ended - self._fitted_at >= max(3, n / 12)

    def _best(self, posterior: Posterior, points: Array, rng: np.random.Generator) -> Unit:
        means = posterior.mean(points)
        parents = points[np.argsort(means, kind="stable")[: 8 + len(self.space) // 2]]
        d, best = len(self.space), float(means.min())
        mixed = parents[rng.integers(len(parents), size=(self._count, d)), np.arange(d)]
        candidates = np.concatenate([mixed, rng.random((UNIFORM, d))])
        values = posterior.log_improvement(candidates, best)
        for _ in range(ROUNDS):
            top = candidates[np.argsort(-values, kind="stable")[:STARTS]]
            near = self._steps(np.repeat(top, STEPS, axis=0), rng)
            candidates = np.concatenate([candidates, near])
            values = np.concatenate([values, posterior.log_improvement(near, best)])
        order = np.argsort(-values, kind="stable")
        return next((x for x in candidates[order] if self._key(x) is not None), candidates[order[0]])

    def _steps(self, x: Array, rng: np.random.Generator) -> Array:
        """Points (n, d) moved along half of their coordinates; choices are drawn anew instead."""
        is_choice = np.array(self._features.sizes) > 0
        moved = np.where(is_choice, rng.random(x.shape), x + STEP_SD * rng.standard_normal(x.shape))
        return np.where(rng.random(x.shape) < 0.5, np.clip(moved, 0, 1), x)

    def _key(self, x: Unit) -> bytes | None:
        """What a configuration has in common with its equals; None for one that was tried or is forbidden."""
        config = self.space.decode(x)
        key = self.space.encode(config)[0].tobytes()
        return None if key in self._tried or self.space.violated(config) else key
