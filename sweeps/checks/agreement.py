"""Whether a sweep's parts fit together: metric, parameters, trainable, search and scheduler."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import search_algs
from search_algs.space import Space
from sweeps import schedulers
from sweeps.spelling import allowed, nearest

NEEDS_CHECKPOINTS = frozenset({"hyperband", "bohb", "pbt", "pb2"})
"""Schedulers that pause trials or copy one over another."""

ENGINE_METRICS = ("training_iteration", "time_total_s")
"""What Ray adds to every report."""

_EDGE = 0.001
"""How near to an end a parameter is tried: an open end, such as a dropout of 1, is never drawn."""

_OPTIONS = 64
"""Options of one parameter that are tried."""

_MODES = {
    "minimize": "min", "minimise": "min", "minimum": "min",
    "maximize": "max", "maximise": "max", "maximum": "max",
}  # fmt: skip


def objectives(
    sweep: Any, program: Any, search: str | None, scheduler: str | None, problems: list[str]
) -> dict[str, Any]:
    """Check `metric` and `mode` against each other and the trainable; fill the absent ones."""
    default = program.default_metric if program is not None else None
    metric, mode, filled = sweep.metric, sweep.mode, {}
    if metric is None and default:
        metric = filled["metric"] = default[0]
    if mode is None and default and metric == default[0]:
        mode = filled["mode"] = default[1]
    metrics, modes = _texts(metric, "metric", problems), _texts(mode, "mode", problems)
    if metrics is None or modes is None:
        return filled
    for given in modes:
        if given not in ("min", "max"):
            near = _MODES.get(given.lower()) or nearest(given, ("min", "max"))
            hint = f"did you mean {near!r}?" if near else "it must be 'min' or 'max'."
            problems.append(f"mode: {given!r} is unknown; {hint}")
    if metrics and not modes:
        problems.append(f"mode: is missing; say whether {metrics[0]!r} is better at its 'min' or its 'max'.")
    elif len(metrics) != len(modes):
        problems.append(f"mode: there are {len(modes)} for {len(metrics)} metrics; give one for each.")
    if len(set(metrics)) < len(metrics):
        problems.append(f"metric: {list(metrics)} names one twice.")
    reported = program.metrics if program is not None else None
    if reported is not None:
        known = [*dict.fromkeys([*reported, *ENGINE_METRICS])]
        for name in metrics:
            if name not in known:
                problems.append(f"metric: {program.name} never reports {name!r}; {allowed(name, known)}")
    if program is not None and not program.continues and scheduler in NEEDS_CHECKPOINTS:
        problems.append(
            f"scheduler: {scheduler} pauses or copies trials, and {program.name} has no checkpoints; "
            "take asha, median or fifo."
        )
    if sweep.max_concurrent is not None and scheduler in schedulers.GATHERING:
        problems.append(
            f"max_concurrent: has no effect with {scheduler}, whose trials wait for one another and take "
            "turns; leave it out, and give a trial more cpus_per_rank to have fewer at a time."
        )
    if len(metrics) > 1:
        able = [name for name in search_algs.names() if search_algs.load(name).several_objectives]
        if search is not None and search not in able:
            problems.append(
                f"search: {search} improves one metric, and there are {len(metrics)}; take {', '.join(able)}."
            )
        if scheduler not in (None, "fifo"):
            problems.append(f"scheduler: {scheduler} judges by one metric, not by {len(metrics)}; use fifo.")
        if sweep.target is not None:
            problems.append("target: is for one metric, and there are several.")
    return filled


def _texts(value: str | Sequence[str] | None, key: str, problems: list[str]) -> tuple[str, ...] | None:
    texts = () if value is None else (value,) if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) and text for text in texts):
        problems.append(f"{key}: is {value!r}; it must be a name or a list of names.")
        return None
    return tuple(texts)


def wrong_hyperparameters(sweep: Any, program: Any, space: Space | None) -> list[str]:
    """What the trainable says of the names and values in `space` and `fixed`."""
    unknown = list(_unknown(sweep, program, space))
    said: dict[str, str] = {}
    for config in corners(space) if space is not None else ():
        for text in program.check(config):
            said.setdefault(text.partition("`")[2].partition("`")[0], text)  # one value too large says enough
    for name, _ in unknown:
        said.pop(name, None)
    constants = space.constants if space is not None else {}
    hints = {
        name: f" To search them: {{values: {value}}}, or tune.choice({value})."
        for name, value in constants.items()
        if isinstance(value, list)
    }
    return [
        *(text for _, text in unknown),
        *(f"{program.name}: {text}{hints.get(name, '')}" for name, text in said.items()),
    ]


def absolute_paths(sweep: Any, program: Any) -> dict[str, Any]:
    """`space` and `fixed` with paths made absolute: trials run in folders and on machines of their own."""
    paths = [name for name, known in (program.hyperparameters or {}).items() if known.path]
    filled = {}
    for key in ("space", "fixed"):
        given = getattr(sweep, key)
        there = [name for name in paths if isinstance(given, Mapping) and isinstance(given.get(name), str)]
        if there:
            absolute = {name: os.path.abspath(os.path.expanduser(given[name])) for name in there}
            filled[key] = {**given, **absolute}
    return filled


def _unknown(sweep: Any, program: Any, space: Space | None) -> Iterator[tuple[str, str]]:
    """Names that the trainable does not have, and options it does not know; each with what is said of it."""
    known = program.hyperparameters
    if known is None:
        return
    searched = {d.name: d for d in space.dimensions} if space is not None else {}
    fixed = _leaves(sweep.fixed) if isinstance(sweep.fixed, Mapping) else {}
    constants = space.constants if space is not None else {}
    given = {name: value for name, value in _leaves(constants).items() if name not in fixed}
    for where, names in (("space", searched | given), ("fixed", fixed)):
        for name in names:
            if name not in known and name.split(".")[0] not in known:
                yield name, f"{where}: {program.name} has no hyperparameter {name!r}; {allowed(name, known)}"
    tried: list[tuple[str, str, Sequence[Any]]] = [("space", name, [value]) for name, value in given.items()]
    tried += [("fixed", name, [value]) for name, value in fixed.items()]
    tried += [("space", name, getattr(d.domain, "options", ())) for name, d in searched.items()]
    for where, name, values in tried:
        choices = (known[name].choices if name in known else None) or ()
        for value in values:
            if choices and value not in choices:
                can = allowed(str(value), map(str, choices))
                yield name, f"{where}: {name} of {program.name} cannot be {value!r}; {can}"


def _leaves(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            found |= _leaves(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def full_training(sweep: Any, program: Any, space: Any, problems: list[str]) -> dict[str, Any]:
    """`max_iterations` for a scheduler that must know it, as the trainable counts its reports."""
    name, given = sweep.scheduler_choice
    if "max_t" not in schedulers.parameters(name) or given.get("max_t") is not None:
        return {}
    known = program is not None and space is not None
    lengths = [program.reports(config) for config in corners(space)] if known else []
    if lengths and None not in lengths:
        return {"max_iterations": max(lengths)}
    problems.append(
        f"scheduler: {name} must know how long a full training is; set max_iterations, or write "
        f"{name}:max_t=N (in reports of a trial)."
    )
    return {}


def corners(space: Space) -> list[dict[str, Any]]:
    """Configurations with each parameter near each end, or at each option, and the others in the middle."""
    middle = [0.5] * len(space)
    points = [middle]
    for i, dimension in enumerate(space.dimensions):
        options = getattr(dimension.domain, "options", None)
        ends = [(k + 0.5) / len(options) for k in range(len(options))] if options else [_EDGE, 1 - _EDGE]
        points += [[*middle[:i], u, *middle[i + 1 :]] for u in ends[:_OPTIONS]]
    return [config for config in map(space.decode, points) if not space.violated(config)]
