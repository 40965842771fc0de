"""Who competes: our algorithms, and what a user would take instead, each in the form in which it is used.

Everything of others that Ray Tune wraps comes through Ray's wrapper, with the settings that it or its library
has by default; what they can be told of a sweep (seed, workers, number of trials) they are told. `tpe`,
`cmaes` and `gp` are Optuna's samplers inside our template.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from ray.tune.search import Searcher

import search_algs


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a competitor may know of a game beforehand."""

    seed: int
    workers: int
    max_t: int
    """Iterations of a full training."""
    trials: int | None
    """How many there will be; None: nobody knows."""
    stops: bool
    """Whether a scheduler ends trials early."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One competitor."""

    build: Callable[[Rules], Searcher]
    library: str | None = None
    """What must be installed for it beyond Starling's own requirements."""
    hears_all: bool = False
    """It hears of every iteration even where nothing is stopped; the others then of ends only."""


def ours(name: str, told: str = "where trials are stopped", **settings: Any) -> Peer:
    """One of Starling's; `told` says when it knows of `max_t`: "never", "always", or so."""

    def build(rules: Rules) -> Searcher:
        knows = told == "always" or (told != "never" and rules.stops)
        return search_algs.build(name, seed=rules.seed, max_t=rules.max_t if knows else None, **settings)

    return Peer(build, hears_all=told == "always")


def _particles(rules: Rules) -> int:
    """Of a swarm with generations, so that no worker is without one; pyswarms' best of 8, 10, 16, 24 for 8
    workers and of 10, 16, 32, 64 for 32 (regret when random search ends, LCBench's tuned tasks, 4 seeds)."""
    return max(24, rules.workers)


def _generations(rules: Rules) -> Searcher:
    return search_algs.build("pso", seed=rules.seed, generational=True, swarm_size=_particles(rules))


def _ray_optuna(rules: Rules) -> Searcher:
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return OptunaSearch(sampler=optuna.samplers.TPESampler(seed=rules.seed))


def _optuna_pruning(rules: Rules) -> Searcher:
    from benchmarks.arena.pruning import Pruning

    return Pruning(rules.seed, rules.max_t)


def _ray_hyperopt(rules: Rules) -> Searcher:
    from ray.tune.search.hyperopt import HyperOptSearch

    logging.getLogger("hyperopt").setLevel(logging.ERROR)
    return HyperOptSearch(random_state_seed=rules.seed)


def _ray_nevergrad(optimizer: str) -> Callable[[Rules], Searcher]:
    def build(rules: Rules) -> Searcher:
        import nevergrad
        from ray.tune.search.nevergrad import NevergradSearch

        warnings.simplefilter("ignore")
        np.random.seed(rules.seed)  # noqa: NPY002  (Nevergrad draws from it)
        return NevergradSearch(
            optimizer=nevergrad.optimizers.registry[optimizer],
            optimizer_kwargs={"budget": rules.trials, "num_workers": rules.workers},
        )

    return build


def _pyswarms(settings: str) -> Callable[[Rules], Searcher]:
    def build(rules: Rules) -> Searcher:
        from benchmarks.arena.synchronous import Pyswarms

        return Pyswarms(settings, rules.seed, particles=_particles(rules), trials=rules.trials or 1000)

    return build


def _syne_tune(name: str) -> Callable[[Rules], Searcher]:
    def build(rules: Rules) -> Searcher:
        from benchmarks.arena.syne_tune import SyneTune

        return SyneTune(name, rules.seed)

    return build


PEERS: dict[str, Peer] = {
    "random": ours("random"),
    "sobol": ours("sobol"),
    "pso": ours("pso"),
    "pso, generations": Peer(_generations),
    "bayesian": ours("bayesian"),
    "bayesian, with max_t": ours("bayesian", told="always"),
    "tpe": ours("tpe"),
    "tpe, no gate": ours("tpe", told="never"),
    "cmaes": ours("cmaes"),
    "gp": ours("gp"),
    "Ray OptunaSearch (TPE)": Peer(_ray_optuna),
    "Optuna TPE, pruning": Peer(_optuna_pruning),
    "Ray HyperOptSearch": Peer(_ray_hyperopt, "hyperopt"),
    "Ray NevergradSearch (PSO)": Peer(_ray_nevergrad("PSO"), "nevergrad"),
    "Ray NevergradSearch (NGOpt)": Peer(_ray_nevergrad("NGOpt"), "nevergrad"),
    "pyswarms, constriction": Peer(_pyswarms("constriction"), "pyswarms"),
    "pyswarms, defaults": Peer(_pyswarms("defaults"), "pyswarms"),
    "Syne Tune KDE": Peer(_syne_tune("kde"), "syne_tune"),
    "Syne Tune BORE": Peer(_syne_tune("bore"), "syne_tune"),
}
