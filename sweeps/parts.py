"""The parts that a sweep's fields name: its search algorithm, its scheduler, and how long a training is."""

from typing import Any

from ray.tune.schedulers import TrialScheduler

import search_algs
from search_algs import AskTell
from sweeps import schedulers
from sweeps.spec import SpecError, Sweep
from trainables import Program


def searcher(sweep: Sweep, program: Program) -> AskTell:
    """The search algorithm, told of metric and space."""
    if isinstance(sweep.search, AskTell):
        found = sweep.search
    else:
        name, given = sweep.search_choice
        shared: dict[str, Any] = {"seed": sweep.seed, "constraints": tuple(sweep.constraints)}
        shared["max_t"] = full_training(sweep, program)
        found = search_algs.build(name, **(shared | given))
    several = len(sweep.metrics) > 1
    metric: Any = list(sweep.metrics) if several else sweep.metrics[0]
    mode: Any = list(sweep.modes) if several else sweep.modes[0]
    found.set_search_properties(metric, mode, sweep.param_space)
    return found


def scheduler(sweep: Sweep, program: Program) -> TrialScheduler:
    """The scheduler.

    Raises:
        SpecError: its parameters do not go with this sweep.
    """
    name, given = sweep.scheduler_choice
    try:
        return schedulers.build(
            name,
            given,
            metric=sweep.metrics[0],
            mode=sweep.modes[0],
            max_iterations=length(sweep, program),
            space=sweep.search_space(),
            mutable=program.mutable if program.hyperparameters is not None else None,
        )
    except ValueError as error:
        raise SpecError([f"scheduler: {error}"]) from error


def length(sweep: Sweep, program: Program) -> int | None:
    """Reports of a full training: the sweep's word, else the trainable's."""
    return sweep.max_iterations or program.reports(sweep.fixed)


def full_training(sweep: Sweep, program: Program) -> int | None:
    """Reports after which no scheduler stops a trial any more; None if none does, or nobody knows."""
    return schedulers.full_training(*sweep.scheduler_choice, length(sweep, program))
