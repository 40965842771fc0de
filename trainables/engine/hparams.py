"""Hyperparameters, declared once: a field of a frozen dataclass says its default, range and meaning.

From that one declaration come the checks of a config, the Tune space, the set that population-based training
may change while a trial runs, and the documentation.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, Union

from trainables.engine import parts

Group = Literal["model", "optim", "reg", "sampler", "data", "other"]
C = TypeVar("C")


@dataclass(frozen=True, kw_only=True, slots=True)
class Hyperparameter:
    """What is known of one hyperparameter beside its name."""

    default: Any
    """Used when a config leaves it out."""
    kind: str
    """The annotated type in words: "float", "int", "str", "bool", or one of them "or None"."""
    low: float | None = None
    """Lower end of the range worth searching; not a limit of what is valid."""
    high: float | None = None
    """Upper end of the range worth searching, included."""
    log: bool = False
    """Search on a logarithmic scale."""
    choices: tuple[Any, ...] | None = None
    """The only values allowed; None: any value of its type that the class accepts."""
    group: Group = "other"
    """Where the documentation lists it."""
    mutable: bool = False
    """May change while the trial runs (population-based training)."""
    path: bool = False
    """A file or folder, relative to where the sweep starts; a trial gets it absolute."""
    doc: str = ""
    """One sentence: meaning, unit, special values."""


def hyper(
    default: Any,
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    log: bool = False,
    choices: Iterable[Any] | None = None,
    group: Group = "other",
    mutable: bool = False,
    path: bool = False,
) -> Any:
    """Declare one field: `lr: float = hyper(0.1, "Peak learning rate.", low=1e-4, high=1.0, log=True)`."""
    if (low is None) != (high is None):
        raise ValueError(f"low is {low} and high is {high}; a range needs both ends.")
    known = {
        "low": low,
        "high": high,
        "log": log,
        "choices": None if choices is None else tuple(choices),
        "group": group,
        "mutable": mutable,
        "path": path,
        "doc": doc,
    }
    return dataclasses.field(default=default, metadata=known)


def declared(cls: type) -> dict[str, Hyperparameter]:
    """Every hyperparameter of the dataclass `cls`, by name, in the order of declaration."""
    hints = typing.get_type_hints(cls)
    return {
        f.name: Hyperparameter(default=f.default, kind=_kind(hints[f.name]), **f.metadata)
        for f in dataclasses.fields(cls)
    }


def mutable(cls: type) -> frozenset[str]:
    """Names of the hyperparameters that may change while a trial runs."""
    return frozenset(name for name, known in declared(cls).items() if known.mutable)


def tune_space(cls: type, names: Iterable[str] | None = None) -> dict[str, Any]:
    """Tune domains over the declared ranges and choices.

    Args:
        names: which hyperparameters; None takes all that declare a range or choices.

    Raises:
        ValueError: for an unknown name or one that declares neither.
    """
    from ray import tune

    known = declared(cls)
    chosen = [n for n, h in known.items() if h.low is not None or h.choices] if names is None else list(names)
    space: dict[str, Any] = {}
    for name in chosen:
        if name not in known:
            raise ValueError(unknown_key(name, known))
        h = known[name]
        if h.choices:
            space[name] = tune.choice(list(h.choices))
        elif h.low is None or h.high is None:
            raise ValueError(f"`{name}` declares no range to search; give a domain for it yourself.")
        elif h.kind.startswith("int"):
            draw = tune.lograndint if h.log else tune.randint
            space[name] = draw(int(h.low), int(h.high) + 1)
        else:
            space[name] = (tune.loguniform if h.log else tune.uniform)(h.low, h.high)
    return space


def unknown_key(name: str, known: Iterable[str]) -> str:
    """The sentence for a name that is not among the known ones."""
    names = list(known)
    near = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(names)}."
    return f"unknown hyperparameter `{name}`; {hint}"


def problems(cls: type, config: Mapping[str, Any]) -> list[str]:
    """Everything wrong with `config` for the dataclass `cls`, one sentence each; [] when it is fine."""
    return _read(cls, config)[1]


def make(cls: type[C], config: Mapping[str, Any]) -> C:
    """`cls(**config)` after exact conversion of what trackers and schedulers change on the way (64.0, "0.1").

    Raises:
        ValueError: with every problem at once.
    """
    value, wrong = _read(cls, config)
    if wrong:
        raise ValueError("; ".join(wrong))
    return typing.cast(C, value)


def mutated(running: C, config: Mapping[str, Any]) -> C:
    """The dataclass of `config`, which may differ from `running` in mutable hyperparameters only.

    Names with a leading _ are not the trainable's and are passed over.

    Raises:
        ValueError: naming what cannot change.
    """
    cls = type(running)
    new = make(cls, {name: value for name, value in config.items() if not name.startswith("_")})
    changed = {name for name in declared(cls) if getattr(new, name) != getattr(running, name)}
    fixed = sorted(changed - mutable(cls))
    if fixed:
        raise ValueError(
            f"{', '.join(fixed)} cannot change while a trial runs; only: {sorted(mutable(cls))}"
        )
    return new


def _read(cls: type, config: Mapping[str, Any]) -> tuple[Any, list[str]]:
    known, hints = declared(cls), typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    wrong: list[str] = []
    for name, value in config.items():
        if name not in known:
            wrong.append(unknown_key(name, known))
            continue
        try:
            values[name] = coerce(hints[name], value)
        except ValueError:
            wrong.append(f"`{name}` is {value!r}; expected {known[name].kind}.")
            continue
        choices = known[name].choices
        if choices and values[name] not in choices:
            near = difflib.get_close_matches(str(value), [str(c) for c in choices], 1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            wrong.append(f"`{name}` is {value!r}; allowed: {', '.join(map(repr, choices))}{hint}")
            del values[name]
    try:
        return cls(**values), wrong
    except ValueError as error:
        return None, [*wrong, str(error)]


def coerce(hint: Any, value: Any) -> Any:
    """`value` as the annotated type, where that loses nothing.

    64.0 -> 64 for int, "0.1" -> 0.1 for float, "true" -> True for bool, NumPy scalars -> Python's.

    Raises:
        ValueError: where it would lose something ("64.5" for int, "yes please" for bool).
    """
    options = typing.get_args(hint) if _is_union(hint) else (hint,)
    if type(None) in options and (value is None or value in ("None", "null", "none")):
        return None
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:  # NumPy and torch scalars
        value = value.item()
    for option in options:
        if option is type(None):
            continue
        try:
            return _exactly(option, value)
        except (TypeError, ValueError, OverflowError):
            continue
    raise ValueError(f"{value!r} is not exactly a {_kind(hint)}")


def _exactly(wanted: type, value: Any) -> Any:
    if wanted is bool:
        words = {"true": True, "false": False}
        if isinstance(value, str):
            return words[value.lower()] if value.lower() in words else _refuse(value)
        return bool(value) if value in (0, 1) else _refuse(value)
    if wanted is str:
        return value if isinstance(value, str) else _refuse(value)
    if isinstance(value, bool):
        return _refuse(value)
    if wanted is int:
        number = (
            int(value) if isinstance(value, str) and value.strip().lstrip("+-").isdigit() else float(value)
        )
        return int(number) if int(number) == number else _refuse(value)
    if wanted is float:
        return float(value)
    if typing.get_origin(wanted) is dict:  # one for each part
        if not isinstance(value, Mapping):
            return _refuse(value)
        found = {str(key): float(one) for key, one in value.items()}
        return dict(zip(map(str, range(len(found))), parts.values(found), strict=True))
    return value if isinstance(value, wanted) else _refuse(value)


def _refuse(value: Any) -> Any:
    raise ValueError(repr(value))


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (Union, types.UnionType)


def _kind(hint: Any) -> str:
    options = typing.get_args(hint) if _is_union(hint) else (hint,)
    words: dict[Any, str] = {type(None): "None", dict[str, float]: "one for each part"}
    return " or ".join(words.get(o) or str(getattr(o, "__name__", o)) for o in options)
