"""Every check of a sweep that needs the sweep alone; each problem is a sentence that begins with its key."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import search_algs
from sweeps.checks.agreement import absolute_paths, full_training, objectives, wrong_hyperparameters
from sweeps.files import options
from sweeps.spelling import allowed

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def examine(sweep: Any) -> tuple[list[str], dict[str, Any]]:
    """What is wrong with a sweep, and the fields that are filled from its trainable and its grid.

    Returns:
        The problems (empty if the sweep is fine), and the values of those of `metric`, `mode`, `trials` and
        `max_iterations` that were absent and follow from the rest; paths in `space` and `fixed` as absolute.
    """
    problems = _plain(sweep)
    program = _program(sweep, problems)
    search = _search(sweep, problems)
    if search == "bohb" and sweep.scheduler == "fifo":
        object.__setattr__(sweep, "scheduler", "bohb")  # HyperBand is the other half of it
    scheduler = _scheduler(sweep, problems)
    space = _space(sweep, problems)
    filled = objectives(sweep, program, search, scheduler, problems)
    if program is not None:
        filled |= absolute_paths(sweep, program)
        problems += wrong_hyperparameters(sweep, program, space)
    filled |= _stop_on(sweep.stop_on, problems)
    if sweep.max_iterations is None and scheduler is not None:
        filled |= full_training(sweep, program, space, problems)
    points = space.size if search == "grid" and space is not None else None
    if points and (sweep.trials is None or (_whole(1)[1](sweep.trials) and sweep.trials > points)):
        filled["trials"] = points
    elif sweep.trials is None and not (search == "grid" and problems):
        problems.append("trials: is missing; say how many to run (only search 'grid' knows by itself).")
    if search == "grid" and space is not None:
        problems += _of(lambda: space.grid(), "search: grid")
    return problems, filled


# -- one field by itself ---------------------------------------------------------------------------


def _whole(least: int) -> tuple[str, Callable[[Any], bool]]:
    return (
        f"a whole number, {least} or more",
        lambda v: isinstance(v, int) and not isinstance(v, bool) and v >= least,
    )


def _number(v: Any) -> bool:
    return isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v)


_PLAIN: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "trials": _whole(1),
    "max_iterations": _whole(1),
    "ranks": _whole(1),
    "max_concurrent": _whole(1),
    "max_failures": _whole(0),
    "retries": _whole(0),
    "seed": _whole(0),
    "cpus_per_rank": ("a number above 0", lambda v: _number(v) and v > 0),
    "gpus_per_rank": ("a number, 0 or more", lambda v: _number(v) and v >= 0),
    "target": ("a number", _number),
    "max_cost": ("dollars, above 0", lambda v: _number(v) and v > 0),
    "storage": ("a folder or a URI", lambda v: isinstance(v, str) and bool(v.strip())),
    "name": (
        "letters, digits and . _ - only, since it names the sweep's folder",
        lambda v: isinstance(v, str) and _NAME.fullmatch(v) is not None,
    ),
    "wandb": ("the name of a W&B project", lambda v: isinstance(v, str) and bool(v.strip())),
    "address": (
        "the address of a Ray cluster, for example auto",
        lambda v: isinstance(v, str) and bool(v.strip()),
    ),
    "cluster": ("the path of a cluster's YAML", lambda v: isinstance(v, str) and bool(v.strip())),
    "prices": ("the path of a file of prices", lambda v: isinstance(v, str) and bool(v.strip())),
    "quiet": ("true or false", lambda v: isinstance(v, bool)),
}
_MAY_BE_ABSENT = {
    "trials", "max_iterations", "max_concurrent", "max_failures", "target", "name", "wandb", "address",
    "cluster", "prices", "max_cost",
}  # fmt: skip


def _plain(sweep: Any) -> list[str]:
    problems = []
    for key, (what, right) in _PLAIN.items():
        value = getattr(sweep, key)
        if not (value is None and key in _MAY_BE_ABSENT) and not right(value):
            problems.append(f"{key}: is {value!r}; it must be {what}.")
    gpus, ranks = sweep.gpus_per_rank, sweep.ranks
    if _number(gpus) and gpus != int(gpus) and (gpus > 1 or ranks != 1):
        problems.append(
            f"gpus_per_rank: is {gpus} with {ranks} ranks; a fraction below 1 is for one rank only, "
            "as NCCL refuses two ranks on one device. Take a whole number, or ranks=1."
        )
    if not _texts(sweep.warm_start):
        problems.append(f"warm_start: is {sweep.warm_start!r}; it must be a list of sweeps' folders.")
    if sweep.time_budget is not None:
        problems += _of(lambda: options.seconds(sweep.time_budget), "time_budget")
    return problems


def _texts(v: Any) -> bool:
    return isinstance(v, list | tuple) and all(isinstance(one, str) for one in v)


def _of(attempt: Callable[[], Any], key: str) -> list[str]:
    """The problems an attempt ends with, each led by its key."""
    try:
        attempt()
    except ValueError as error:
        lines = getattr(error, "problems", None) or [line.strip(" -") for line in str(error).splitlines()]
        return [f"{key}: {line}" for line in lines if line]
    return []


# -- the parts that others know --------------------------------------------------------------------


def _program(sweep: Any, problems: list[str]) -> Any:
    try:
        return sweep.program()
    except (ValueError, TypeError, ImportError) as error:
        problems.append(f"trainable: {error}")
        return None


def _search(sweep: Any, problems: list[str]) -> str | None:
    """The algorithm's name; None for an object or an unknown one."""
    from search_algs.ask_tell import AskTell

    if not isinstance(sweep.search, str | Mapping):
        if not isinstance(sweep.search, AskTell):
            problems.append(
                f"search: is {sweep.search!r}; it must be one of {', '.join(search_algs.names())}, "
                "or an object whose class inherits search_algs.ask_tell.AskTell."
            )
        return None
    try:
        name, given = options.named(sweep.search)
    except ValueError as error:
        problems.append(f"search: {error}")
        return None
    if name not in search_algs.names():
        problems.append(f"search: {name!r} is unknown; {allowed(name, search_algs.names())}")
        return None
    algorithm = search_algs.load(name)
    known = search_algs.parameters(algorithm)
    unknown = [key for key in given if key not in known]
    problems += [f"search: {name} has no parameter {key!r}; {allowed(key, known)}" for key in unknown]
    if not unknown:
        problems += _of(lambda: algorithm(**given), f"search: {name}")
    return name


def _scheduler(sweep: Any, problems: list[str]) -> str | None:
    from sweeps import schedulers

    if not isinstance(sweep.scheduler, str | Mapping):
        problems.append(
            f"scheduler: is {sweep.scheduler!r}; it must be one of {', '.join(schedulers.names())}."
        )
        return None
    try:
        name, given = options.named(sweep.scheduler)
    except ValueError as error:
        problems.append(f"scheduler: {error}")
        return None
    found = schedulers.problems(name, given)
    problems += [text if text.startswith("scheduler") else f"scheduler: {text}" for text in found]
    return None if found else name


def _stop_on(given: Any, problems: list[str]) -> dict[str, Any]:
    """The labels as a tuple."""
    from sweeps.diagnosis import labels

    names = [one.strip() for one in given.split(",") if one.strip()] if isinstance(given, str) else given
    if not _texts(names):
        problems.append(f"stop_on: is {given!r}; it must be labels, for example diverged,overfit.")
        return {}
    problems += [f"stop_on: {wrong}" for name in names if (wrong := labels.problem(name)) is not None]
    return {"stop_on": tuple(dict.fromkeys(names))}


def _space(sweep: Any, problems: list[str]) -> Any:
    if not isinstance(sweep.space, Mapping):
        problems.append(f"space: is {sweep.space!r}; it must map parameters' names to what they may be.")
        return None
    if not isinstance(sweep.fixed, Mapping) or not all(isinstance(name, str) for name in sweep.fixed):
        problems.append(f"fixed: is {sweep.fixed!r}; it must map parameters' names to values.")
        return None
    if not _texts(sweep.constraints):
        problems.append(
            f"constraints: is {sweep.constraints!r}; it must be a list of texts such as 'a * b <= 1024'."
        )
        return None
    space = None

    def make() -> None:
        nonlocal space
        space = sweep.search_space()

    problems += _of(make, "space")
    return space
