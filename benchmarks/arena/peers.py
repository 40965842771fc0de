"""Who competes: our algorithms, and what a user would take instead, each in the form in which it is used.

Everything of others that Ray Tune wraps comes through Ray's wrapper. pyswarms evaluates a whole generation at
once and has no ask and tell, so that it runs in a thread of its own.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
from ray.tune.search import Searcher

import search_algs
from benchmarks.arena.problem import Problem
from benchmarks.arena.pruning import Pruning
from benchmarks.arena.synchronous import Pyswarms

Build = Callable[[Problem, int, int | None], Searcher]
"""From a problem, a seed and the scheduler's max_t (None without one) to a searcher."""


def ours(name: str, gate: bool = True, **settings: Any) -> Build:
    """One of Starling's, told the scheduler's max_t where there is a scheduler."""

    def build(problem: Problem, seed: int, max_t: int | None) -> Searcher:
        return search_algs.build(name, seed=seed, max_t=max_t if gate else None, **settings)

    return build


def _ray_optuna(problem: Problem, seed: int, max_t: int | None) -> Searcher:
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return OptunaSearch(sampler=optuna.samplers.TPESampler(seed=seed))


def _ray_hyperopt(problem: Problem, seed: int, max_t: int | None) -> Searcher:
    from ray.tune.search.hyperopt import HyperOptSearch

    logging.getLogger("hyperopt").setLevel(logging.ERROR)
    return HyperOptSearch(random_state_seed=seed)


def _ray_nevergrad(optimizer: str) -> Build:
    def build(problem: Problem, seed: int, max_t: int | None) -> Searcher:
        import nevergrad
        from ray.tune.search.nevergrad import NevergradSearch

        warnings.simplefilter("ignore")
        np.random.seed(seed)  # noqa: NPY002  (Nevergrad draws from it)
        return NevergradSearch(
            optimizer=nevergrad.optimizers.registry[optimizer], optimizer_kwargs={"budget": 200}
        )

    return build


PEERS: dict[str, Build] = {
    "random": ours("random"),
    "pso": ours("pso"),
    "pso, generations": ours("pso", generational=True, swarm_size=10),
    "bayesian": ours("bayesian"),
    "tpe": ours("tpe"),
    "tpe, no gate": ours("tpe", gate=False),
    "cmaes": ours("cmaes"),
    "gp": ours("gp"),
    "sobol": ours("sobol"),
    "pyswarms, constriction": lambda problem, seed, max_t: Pyswarms("constriction", seed),
    "pyswarms, defaults": lambda problem, seed, max_t: Pyswarms("defaults", seed),
    "Ray OptunaSearch (TPE)": _ray_optuna,
    "Optuna TPE, pruning": lambda problem, seed, max_t: Pruning(seed, problem.max_t),
    "Ray HyperOptSearch": _ray_hyperopt,
    "Ray NevergradSearch (PSO)": _ray_nevergrad("PSO"),
    "Ray NevergradSearch (NGOpt)": _ray_nevergrad("NGOpt"),
}
