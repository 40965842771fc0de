"""Non-dominated sorting genetic algorithm II: Optuna's `NSGAIISampler` with its defaults (Deb et al., IEEE
TEC 6, 2002), for several objectives.

Cost: 2 ms a suggestion after 10 results, 25 ms after 1,000, 150 ms after 10,000. Within 60 trials of one
objective it was no better than random search. The results of a warm start are the first generation: if they
are as many as `population_size`, the search begins with the children of their elite.
"""

from __future__ import annotations

from typing import Unpack

from search_algs.ask_tell import Shared
from search_algs.optuna_sampler import OptunaSampler


class Nsga2(OptunaSampler):
    """NSGA-II.

    Args:
        population_size: results a generation.
        mutation_prob: that a parameter is drawn anew; None: one over the number of parameters.
        crossover_prob: that a child has several parents.
        swapping_prob: that a parameter is swapped between parents.
    """

    def __init__(
        self,
        *,
        population_size: int = 50,
        mutation_prob: float | None = None,
        crossover_prob: float = 0.9,
        swapping_prob: float = 0.5,
        **shared: Unpack[Shared],
    ) -> None:
        settings = {
            "population_size": population_size,
            "mutation_prob": mutation_prob,
            "crossover_prob": crossover_prob,
            "swapping_prob": swapping_prob,
        }
        super().__init__(sampler="NSGAIISampler", settings=settings, **shared)
