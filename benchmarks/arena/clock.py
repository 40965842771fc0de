"""Simulated parallel time: workers, a heap of finishing times, and Ray's calls in Ray's order.

A free worker asks at once; a trial takes the seconds that its problem says. With a scheduler a trial reports
after each iteration: first the scheduler judges; if the trial goes on the searcher hears of the report, else
of the end alone (`TuneController._process_trial_result`). Without one it reports once, at its end.
"""

from __future__ import annotations

import copy
import heapq
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from benchmarks.arena.problem import Outcome, Problem

METRIC = "loss"


@dataclass(slots=True)
class Run:
    """What a search did; one entry a trial, in the order in which they ended."""

    loss: list[float] = field(default_factory=list)
    """As reported last."""
    truth: list[float] = field(default_factory=list)
    """Regret of the true loss of a full training."""
    iterations: list[int] = field(default_factory=list)
    ended_s: list[float] = field(default_factory=list)
    """Simulated."""
    idle_s: float = 0.0
    """Simulated seconds that workers waited for a suggestion, all together."""


@dataclass(slots=True)
class _Trial:
    """What ASHA needs of Ray's Trial."""

    trial_id: str
    config: dict[str, Any]
    outcome: Outcome
    noise: np.random.Generator
    iteration: int = 0
    status: str = "RUNNING"


def run(
    problem: Problem,
    searcher: Searcher,
    *,
    workers: int,
    trials: int | None = None,
    trainings: float | None = None,
    scheduler: TrialScheduler | None = None,
    seed: int = 0,
) -> Run:
    """One search, to its `trials` or until as many iterations as so many full `trainings` have run."""
    found = Run()
    running: list[tuple[float, int, _Trial]] = []
    idle = [0.0] * workers  # since when
    started = ran = 0
    now = 0.0
    budget = math.inf if trainings is None else trainings * problem.max_t
    searcher.set_search_properties(METRIC, "min", copy.deepcopy(problem.space))  # it may take `when` out
    if scheduler is not None:
        scheduler.set_search_properties(METRIC, "min")
    while True:
        while idle and (trials is None or started < trials) and ran < budget:
            config = searcher.suggest(f"{started:05d}")
            if config is None or config == "FINISHED":
                break
            outcome, noise = problem.train([config])[0], np.random.default_rng([seed, started])
            one = _Trial(f"{started:05d}", config, outcome, noise)
            found.idle_s += now - idle.pop(0)
            started += 1
            if scheduler is not None:
                scheduler.on_trial_add(None, one)  # type: ignore[arg-type]
            step = one.outcome.seconds * (1 if scheduler is not None else problem.max_t)
            heapq.heappush(running, (now + step, started, one))
        if not running:
            return found
        now, order, one = heapq.heappop(running)
        one.iteration += 1 if scheduler is not None else problem.max_t
        ran += 1 if scheduler is not None else problem.max_t
        scale = problem.noise * (problem.middle - problem.optimum)
        reported = float(one.outcome.losses[one.iteration - 1]) + scale * float(one.noise.standard_normal())
        result = {METRIC: reported, "training_iteration": one.iteration, "trial_id": one.trial_id}
        verdict = TrialScheduler.CONTINUE
        if scheduler is not None:
            verdict = scheduler.on_trial_result(None, one, result)  # type: ignore[arg-type]
        if verdict == TrialScheduler.CONTINUE and one.iteration < problem.max_t:
            searcher.on_trial_result(one.trial_id, result)
            heapq.heappush(running, (now + one.outcome.seconds, order, one))
            continue
        if scheduler is not None:
            scheduler.on_trial_complete(None, one, result)  # type: ignore[arg-type]
        searcher.on_trial_complete(one.trial_id, {**result, "done": True})
        idle.append(now)
        found.loss.append(reported)
        found.truth.append(problem.regret(float(one.outcome.losses[-1])))
        found.iterations.append(one.iteration)
        found.ended_s.append(now)


def incumbents(run: Run, max_t: int, share: float = 0.0) -> np.ndarray[Any, Any]:
    """Regret after each ended trial: the true one of the trial whose REPORTED loss was least.

    Trials that ended before `share` of a full training are no incumbents.
    """
    best, regret, found = math.inf, math.nan, []
    for loss, truth, iteration in zip(run.loss, run.truth, run.iterations, strict=True):
        if loss < best and iteration >= share * max_t:
            best, regret = loss, truth
        found.append(regret)
    return np.array(found)
