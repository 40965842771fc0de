"""What earlier sweeps know that this one can use: their good trials, fitted to its space.

A trial's result counts as if it were this sweep's own where it meant the same: the same trainable, metric and
constants, and a training between half and twice as long as one here. Of trials that fall short of that the
best `AGAIN` are tried again at the start; those with a value outside today's ranges are left out. Parameters
that the earlier sweep did not search have the value it gave them, or the trainable's default; where neither
is known, nothing is learned of them.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import yaml

from search_algs.space import Space
from sweeps.results import Results, Trial
from sweeps.spec import Sweep, put

AGAIN = 5
"""Configurations that are tried again at most."""


def problems(sweep: Sweep) -> list[str]:
    """What is wrong with `sweep.warm_start`, a sentence each."""
    found = []
    for path in sweep.warm_start:
        try:
            objectives = Results(path).manifest.objectives
        except (ValueError, OSError) as error:
            found.append(f"warm_start: {error}")
            continue
        wanted = zip(sweep.metrics, sweep.modes, strict=True)
        lacking = [f"{metric} ({mode})" for metric, mode in wanted if objectives.get(metric) != mode]
        if lacking:
            has = ", ".join(f"{m} ({d})" for m, d in objectives.items())
            found.append(f"warm_start: {path} does not improve {', '.join(lacking)}, but {has}.")
    return found


def earlier(sweep: Sweep, full_training: int | None) -> tuple[list[dict[str, Any]], int]:
    """The trials of earlier sweeps as `AskTell.learn` takes them, best first, and how many were left out.

    Args:
        full_training: reports of a full training of this sweep, None if unknown.

    Returns:
        `{"config": ..., "result": {metric: value} or None, "unknown": [names]}` each: results first, then
        what is tried again.
    """
    space, defaults = sweep.search_space(), _defaults(sweep)
    counting: list[tuple[float, dict[str, Any]]] = []
    promising: list[tuple[float, dict[str, Any]]] = []
    left_out = 0
    sign = -1.0 if sweep.modes[0] == "max" else 1.0
    for path in sweep.warm_start:
        results = Results(path)
        longest = max((trial.iterations for trial in results.trials), default=0)
        for trial in results.trials:
            known = dict(zip(results.manifest.objectives, trial.values, strict=True))
            values = {metric: value for metric in sweep.metrics if (value := known[metric]) is not None}
            deep = trial.state in ("completed", "stopped") and trial.iterations * 2 >= longest
            if not deep or len(values) < len(sweep.metrics) or not all(map(math.isfinite, values.values())):
                continue
            config = fitted(trial.config, space, defaults)
            if config is None:
                left_out += 1
                continue
            given = {**defaults, **trial.config}
            unknown = [name for name in space.names if _look_up(given, name) is None and name not in defaults]
            one = {"config": config, "result": None, "unknown": unknown}
            rank = sign * values[sweep.metrics[0]]
            if _same(results, trial, sweep, space, full_training):
                counting.append((rank, one | {"result": values}))
            else:
                promising.append((rank, one))
    counting.sort(key=lambda pair: pair[0])
    promising.sort(key=lambda pair: pair[0])
    return [one for _, one in counting] + [one for _, one in promising[:AGAIN]], left_out


def fitted(config: Mapping[str, Any], space: Space, defaults: Mapping[str, Any]) -> dict[str, Any] | None:
    """A configuration of `space` with the values of another one; None if a value lies outside its ranges.

    Args:
        config: as an earlier trial had it.
        defaults: values of parameters that it lacks, by dotted name.
    """
    whole = copy.deepcopy(dict(config))
    for name, value in defaults.items():
        if _look_up(whole, name) is None:
            put(whole, name, value)
    try:
        repaired = space.repair(whole)
    except ValueError:  # an option that is none today
        return None
    for dimension in space.dimensions:
        had, has = _look_up(whole, dimension.name), _look_up(repaired, dimension.name)
        if had is not None and has is not None and not dimension.domain.accepts(had):
            return None
    known = {path.split(".")[0] for path in (*space.names, *space.constants)}
    repaired = {name: value for name, value in repaired.items() if name in known}
    return None if space.violated(repaired) else repaired


def _same(results: Results, trial: Trial, sweep: Sweep, space: Space, full_training: int | None) -> bool:
    """Whether a trial's value means what it would mean in this sweep."""
    if _trained(results.folder.read("spec.yaml")) != _trained(sweep.to_yaml().encode()):
        return False
    reached = trial.iterations
    if full_training is not None and not full_training <= 2 * reached <= 4 * full_training:
        return False
    return all(_look_up(trial.config, name) == value for name, value in space.constants.items())


def _trained(spec: bytes | None) -> Any:
    """The trainable that a sweep's file names."""
    return yaml.safe_load(spec).get("trainable") if spec else None


def _defaults(sweep: Sweep) -> dict[str, Any]:
    program = sweep.program()
    known = (program.hyperparameters if program is not None else None) or {}
    return {name: known[name].default for name in sweep.search_space().names if name in known}


def _look_up(config: Mapping[str, Any], name: str) -> Any:
    place: Any = config
    for step in name.split("."):
        place = place.get(step) if isinstance(place, Mapping) else None
    return place
