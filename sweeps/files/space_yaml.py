"""A search space in YAML and back: W&B's notation of parameters, with conditions and Ray's own domains added.

    lr:        {distribution: log_uniform_values, min: 1e-4, max: 1.0}
    layers:    {min: 1, max: 8}                       # both whole: int_uniform, both ends included
    dropout:   {min: 0.0, max: 0.5}                   # uniform
    optimizer: {values: [sgd, adam]}
    momentum:  {min: 0.0, max: 0.99, when: {optimizer: sgd}}
    model:     {parameters: {width: {values: [16, 32]}}}    # nested: config["model"]["width"]
    epochs:    9                                      # a constant; also {value: 9}

`read_space` and `write_space` are each other's inverse for everything that `search_algs.space` knows.
Conditions, bare constants, `options` and the distributions of `distribution_shapes.RAY` are ours; W&B's files
may not use them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ray import tune
from ray.tune.search import sample

from search_algs.space import Choice, Conditional, Real, when
from search_algs.space.from_ray import read as as_domain
from sweeps.files.distribution_shapes import RAY, WANDB, Distribution, Kind
from sweeps.files.shapes import read
from sweeps.spelling import allowed

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
Build = Callable[[Kind, Any], Any]


def _domain_of(kind: Kind, distribution: Distribution) -> Any:
    return kind.domain(distribution)


# -- reading ---------------------------------------------------------------------------------------


def read_space(
    parameters: Any, problems: list[str], where: str = "", *, ours: bool = True, build: Build = _domain_of
) -> dict[str, Any]:
    """The `param_space` that a mapping of parameters describes.

    Args:
        problems: Receives one sentence for each mistake; the parameter that it is in is left out of the
            result.
        where: The dotted name of the group that `parameters` belongs to.
        ours: Also what W&B does not know: conditions, bare constants, `options`, `integers`, `multiples`.
        build: What a distribution becomes.
    """
    if not isinstance(parameters, Mapping):
        problems.append(f"{where or 'parameters'}: is {parameters!r}; it must map names to what they may be.")
        return {}
    if not parameters:
        problems.append(f"{where or 'parameters'}: is empty; name at least one parameter.")
    found = {}
    for key, given in parameters.items():
        name = f"{where}.{key}" if where else str(key)
        if not isinstance(key, str) or not _NAME.fullmatch(key):
            problems.append(
                f"{name}: is no name; letters, digits and _ . - are allowed, beginning with a letter or _."
            )
            continue
        before = len(problems)
        domain = _parameter(name, given, problems, ours, build)
        if len(problems) == before:
            found[key] = domain
    return found


def _parameter(name: str, given: Any, problems: list[str], ours: bool, build: Build) -> Any:
    if not isinstance(given, Mapping):
        if ours:
            return given
        problems.append(f"{name}: is {given!r}; write {{value: {given!r}}} for a constant.")
        return None
    given = dict(given)
    if ours and "when" in given:
        return _conditional(name, given.pop("when"), given, problems, build)
    if "parameters" in given and "distribution" not in given:
        extra = [key for key in given if key != "parameters"]
        problems += [f"{name}.{key}: there is no such key beside `parameters`." for key in extra]
        return read_space(given["parameters"], problems, name, ours=ours, build=build)
    if ours and set(given) == {"grid_search"} and isinstance(given["grid_search"], list):
        return given
    if ours and set(given) == {"options"} and isinstance(given["options"], list):
        options = enumerate(given["options"])
        return tune.choice([_parameter(f"{name}.{i}", one, problems, ours, build) for i, one in options])
    known = WANDB | RAY if ours else WANDB
    which = distribution(name, given, problems, known)
    if which is None:
        return None
    described = read(known[which].shape, {"distribution": which} | given, name, problems)
    if described is None:
        return None
    try:
        return build(known[which], described)
    except ValueError as error:
        problems.append(f"{name}: {error}")
        return None


_INFERRED = {
    "value": "constant",
    "probabilities": "categorical_w_probabilities",
    "values": "categorical",
}
"""What a parameter's key says of its distribution, the first that is there."""


def distribution(
    name: str, given: Mapping[str, Any], problems: list[str], known: Mapping[str, Kind] = WANDB
) -> str | None:
    """The distribution that a parameter means, inferred as W&B does where none is named; None after a
    problem.
    """
    wanted = given.get("distribution")
    if "distribution" in given:
        if isinstance(wanted, str) and wanted in known:
            return wanted
        problems.append(f"{name}.distribution: {wanted!r} is unknown; {allowed(str(wanted), known)}")
        return None
    for key, meant in _INFERRED.items():
        if key in given:
            return meant
    if "min" in given or "max" in given:
        return "int_uniform" if all(isinstance(given.get(end), int) for end in ("min", "max")) else "uniform"
    problems.append(
        f"{name}: {dict(given)} says nothing about its values; give `value`, `values`, `min` and `max`, or "
        "`distribution`."
    )
    return None


def _conditional(name: str, condition: Any, given: dict[str, Any], problems: list[str], build: Build) -> Any:
    if not isinstance(condition, Mapping) or not condition:
        problems.append(
            f"{name}.when: is {condition!r}; write {{parent: value}} or {{parent: [value, value]}}."
        )
        return None
    domain = _parameter(name, given, problems, True, build)
    for parent, values in reversed(list(condition.items())):
        domain = when(parent, values, domain)
    return domain


# -- writing ---------------------------------------------------------------------------------------


def write_space(space: Mapping[str, Any]) -> dict[str, Any]:
    """A `param_space` in the notation that `read_space` reads: the same values, as probable."""
    return {key: _written(value) for key, value in space.items()}


def _written(value: Any) -> Any:
    if isinstance(value, Conditional):
        inner = _written(value.domain)
        inner = inner if isinstance(inner, dict) else {"value": inner}
        values = list(value.values)
        alone = len(values) == 1 and not isinstance(values[0], list)
        condition = {value.parent: values[0] if alone else values}
        return inner | {"when": condition | inner.get("when", {})}
    if isinstance(value, sample.Categorical) and any(has_domain(option) for option in value.categories):
        return {"options": [_written(o) if has_domain(o) else {"value": o} for o in value.categories]}
    if isinstance(value, sample.Domain):
        return _domain(as_domain(value))
    if isinstance(value, Mapping) and set(value) == {"grid_search"}:
        return dict(value)
    if has_domain(value):
        return {"parameters": write_space(value)}
    return {"value": value} if isinstance(value, Mapping) else value


def has_domain(value: Any) -> bool:
    """Whether anything in a (nested) value is searched."""
    if isinstance(value, Mapping):
        return set(value) == {"grid_search"} or any(has_domain(inner) for inner in value.values())
    return isinstance(value, sample.Domain | Conditional)


def _domain(domain: Any) -> dict[str, Any]:
    """One of `search_algs.space`'s domains in YAML."""
    if isinstance(domain, Choice):
        if domain.probabilities is None:
            return {"values": list(domain.options)}
        return {"values": list(domain.options), "probabilities": list(domain.probabilities)}
    if domain.size == 1 or (isinstance(domain, Real) and domain.low == domain.high):
        return {"values": [domain.low]}
    law = domain.law
    name = _LAWS[type(law).__name__]
    if isinstance(domain, Real):
        return {"distribution": name} | _ends(law)
    if not domain.nearest:
        ends = {"min": int(domain.low), "max": int(domain.high)}
        if domain.q == 1 and not domain.log:
            return {"distribution": "int_uniform", **ends}
        return {"distribution": "integers", **ends, "q": int(domain.q), "log": domain.log}
    if domain.bounds is not None:
        low, high = domain.bounds
        return {"distribution": "multiples", "min": low, "max": high, "q": domain.q, "log": domain.log}
    q = int(domain.q) if domain.integer else float(domain.q)
    return {"distribution": f"q_{name}", **_ends(law), "q": q}


_LAWS = {
    "Uniform": "uniform",
    "LogUniform": "log_uniform_values",
    "Normal": "normal",
    "LogNormal": "log_normal",
    "Beta": "beta",
}
"""W&B's word for each law of `search_algs.space.laws`."""


def _ends(law: Any) -> dict[str, float]:
    """The parameters of a law under W&B's keys."""
    keys = {"low": "min", "high": "max"}
    return {keys.get(slot, slot): getattr(law, slot) for slot in type(law).__slots__}
