"""`starling cluster plan`: a sweep simulated on a cluster, once a seed, and what that says in numbers.

Each seed is one whole simulation with its own search, scheduler draws, boots, refusals and preemptions; the
seeds are shared out over processes. What is assumed is part of the answer (`Plan.notes`).
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import ray

from cluster.cluster_file import Cluster
from cluster.fitting import amounts, fit
from cluster.planning import Assumptions, Simulation
from cluster.planning.cost import cost, prices_of
from cluster.planning.work import Moment
from cluster.prices import STALE_DAYS, NodePrice, Prices, age
from sweeps import parts
from sweeps.planning.curves import Curves, Earlier, Model
from sweeps.planning.virtual import VirtualSweep
from sweeps.results import Results
from sweeps.spec import SpecError, Sweep

QUANTILES = (10, 50, 90)
QUANTITIES = {
    "makespan_h": "makespan, h",
    "node_hours": "node-hours",
    "dollars_low": "dollars, all spot",
    "dollars": "dollars, expected",
    "dollars_high": "dollars, all on demand",
    "boot_dollars": "  of the expected: boots",
    "idle_dollars": "  of the expected: idle, the head's time included",
    "trial_dollars": "  of the expected: a trial, mean",
    "peak_nodes": "most nodes at a time",
    "preemptions": "nodes taken away",
    "refusals": "launches refused",
}
"""What is told of a plan: key -> words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seed:
    """What one simulation gave."""

    numbers: Mapping[str, float]
    """By the keys of `QUANTITIES`."""
    states: Mapping[str, int]
    """Trials that completed and that were stopped."""
    moments: Sequence[Moment]
    repeated: int
    """Configurations that were drawn again instead of asked for."""
    unplaced: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The answer."""

    seeds: Sequence[Seed]
    fits: int
    """Trials at once at the cluster's largest."""
    notes: Sequence[str]
    """What was assumed, a sentence each."""

    def quantiles(self, key: str) -> tuple[float, ...]:
        """p10, p50 and p90 over the seeds."""
        found = np.percentile([one.numbers[key] for one in self.seeds], QUANTILES)
        return tuple(float(value) for value in found)

    @property
    def typical(self) -> Seed:
        """The seed whose makespan is the median one."""
        return sorted(self.seeds, key=lambda one: one.numbers["makespan_h"])[len(self.seeds) // 2]


def plan(
    sweep: Sweep,
    cluster: Cluster,
    *,
    seeds: int = 5,
    results: Results | None = None,
    seconds_per_report: float = 60.0,
    prices: Prices | None = None,
    assumptions: Assumptions | None = None,
    suggestions: int = 500,
    processes: int | None = None,
    progress: Callable[[str], None] = lambda words: None,
) -> Plan:
    """Simulate a sweep on a cluster.

    Args:
        seeds: how many simulations; the sweep's own seed is the first.
        results: of an earlier sweep, for learning curves and times; None: `sweeps.planning.curves.Model`.
        seconds_per_report: of that model.
        prices: None: the shipped ones, and over them those of the sweep's own file.
        assumptions: about cloud and Ray; None: the defaults.
        suggestions: asked of a search algorithm that learns, a seed (`VirtualSweep`).
        processes: at most; None: as many as there are cores.
        progress: told how far it is.

    Raises:
        SpecError: the sweep names no trainable or number of trials, or no trial fits the cluster.
        ValueError: a price is not known, or the earlier results are of no use here.
    """
    if seeds < 1:
        raise ValueError(f"seeds is {seeds}; simulate at least once")
    assumptions = assumptions or Assumptions()
    program = sweep.program()
    problems = []
    if program is None:
        problems.append("trainable: is missing; a plan needs to know what a trial trains")
    if sweep.trials is None and sweep.search_choice[0] != "grid":
        problems.append("trials: is missing; say how many with --trials N")
    room = fit(cluster, sweep.bundle, sweep.ranks)
    problems += [f"resources: no trial fits {cluster.name}: {reason}" for reason in room.obstacles]
    if problems or program is None:
        raise SpecError(problems, f"this sweep cannot be planned on {cluster.path}")
    known = prices_of(cluster, prices or Prices.load(sweep.prices))
    curves = _curves(sweep, parts.length(sweep, program), results, seconds_per_report)

    def simulate(k: int) -> Seed:
        seed = sweep.seed + k
        work = VirtualSweep(sweep, curves, fits=room.trials, seed=seed, suggestions=suggestions)
        simulation = Simulation(
            cluster, work, bundle=sweep.bundle, ranks=sweep.ranks, assumptions=assumptions, seed=seed
        )
        work.simulation = simulation
        return _numbers(simulation, work, known)

    with _quiet():
        found = _in_processes(simulate, seeds, processes or os.cpu_count() or 1, progress)
    notes = [curves.words, *_notes(sweep, cluster, assumptions, known, found, suggestions)]
    return Plan(seeds=found, fits=room.trials, notes=notes)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Ray's PBT tells of every copy."""
    logger = logging.getLogger("ray.tune")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _numbers(simulation: Simulation, work: VirtualSweep, prices: Mapping[str, NodePrice]) -> Seed:
    outcome = simulation.run()
    bill = cost(outcome, prices)
    states = work.conductor.history.states
    trials = max(1, sum(states.values()))
    numbers = {
        "makespan_h": outcome.makespan_s / 3600,
        "node_hours": bill.node_hours,
        "dollars_low": bill.low,
        "dollars": bill.expected,
        "dollars_high": bill.high,
        "boot_dollars": bill.split.boot,
        "idle_dollars": bill.split.idle,
        "trial_dollars": sum(bill.split.trials.values()) / trials,
        "peak_nodes": max(one.up for one in outcome.moments),
        "preemptions": outcome.preemptions,
        "refusals": outcome.refusals,
    }
    return Seed(
        numbers=numbers,
        states=dict(states),
        moments=outcome.moments,
        repeated=work.searcher.repeated,
        unplaced=outcome.unplaced,
    )


def _curves(sweep: Sweep, length: int | None, results: Results | None, seconds: float) -> Curves:
    space = sweep.search_space()
    if results is not None:
        return Earlier(results, space, sweep.metrics, length=length, seed=sweep.seed)
    if length is None:
        problem = (
            "max_iterations: is missing, and nobody else says how many reports a full training makes; give "
            "--max-iterations N, or --results PATH of an earlier sweep"
        )
        raise SpecError([problem], "this sweep cannot be planned")
    return Model(space, sweep.metrics, sweep.modes, length=length, seconds=seconds, seed=sweep.seed)


def _in_processes(
    simulate: Callable[[int], Seed], seeds: int, processes: int, progress: Callable[[str], None]
) -> list[Seed]:
    """Every seed's simulation, in processes forked from this one: a sweep may hold what cannot be pickled.

    One after the other where a Ray runs in this process, whose threads and signal handlers forks do not bear.
    """
    began, found = time.monotonic(), list[Seed]()

    def note(one: Seed) -> None:
        found.append(one)
        hours = one.numbers["makespan_h"]
        spent = time.monotonic() - began
        progress(f"seed {len(found)} of {seeds}: {hours:.2f} h simulated, {spent:.0f} s after the start")

    forks = "fork" in multiprocessing.get_all_start_methods() and not ray.is_initialized()
    if min(seeds, processes) == 1 or not forks:
        for k in range(seeds):
            note(simulate(k))
        return found
    global _simulate
    _simulate = simulate
    with multiprocessing.get_context("fork").Pool(min(seeds, processes)) as pool:
        for one in pool.imap(_call, range(seeds)):
            note(one)
        pool.close()
        pool.join()
    return found


_simulate: Callable[[int], Seed]
"""What a forked process runs; a closure cannot be sent to one."""


def _call(k: int) -> Seed:
    return _simulate(k)


def _notes(
    sweep: Sweep,
    cluster: Cluster,
    assumptions: Assumptions,
    prices: Mapping[str, NodePrice],
    seeds: Sequence[Seed],
    suggestions: int,
) -> list[str]:
    """What was assumed and what stands out, a sentence each."""
    a = assumptions
    notes = [
        f"nodes: boots log-normal, median {a.boot_s:g} s; a spot launch is refused with chance {a.refused:g} "
        f"and a spot node taken away {a.preemptions_per_h:g} times an hour (assumed, not measured); trials "
        "go on from their last report",
        f"autoscaler: Ray 2.60's, an update every {a.update_s:g} s and what it computes for each waiting "
        f"trial and node; the bill ends when the last worker has been idle for {cluster.idle_timeout_s:g} s",
    ]
    lines = [line for one in prices.values() for line in one.lines]
    oldest, days = age(lines, date.today())
    stale = f", {days} days ago: give newer ones with --prices FILE" if days > STALE_DAYS else ""
    notes.append(f"prices: {', '.join(sorted({one.source for one in lines}))}; as of {oldest}{stale}")
    if sweep.gpus_per_rank == 0 and any(one.resources.get("GPU") for one in cluster.workers):
        notes.append("the trials use no GPU, and the nodes have some, which are paid for all the same")
    waited = max((one.waiting for seed in seeds for one in seed.moments), default=0)
    if waited > a.visible:
        notes.append(
            f"up to {waited} trials waited at a time, and Ray shows its autoscaler {a.visible} of them, "
            f"which slows the start; RAY_max_placement_group_load_report_size={waited} on the head shows all"
        )
    if repeated := max(one.repeated for one in seeds):
        notes.append(
            f"{sweep.search_choice[0]} was asked for {suggestions} configurations a seed; the other "
            f"{repeated} are drawn from the later half of those (--suggestions N asks for more)"
        )
    if sweep.target is not None:
        notes.append("target: is left out, since the simulated values mean nothing by themselves")
    if sweep.max_cost is not None:
        notes.append(f"max_cost: the sweep would be stopped at {sweep.max_cost:g} dollars, the plan is not")
    if unplaced := max(one.unplaced for one in seeds):
        notes.append(f"{unplaced} trials found no place for a day of simulated time, and the plan gave up")
    return notes


def text(found: Plan, sweep: Sweep, cluster: Cluster) -> str:
    """The plan for people."""
    shape = amounts({k: v for k, v in (("CPU", sweep.cpus_per_rank), ("GPU", sweep.gpus_per_rank)) if v})
    states = found.typical.states
    ended = ", ".join(f"{count} {state}" for state, count in states.items())
    lines = [
        f"{sweep.trials or 'all'} trials of {sweep.ranks} ranks with {shape} each, "
        f"{sweep.search_choice[0]} search, {sweep.scheduler_choice[0]} scheduler",
        f"{cluster.name}: at most {cluster.max_workers} nodes, which hold {found.fits} trials at a time",
        f"median seed: {ended}",
        "",
        f"{f'over {len(found.seeds)} seeds':<50}{'p10':>12}{'p50':>12}{'p90':>12}",
    ]
    for key, words in QUANTITIES.items():
        lines.append(f"{words:<50}" + "".join(f"{_short(value):>12}" for value in found.quantiles(key)))
    return "\n".join([*lines, "", *(f"- {note}" for note in found.notes)])


def to_json(found: Plan) -> dict[str, Any]:
    """The plan for programs."""
    quantiles = {
        key: dict(zip((f"p{q}" for q in QUANTILES), found.quantiles(key), strict=True)) for key in QUANTITIES
    }
    return {
        "fits": found.fits,
        "quantiles": quantiles,
        "seeds": [{**one.numbers, "trials": dict(one.states)} for one in found.seeds],
        "notes": list(found.notes),
    }


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}"
