"""BOHB's model: multivariate TPE and a share of random suggestions (Falkner et al. 2018, arXiv:1807.01774),
with the defaults of its authors' code HpBandSter.

BOHB is this model beside HyperBand: in a sweep `search="bohb"` brings the scheduler `bohb` along where none
is named. Two departures: the densities are Optuna's (`TPESampler`), and only trials that came at least
half-way are learned from (the gate), where BOHB takes the deepest rung that has enough; with a grace period
of one report its rule does worse than random search (docs/log.md). Cost: that of `tpe`.
"""

from __future__ import annotations

from typing import Unpack

import numpy as np

from search_algs.ask_tell import Shared, Unit
from search_algs.optuna_sampler import OptunaSampler


class Bohb(OptunaSampler):
    """BOHB's model.

    Args:
        random_fraction: share of suggestions drawn at random, in [0, 1]; it keeps the search from settling.
        n_startup_trials: results at random before the model is used; None: twice as many as there are
            parameters, and two: one more than parameters for each of its two densities.
        n_ei_candidates: candidates drawn from the good density, the best of which is suggested.
    """

    def __init__(
        self,
        *,
        random_fraction: float = 1 / 3,
        n_startup_trials: int | None = None,
        n_ei_candidates: int = 64,
        **shared: Unpack[Shared],
    ) -> None:
        if not 0 <= random_fraction <= 1:
            raise ValueError(f"random_fraction is {random_fraction!r}; it must lie in [0, 1]")
        self._random, self._startup = random_fraction, n_startup_trials
        settings = {"multivariate": True, "n_ei_candidates": n_ei_candidates}
        if n_startup_trials is not None:
            settings["n_startup_trials"] = n_startup_trials
        super().__init__(sampler="TPESampler", settings=settings, **shared)

    def start(self) -> None:
        """An empty study."""
        if self._startup is None:
            self._settings["n_startup_trials"] = 2 * (len(self.space) + 1)
        super().start()

    def ask(self, number: int, rng: np.random.Generator) -> Unit:
        """TPE's point, or a random one."""
        if rng.random() < self._random:
            self.skip(number)
            return self.space.sample(rng)
        return super().ask(number, rng)
