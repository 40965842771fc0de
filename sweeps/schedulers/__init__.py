"""Ray's trial schedulers by name, their parameters checked; one scheduler, one file, the file's name its own.

    spec = {"name": "asha", "max_t": 27, "grace_period": 1}
    problems("asha", {"grace": 1})   ->  ["scheduler asha has no parameter 'grace'; did you mean ..."]
    build("asha", {...}, metric="loss", mode="min", ...)

Time is always counted in reports of a trial (`training_iteration`). A scheduler's decisions are kept across a
crash by replaying the journal into a fresh one: see `sweeps.loop.rehearsal`.
"""

import pkgutil
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from ray.tune.schedulers import TrialScheduler

from search_algs.space import Space
from sweeps.schedulers.scheduler import Scheduler
from sweeps.spelling import allowed

TIME = "training_iteration"

_ALL: dict[str, Scheduler] = {
    name: import_module(f"{__name__}.{name}").SCHEDULER
    for name in sorted(file.name for file in pkgutil.iter_modules(__path__))
    if name not in ("parameter", "scheduler")
}

STOPPING = frozenset(name for name, one in _ALL.items() if one.stops)
"""Those that end trials before their time."""
COPYING = frozenset(name for name, one in _ALL.items() if one.copies)
"""Those that copy one trial's weights and configuration over another's."""
GATHERING = frozenset(name for name, one in _ALL.items() if one.gathers)
"""Those that compare trials which wait for one another: all trials take part from the start."""


def names() -> tuple[str, ...]:
    """All schedulers' names, alphabetically."""
    return tuple(_ALL)


def parameters(name: str) -> dict[str, tuple[Any, str]]:
    """The parameters of one scheduler: name -> (default, what it means and which values it takes)."""
    return {key: (p.default, f"{p.doc}; {p.allowed}") for key, p in _ALL[name].parameters.items()}


def problems(name: str, given: Mapping[str, Any]) -> list[str]:
    """What is wrong with a scheduler's name or parameters, a sentence each; empty if nothing is."""
    if name not in _ALL:
        return [f"scheduler {name!r} is unknown; {allowed(name, names())}"]
    known, found = _ALL[name].parameters, []
    for key, value in given.items():
        if key not in known:
            found.append(f"scheduler {name} has no parameter {key!r}; {allowed(key, known)}")
        elif value is not None and not known[key].test(value):
            found.append(f"scheduler {name}: {key} is {value!r}; it must be {known[key].allowed}")
    longest, grace = _value(name, given, "max_t"), _value(name, given, "grace_period")
    if not found and longest is not None and grace is not None and grace > longest:
        found.append(f"scheduler {name}: grace_period is {grace}, above max_t, which is {longest}")
    return found


def full_training(name: str, given: Mapping[str, Any], max_iterations: int | None) -> int | None:
    """Reports of a full training as the scheduler sees it: its max_t, else the trials' own length.

    None if that is unknown, and for schedulers that stop no trial.
    """
    if name not in STOPPING:
        return None
    own = _value(name, given, "max_t")
    return int(own) if own is not None else max_iterations


def build(
    name: str,
    given: Mapping[str, Any],
    *,
    metric: str,
    mode: str,
    max_iterations: int | None,
    space: Space,
    mutable: frozenset[str] | None,
) -> TrialScheduler:
    """Ray's scheduler of that name.

    Args:
        name, given: as `problems` accepts them.
        metric, mode: what trials report and whether "min" or "max" is better.
        max_iterations: reports of a full training; the default of `max_t`.
        space: the sweep's space; PBT perturbs within it.
        mutable: names that the trainable can change in mid-training; None: all of them.

    Raises:
        ValueError: PBT or PB2 with nothing that may change; no `max_t` where one is needed.
    """
    values = {key: _value(name, given, key) for key in _ALL[name].parameters}
    if "max_t" in values:
        values["max_t"] = full_training(name, given, max_iterations)
        if values["max_t"] is None:
            raise ValueError(
                f"scheduler {name} needs to know how long a full training is: "
                f"set max_iterations, or {name}:max_t=N (in reports of a trial)"
            )
    if name in COPYING:
        values |= {"space": space, "mutable": mutable}
    return _ALL[name].make(time_attr=TIME, metric=metric, mode=mode, **values)


def _value(name: str, given: Mapping[str, Any], key: str) -> Any:
    parameter = _ALL[name].parameters.get(key)
    if parameter is None:
        return None
    return given[key] if given.get(key) is not None else parameter.default
