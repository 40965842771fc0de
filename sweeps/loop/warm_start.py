"""What earlier sweeps know that this one can use: their good trials, fitted to its space.

A trial's result counts as if it were this sweep's own where it meant the same: the same trainable, metric and
values of what is not searched here, and a training of its own configuration alone (no copy by PBT) between
half and twice as long as one here. Of trials that fall short of that the best `AGAIN` are tried again at the
start; those with a value outside today's ranges are left out. Parameters that the earlier sweep did not have
are at the trainable's default; where that is unknown, nothing is learned of them.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from search_algs.ask_tell import AGAIN
from search_algs.space import Choice, Domain, Space
from search_algs.space.choices import is_number, loose_key
from sweeps.results import Results, Trial
from sweeps.spec import Sweep, put

ABSENT = object()


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
    space, defaults, task = sweep.search_space(), _defaults(sweep), _trained(sweep.to_yaml().encode())
    today = {k: value for k, value in {**defaults, **space.constants}.items() if k not in space.names}
    counting: list[tuple[float, dict[str, Any]]] = []
    promising: list[tuple[float, dict[str, Any]]] = []
    left_out = 0
    sign = -1.0 if sweep.modes[0] == "max" else 1.0
    for path in sweep.warm_start:
        results = Results(path)
        same_task = _trained(results.folder.read("spec.yaml")) == task
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
            unknown = [
                d.name
                for d in space.dimensions
                if d.name not in defaults and _value(trial.config, d.path) is ABSENT
            ]
            one = {"config": config, "result": None, "unknown": unknown}
            rank = sign * values[sweep.metrics[0]]
            if same_task and counts(trial, full_training, today, defaults):
                counting.append((rank, one | {"result": values}))
            else:
                promising.append((rank, one))
    counting.sort(key=lambda pair: pair[0])
    promising.sort(key=lambda pair: pair[0])
    return [one for _, one in counting] + [one for _, one in promising[:AGAIN]], left_out


def fitted(config: Mapping[str, Any], space: Space, defaults: Mapping[str, Any]) -> dict[str, Any] | None:
    """A configuration of `space` with the values of another one; None if a value lies outside its ranges.

    A value between two steps of today's becomes the nearest one.

    Args:
        config: as an earlier trial had it.
        defaults: values of parameters that it lacks, by dotted name.
    """
    whole = copy.deepcopy(dict(config))
    for dimension in space.dimensions:
        if dimension.name in defaults and _value(whole, dimension.path) is ABSENT:
            put(whole, dimension.name, defaults[dimension.name])
    try:
        repaired = space.repair(whole)
    except ValueError:  # an option that is none today
        return None
    for dimension in space.dimensions:
        had = _value(whole, dimension.path)
        active = _value(repaired, dimension.path) is not ABSENT
        if active and had is not ABSENT and not _inside(dimension.domain, had):
            return None
    known = {path.split(".")[0] for path in (*space.names, *space.constants)}
    repaired = {name: value for name, value in repaired.items() if name in known}
    return None if space.violated(repaired) else repaired


def _inside(domain: Domain, value: Any) -> bool:
    """Whether a value that `repair` took lies within today's range, be it between two steps."""
    if isinstance(domain, Choice):  # an option with domains inside has its parts looked at one by one
        return domain.subspaces is not None or domain.accepts(value)
    return is_number(value) and domain.low <= value <= domain.high


def counts(
    trial: Trial, full_training: int | None, today: Mapping[str, Any], defaults: Mapping[str, Any]
) -> bool:
    """Whether a trial of the same trainable means what it would mean in this sweep.

    Args:
        today: the values here of what is not searched, by dotted name.
        defaults: the trainable's own values, which the trial had where its configuration says nothing.
    """
    reached = trial.iterations
    if full_training is not None and not full_training <= 2 * reached <= 4 * full_training:
        return False
    for name, value in today.items():
        had = _value(trial.config, name.split("."))
        had = defaults.get(name, ABSENT) if had is ABSENT else had
        if had != value and loose_key(had) != loose_key(value):
            return False
    return not trial.row["copies"]


def _trained(spec: bytes | None) -> Any:
    """The trainable that a sweep's file names."""
    return yaml.safe_load(spec).get("trainable") if spec else None


def _defaults(sweep: Sweep) -> dict[str, Any]:
    """The trainable's own values, by name; none where it does not say."""
    program = sweep.program()
    known = (program.hyperparameters if program is not None else None) or {}
    return {name: hyperparameter.default for name, hyperparameter in known.items()}


def _value(config: Mapping[str, Any], path: Sequence[str]) -> Any:
    place: Any = config
    for step in path:
        if not isinstance(place, Mapping) or step not in place:
            return ABSENT
        place = place[step]
    return place
