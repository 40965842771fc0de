"""Covariance matrix adaptation: Optuna's `CmaEsSampler` with its defaults (Hansen 2016, arXiv:1604.00772, by
the package cmaes).

For numbers that are always there; categories and conditional parameters are drawn at random. One objective.
Cost: 4 ms a suggestion after 10 results and after 1,000, 22 ms after 10,000.

A warm start estimates the first distribution from the best tenth of the earlier results (Nomura et al. 2021,
arXiv:2012.06932, alpha 0.1). With `use_separable_cma`, for which Optuna has no such start, and where no
number is always there, the best few are tried again instead.
"""

from __future__ import annotations

import math
from typing import Any, Unpack

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, create_trial

from search_algs.ask_tell import LEARNED, Active, Shared, Unit
from search_algs.optuna_sampler import OptunaSampler

SPREAD = 8
"""An earlier result that lacks numbers counts as so many, over which those are spread evenly."""


class Cmaes(OptunaSampler):
    """CMA-ES.

    Args:
        n_startup_trials: results at random before the first generation; none after a warm start.
        popsize: points a generation; None: 4 + floor(3 ln d).
        use_separable_cma: a diagonal covariance, for many dimensions.
        with_margin: keeps integers from freezing (Hamano et al. 2022, arXiv:2205.13482).
        lr_adapt: adapts the learning rate, for noisy or many-peaked losses (Nomura et al. 2023,
            arXiv:2304.03473).
    """

    several_objectives = False

    def __init__(
        self,
        *,
        n_startup_trials: int = 1,
        popsize: int | None = None,
        use_separable_cma: bool = False,
        with_margin: bool = False,
        lr_adapt: bool = False,
        **shared: Unpack[Shared],
    ) -> None:
        self._startup, self._separable = n_startup_trials, use_separable_cma
        self._options: dict[str, Any] = {
            "popsize": popsize,
            "use_separable_cma": use_separable_cma,
            "with_margin": with_margin,
            "lr_adapt": lr_adapt,
        }
        self._numbers: dict[str, BaseDistribution] = {}
        self._sources: list[list[FrozenTrial]] = []  # a list for each earlier result
        super().__init__(sampler=self._sampler, **shared)

    def start(self) -> None:
        """An empty study, and nothing known of earlier ones."""
        self._sources = []
        super().start()
        always = {
            p.name: p.distribution
            for p, dimension in zip(self._parameters, self.space.dimensions, strict=True)
            if not dimension.conditions
        }
        self._numbers = {
            name: always[name]
            for name in sorted(always)  # as Optuna sorts them
            if isinstance(always[name], FloatDistribution | IntDistribution) and not always[name].single()
        }

    def learned(self, unit: Unit, active: Active, losses: tuple[float, ...]) -> bool:
        """A source of the first distribution."""
        if self._separable or not self._numbers:
            return False
        rows = [i for i, p in enumerate(self._parameters) if p.name in self._numbers]
        lacking = [i for i in rows if not active[i]]
        points = np.tile(unit, (SPREAD if lacking else 1, 1))
        rng = np.random.default_rng([self.seed, len(self._sources), LEARNED])
        for i in lacking:
            points[:, i] = (rng.permutation(SPREAD) + 0.5) / SPREAD
        self._sources.append(
            [
                create_trial(
                    value=losses[0],
                    params={self._parameters[i].name: self._parameters[i].param(float(x[i])) for i in rows},
                    distributions=self._numbers,
                )
                for x in points
            ]
        )
        return True

    def _sampler(self, seed: int) -> optuna.samplers.CmaEsSampler:
        settings = dict(self._options)
        if self._sources:
            best_first = sorted(self._sources, key=lambda one: one[0].value or 0.0)
            best = [trial for one in best_first[: math.ceil(len(best_first) / 10)] for trial in one]
            # Optuna takes the best tenth of its sources, rounded down: nine times as many stand behind.
            settings["source_trials"] = best + best[-1:] * (9 * len(best))
        startup = 0 if self._sources else self._startup
        return _OfNumbers(self._numbers, n_startup_trials=startup, seed=seed, **settings)


class _OfNumbers(optuna.samplers.CmaEsSampler):
    """Optuna's sampler for numbers that are known beforehand.

    Optuna's own takes those that every trial so far had. A conditional number that the first few happen to
    have is one of them, and once it is missing everything is drawn at random for good.
    """

    def __init__(self, numbers: dict[str, BaseDistribution], **settings: Any) -> None:
        super().__init__(**settings)
        self._given = numbers

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, BaseDistribution]:
        """The given numbers."""
        return self._given
