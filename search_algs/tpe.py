"""Tree-structured Parzen estimator: Optuna's `TPESampler` with its defaults (Bergstra et al., NeurIPS 2011;
Watanabe 2023, arXiv:2304.11127).

Cost: 8 ms a suggestion after 10 results, 40 to 60 ms after 1,000, half a second after 10,000. Several
objectives: MOTPE.
"""

from __future__ import annotations

from typing import Unpack

from search_algs.ask_tell import Shared
from search_algs.optuna_sampler import OptunaSampler


class Tpe(OptunaSampler):
    """TPE.

    Args:
        n_startup_trials: results at random before the model is used.
        n_ei_candidates: candidates drawn from the good density, the best of which is suggested.
        multivariate: model parameters jointly; None: Optuna's default (for one objective).
        group: with `multivariate`, model each group of parameters that occur together (conditional spaces).
        constant_liar: count running trials as bad, so that parallel suggestions spread.
    """

    def __init__(
        self,
        *,
        n_startup_trials: int = 10,
        n_ei_candidates: int = 24,
        multivariate: bool | None = None,
        group: bool = False,
        constant_liar: bool = True,
        **shared: Unpack[Shared],
    ) -> None:
        settings = {
            "n_startup_trials": n_startup_trials,
            "n_ei_candidates": n_ei_candidates,
            "multivariate": multivariate,
            "group": group,
            "constant_liar": constant_liar,
        }
        super().__init__(sampler="TPESampler", settings=settings, **shared)
