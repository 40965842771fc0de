"""What is played: problems, seeds, workers, budgets and competitors of each suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from benchmarks.arena.lcbench import HELD_OUT, TUNED, lcbench
from benchmarks.arena.problem import Problem
from benchmarks.arena.synthetic import NAMES, synthetic


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Games that one table sums up."""

    about: str
    problems: dict[str, Callable[[int], Problem]]
    """From a seed to the problem, by name."""
    searchers: tuple[str, ...]
    seeds: int = 5
    seeds_of: Mapping[str, int] = field(default_factory=dict)
    """Fewer, for competitors that take long."""
    workers: tuple[int, ...] = (8, 32)
    trials: int | None = 200
    trainings: float | None = None
    """Budget in full trainings, with a scheduler."""
    grace: int | None = None
    """ASHA's grace period; None: no scheduler."""

    def games(self) -> Iterator[Game]:
        """Every game, those of one problem and seed beside one another."""
        for seed in range(self.seeds):
            for problem in self.problems:
                for workers in self.workers:
                    for searcher in self.searchers:
                        few = seed >= self.seeds_of.get(searcher, self.seeds)
                        if not few and (problem, searcher) not in IMPOSSIBLE:
                            yield Game(problem, seed, workers, searcher)


@dataclass(frozen=True, slots=True)
class Game:
    """One search."""

    problem: str
    seed: int
    workers: int
    searcher: str


IMPOSSIBLE = frozenset({("conditional-7", "Ray HyperOptSearch")})
"""It refuses a space with conditions."""


def _task(task: str, seed: int) -> Problem:
    return lcbench(task)


LCBENCH = {f"lcbench-{task}": partial(_task, task) for task in TUNED + HELD_OUT}
SLOW = (
    "pyswarms, defaults",
    "Ray NevergradSearch (NGOpt)",
    "Ray HyperOptSearch",
    "Ray OptunaSearch (TPE)",
)
BELIEVERS = ("tpe, no gate", "Ray OptunaSearch (TPE)", "Optuna TPE, pruning")
"""They take the last value of a stopped trial for a result."""
ASHA = ("random", "bayesian", "pso", "tpe", *BELIEVERS)
SUITES: dict[str, Suite] = {
    "lcbench": Suite(
        about="LCBench, 12 tasks, 200 trials, no scheduler",
        problems=LCBENCH,
        searchers=(
            "random",
            "sobol",
            "pso",
            "bayesian",
            "bayesian, with max_t",
            "tpe",
            "cmaes",
            "pso, generations",
            "pyswarms, constriction",
            "pyswarms, defaults",
            "Ray NevergradSearch (PSO)",
            "Ray NevergradSearch (NGOpt)",
            "Ray HyperOptSearch",
            "Ray OptunaSearch (TPE)",
        ),
        seeds_of={name: 2 for name in SLOW},
    ),
    "lcbench-100": Suite(
        about="LCBench, the 6 held-out tasks, 100 trials, with those that take seconds a suggestion",
        problems={name: LCBENCH[name] for name in list(LCBENCH)[6:]},
        searchers=("random", "pso", "bayesian", "tpe", "gp", "Syne Tune KDE", "Syne Tune BORE"),
        seeds=1,
        workers=(8,),
        trials=100,
    ),
    "asha-4": Suite(
        about="LCBench under ASHA (factor 3, grace period 4), 12 tasks, 40 full trainings",
        problems=LCBENCH,
        searchers=ASHA,
        seeds_of={name: 2 for name in BELIEVERS},
        trials=None,
        trainings=40,
        grace=4,
    ),
    "asha-1": Suite(
        about="LCBench under ASHA (factor 3, grace period 1), 12 tasks, 40 full trainings",
        problems=LCBENCH,
        searchers=ASHA,
        seeds_of={name: 2 for name in BELIEVERS},
        trials=None,
        trainings=40,
        grace=1,
    ),
    "synthetic": Suite(
        about="9 functions with known optima, 150 trials",
        problems={name: partial(synthetic, name) for name in NAMES},
        searchers=("random", "sobol", "pso", "bayesian", "tpe", "cmaes", "Ray HyperOptSearch"),
        seeds=3,
        workers=(8,),
        trials=150,
    ),
}
