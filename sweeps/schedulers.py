"""Ray's trial schedulers by name, their parameters checked.

    spec = {"name": "asha", "max_t": 27, "grace_period": 1}
    problems("asha", {"grace": 1})   ->  ["scheduler asha has no parameter 'grace'; did you mean ..."]
    build("asha", {...}, metric="loss", mode="min", ...)

Time is always counted in reports of a trial (`training_iteration`). A scheduler's decisions are kept across a
crash by replaying the journal into a fresh one: see `sweeps.loop.rehearsal`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    HyperBandForBOHB,
    HyperBandScheduler,
    MedianStoppingRule,
    TrialScheduler,
)

from search_algs.space import Space
from sweeps.spelling import allowed

TIME = "training_iteration"


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """One parameter of a scheduler: its default, what it means, and the values it may take."""

    default: Any
    """Used when the sweep does not set it. None: taken from the sweep (said in `doc`)."""

    doc: str
    allowed: str
    """The allowed values, in words."""

    test: Callable[[Any], bool]


def _whole(least: int) -> tuple[str, Callable[[Any], bool]]:
    return f"a whole number >= {least}", lambda v: _number(v) and v == int(v) and v >= least


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def _between(low: float, high: float) -> tuple[str, Callable[[Any], bool]]:
    return f"a number in [{low:g}, {high:g}]", lambda v: _number(v) and low <= v <= high


def _parameter(default: Any, doc: str, rule: tuple[str, Callable[[Any], bool]]) -> Parameter:
    return Parameter(default=default, doc=doc, allowed=rule[0], test=rule[1])


_ABOVE_ONE = ("a number > 1", lambda v: _number(v) and v > 1)
_MAX_T = _parameter(
    None, "reports after which a trial has trained fully; default: the sweep's max_iterations", _whole(1)
)
_ETA = _parameter(
    3, "one of this many trials goes on at each rung (eta; Li et al. 2018, arXiv:1603.06560)", _ABOVE_ONE
)
_EVERY = _parameter(1, "reports between two perturbations of a trial", _whole(1))
_QUANTILE = _parameter(
    0.25, "share of the population that is copied from, and that is replaced", _between(0, 0.5)
)
_FACTORS = (
    "two positive numbers",
    lambda v: isinstance(v, list | tuple) and len(v) == 2 and all(_number(f) and f > 0 for f in v),
)

STOPPING = frozenset({"asha", "hyperband", "bohb", "median"})
"""Those that end trials before their time."""

_TABLE: dict[str, dict[str, Parameter]] = {
    "fifo": {},
    "asha": {
        "max_t": _MAX_T,
        "grace_period": _parameter(1, "no trial is stopped before this many reports", _whole(1)),
        "reduction_factor": _ETA,
        "brackets": _parameter(1, "brackets, each with a later first rung than the one before", _whole(1)),
    },
    "hyperband": {"max_t": _MAX_T, "reduction_factor": _ETA},
    "bohb": {"max_t": _MAX_T, "reduction_factor": _ETA},
    "median": {
        "grace_period": _parameter(1, "no trial is stopped before this many reports", _whole(0)),
        "min_samples_required": _parameter(
            3, "trials that must have come as far before one is stopped", _whole(1)
        ),
        "min_time_slice": _parameter(0, "reports a trial makes before it yields to waiting ones", _whole(0)),
    },
    "pbt": {
        "perturbation_interval": _EVERY,
        "quantile_fraction": _QUANTILE,
        "resample_probability": _parameter(
            0.25, "chance that a value is drawn anew, not perturbed", _between(0, 1)
        ),
        "perturbation_factors": _parameter(
            (1.2, 0.8), "a perturbed number is multiplied by one of these", _FACTORS
        ),
    },
    "pb2": {"perturbation_interval": _EVERY, "quantile_fraction": _QUANTILE},
}

COPYING = frozenset({"pbt", "pb2"})
"""Schedulers that copy one trial's weights and configuration over another's."""

GATHERING = COPYING | {"hyperband"}
"""Schedulers that compare trials which wait for one another: all trials take part from the start."""


def names() -> tuple[str, ...]:
    """All schedulers' names, alphabetically."""
    return tuple(sorted(_TABLE))


def parameters(name: str) -> dict[str, tuple[Any, str]]:
    """The parameters of one scheduler: name -> (default, what it means and which values it takes)."""
    return {key: (p.default, f"{p.doc}; {p.allowed}") for key, p in _TABLE[name].items()}


def problems(name: str, given: Mapping[str, Any]) -> list[str]:
    """What is wrong with a scheduler's name or parameters, a sentence each; empty if nothing is."""
    if name not in _TABLE:
        return [f"scheduler {name!r} is unknown; {allowed(name, names())}"]
    found = []
    for key, value in given.items():
        parameter = _TABLE[name].get(key)
        if parameter is None:
            found.append(f"scheduler {name} has no parameter {key!r}; {allowed(key, _TABLE[name])}")
        elif value is not None and not parameter.test(value):
            found.append(f"scheduler {name}: {key} is {value!r}; it must be {parameter.allowed}")
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
    own = _value(name, given, "max_t") if "max_t" in _TABLE[name] else None
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
    values = {key: _value(name, given, key) for key in _TABLE[name]}
    common: dict[str, Any] = {"time_attr": TIME, "metric": metric, "mode": mode}
    if "max_t" in values:
        values["max_t"] = full_training(name, given, max_iterations)
        if values["max_t"] is None:
            raise ValueError(
                f"scheduler {name} needs to know how long a full training is: "
                f"set max_iterations, or {name}:max_t=N (in reports of a trial)"
            )
    if name == "fifo":
        return FIFOScheduler()
    if name in COPYING:
        from sweeps.loop import copying  # Ray's PB2 imports scikit-learn, a second that others need not wait

        return copying.build(name, space, mutable, **common, **values)
    kinds: dict[str, type[TrialScheduler]] = {
        "asha": AsyncHyperBandScheduler,
        "hyperband": HyperBandScheduler,
        "bohb": HyperBandForBOHB,
        "median": MedianStoppingRule,
    }
    return kinds[name](**common, **values)


def _value(name: str, given: Mapping[str, Any], key: str) -> Any:
    parameter = _TABLE[name].get(key)
    if parameter is None:
        return None
    return given[key] if given.get(key) is not None else parameter.default
