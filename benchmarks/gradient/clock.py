"""Simulated parallel time in which a way back through a training has its price.

A plain trial costs 1 and takes 1; one that comes back with derivatives 1 + the measured price. A free worker
asks at once, and searches end when the budget is spent. Trials obey `_hypergrad_if_below` as trainables do.
"""

from __future__ import annotations

import copy
import heapq
import math
import time
from dataclasses import dataclass, field
from typing import Any

from ray.tune.search import Searcher

from benchmarks.gradient.problem import Problem, Slopes
from trainables.hypergrad.trust import trusted

METRIC = "val_loss"


@dataclass(slots=True)
class Search:
    """What a search did; one entry a trial, in the order in which they ended."""

    config: list[dict[str, Any]] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    cost: list[float] = field(default_factory=list)
    """In plain trials, summed up."""
    time: list[float] = field(default_factory=list)
    """Simulated, in plain trials."""
    suggest_s: float = 0.0


def run(
    problem: Problem, searcher: Searcher, *, price: float, budget: float, workers: int, seed: int
) -> Search:
    """One search; `price` is that of a way back, in plain trials."""
    found = Search()
    running: list[tuple[float, int, dict[str, Any], dict[str, Any], float]] = []
    spent = now = 0.0
    free, number = workers, 0
    searcher.set_search_properties(METRIC, "min", copy.deepcopy(problem.space))
    while True:
        while free and spent < budget:
            began = time.process_time()
            config = searcher.suggest(f"{number:05d}")
            found.suggest_s += time.process_time() - began
            asides = {key: config.pop(key) for key in [*config] if key.startswith("_")}
            training_seed = asides.get("_seed", number + 1) + 100_000 * (seed + 1)
            report, sweep = trial(problem, config, training_seed, asides)
            cost = 1 + price * sweep
            spent += cost
            heapq.heappush(running, (now + cost, number, config, report, cost))
            number, free = number + 1, free - 1
        if not running:
            return found
        now, order, config, report, cost = heapq.heappop(running)
        free += 1
        began = time.process_time()
        searcher.on_trial_complete(f"{order:05d}", {**report, "training_iteration": 1})
        found.suggest_s += time.process_time() - began
        found.config.append(config)
        found.loss.append(report[METRIC])
        found.cost.append(cost + (found.cost[-1] if found.cost else 0.0))
        found.time.append(now)


def trial(
    problem: Problem, config: dict[str, Any], seed: int, asides: dict[str, Any]
) -> tuple[dict[str, Any], bool]:
    """What a trial reports, and whether it went the way back."""
    loss = problem.loss(config, seed)
    below = asides.get("_hypergrad_if_below")
    asked = asides.get("_hypergrad_of") == METRIC and (below is None or loss < below)
    if not asked or not math.isfinite(loss):
        return {METRIC: loss}, False
    return {METRIC: loss} | reported(problem.slopes(config, seed)), True


def reported(slopes: Slopes) -> dict[str, float]:
    """As the engine of a trainable reports derivatives."""
    finite = all(map(math.isfinite, slopes.values.values()))
    found = {f"hypergrad/{name}": slope for name, slope in slopes.values.items()} if finite else {}
    return found | {"hypergrad/_trusted": float(finite and trusted(slopes.growth, None))}


def incumbents(search: Search) -> list[int]:
    """After each ended trial the number of the one whose reported loss is least; -1 before the first."""
    best, found = -1, []
    for i, loss in enumerate(search.loss):
        if math.isfinite(loss) and (best < 0 or loss < search.loss[best]):
            best = i
        found.append(best)
    return found
