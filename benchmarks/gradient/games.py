"""Who plays, and what is kept of a game: a Parquet file, judged by data and seeds that no search saw."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from ray.tune.search import Searcher

import search_algs
from benchmarks.games import notes
from benchmarks.gradient.clock import incumbents, run
from benchmarks.gradient.digits import Digits
from benchmarks.gradient.problem import Problem
from benchmarks.gradient.ridge import Ridge
from benchmarks.gradient.trust_region import TrustRegion
from search_algs.space import Space

Array = NDArray[np.float64]
WORKERS, BUDGET = 4, 200.0
"""Trials at once; plain trainings that a search may cost."""
PRICED = 12
"""Configurations on which the way back is timed."""


def _ours(name: str) -> Callable[[int], Searcher]:
    return lambda seed: search_algs.build(name, seed=seed)


SEARCHERS: dict[str, Callable[[int], Searcher]] = {
    **{name: _ours(name) for name in ("random", "tpe", "cmaes", "pso", "bayesian", "gradient")},
    "trust region": lambda seed: TrustRegion(seed=seed, workers=WORKERS),
}
PROBLEMS: dict[str, Callable[[int], Problem]] = {
    f"{name}-{k}": lambda seed, make=make, k=k: make(k, seed)
    for name, make in (("digits", Digits), ("ridge", Ridge))
    for k in (4, 20, 100)
}


class Game(NamedTuple):
    """One search of one problem."""

    problem: str
    seed: int
    searcher: str


def games(seeds: int) -> Iterator[Game]:
    """All of them; those of one seed have the same data."""
    for seed in range(seeds):
        for problem in PROBLEMS:
            for searcher in SEARCHERS:
                yield Game(problem, seed, searcher)


def price(problem: Problem) -> float:
    """What a training and the way back cost more than a training alone, in plain trainings of this machine.

    The median over random configurations, each timed once after a first that is not counted.
    """
    space, rng, ratios = Space(problem.space), np.random.default_rng(0), []
    for number in range(PRICED + 1):
        config = space.decode(space.sample(rng))
        began = time.process_time()
        problem.loss(config, number)
        between = time.process_time()
        problem.slopes(config, number)
        ratios.append((time.process_time() - between) / (between - began))
    return float(np.median(ratios[1:])) - 1


def path(folder: Path, game: Game) -> Path:
    """Where a game's rows lie."""
    return folder / game.problem / f"{game.seed}-{game.searcher.replace(' ', '-')}.parquet"


def play(game: Game, folder: Path, cost: float, played: dict[str, str]) -> None:
    """Search, judge every incumbent, write one row a trial."""
    problem = PROBLEMS[game.problem](game.seed)
    found = run(
        problem, SEARCHERS[game.searcher](game.seed), price=cost, budget=BUDGET, workers=WORKERS,
        seed=game.seed,
    )  # fmt: skip
    best = incumbents(found)
    judged = {i: problem.judge(found.config[i]) for i in {*best} if i >= 0}
    columns: dict[str, Any] = {
        "trial": list(range(len(best))),
        "cost": found.cost,
        "ended": found.time,
        "loss": found.loss,
        "incumbent": [judged.get(i, np.nan) for i in best],
    }
    where = path(folder, game)
    where.parent.mkdir(parents=True, exist_ok=True)
    kept = {**played, "price": f"{cost:.2f}", "suggest_s": f"{found.suggest_s:.3f}"}
    pq.write_table(pa.table(columns).replace_schema_metadata(kept), where.with_suffix(".part"))
    where.with_suffix(".part").rename(where)


def read(folder: Path, seeds: int) -> dict[Game, dict[str, Any]]:
    """Every game that was played: its columns as arrays, its notes as text."""
    found = {}
    for game in games(seeds):
        if path(folder, game).exists():
            table = pq.read_table(path(folder, game))
            columns = {name: table[name].to_numpy() for name in ("cost", "incumbent")}
            found[game] = {**columns, "notes": notes(table.schema)}
    return found
