"""Gaussian process with log expected improvement: Optuna's `GPSampler` with its defaults (needs torch).

Cost: about a second a suggestion after 10 results, 5 to 7 after 1,000: for trials that take minutes.
Several objectives: expected hypervolume improvement.
"""

from __future__ import annotations

from typing import Unpack

from search_algs.ask_tell import Shared
from search_algs.optuna_sampler import OptunaSampler


class Gp(OptunaSampler):
    """GP search.

    Args:
        n_startup_trials: results at random before the model is used.
        deterministic_objective: the same configuration always gives the same loss (no noise is fitted).
    """

    def __init__(
        self, *, n_startup_trials: int = 10, deterministic_objective: bool = False, **shared: Unpack[Shared]
    ) -> None:
        settings = {"n_startup_trials": n_startup_trials, "deterministic_objective": deterministic_objective}
        super().__init__(sampler="GPSampler", settings=settings, **shared)
