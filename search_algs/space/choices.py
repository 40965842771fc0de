"""Choices: one of several values of any kind, seen as cells of the unit interval; and how values are told
apart."""

from __future__ import annotations

import bisect
import copy
import json
import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from search_algs.space.nearest import nearest

Kind = Literal["float", "int", "categorical"]
ArrowType = Literal["double", "int64", "bool", "string"]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several values of any kind; value i is the i-th cell of the unit interval.

    True, 1 and 1.0 are three values; NaN equals NaN; a tuple is found again where a file made a list of it.
    """

    options: tuple[Any, ...]
    probabilities: tuple[float, ...] | None = None
    """None: equally likely."""
    subspaces: tuple[Any, ...] | None = None
    """The options as written where some are dicts with domains inside; `options` then has them without their
    domains."""
    _edges: tuple[float, ...] = field(init=False, repr=False)
    _index: dict[str, int] = field(init=False, repr=False)
    _mutable: tuple[bool, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        n = len(self.options)
        if not n:
            raise ValueError("there is nothing to choose from; give at least one value")
        if self.probabilities is not None:
            p = self.probabilities
            if len(p) != n:
                raise ValueError(f"{len(p)} probabilities are given for {n} values; give one each")
            if not all(0 <= one <= 1 for one in p) or not math.isclose(sum(p), 1.0, abs_tol=1e-6):
                raise ValueError(
                    f"the probabilities {list(p)} must lie in [0, 1] and sum to 1; their sum is {sum(p)}"
                )
        shares = self.probabilities or (1 / n,) * n
        object.__setattr__(self, "_edges", tuple(float(e) for e in np.cumsum((0.0, *shares))))
        index: dict[str, int] = {}
        for i, option in enumerate(self.options):
            index.setdefault(key(option), i)
        for i, option in enumerate(self.options):
            index.setdefault(loose_key(option), i)
        object.__setattr__(self, "_index", index)
        plain = (str, int, float, bool, type(None))
        object.__setattr__(
            self, "_mutable", tuple(not isinstance(one, plain) and not callable(one) for one in self.options)
        )

    @property
    def kind(self) -> Kind:
        """Always categorical."""
        return "categorical"

    @property
    def size(self) -> int:
        """The number of options."""
        return len(self.options)

    @property
    def arrow_type(self) -> ArrowType:
        """The type of its column; where options differ in type it is a string of JSON, see `column`."""
        kinds = {type(one.item() if isinstance(one, np.generic) else one) for one in self.options}
        if kinds == {bool}:
            return "bool"
        if kinds == {int} and all(-(2**63) <= one < 2**63 for one in self.options):
            return "int64"
        return "double" if kinds <= {int, float} else "string"

    low = high = step = None
    log = False

    def cell(self, u: float) -> int:
        """The number of the option at u."""
        n = len(self.options)
        if self.probabilities is None:
            return min(n - 1, max(0, int(u * n)))
        last = max(i for i, p in enumerate(self.probabilities) if p > 0)
        return min(last, max(0, bisect.bisect_right(self._edges, u) - 1))

    def value(self, index: int) -> Any:
        """Option number `index`; a copy where it could be changed."""
        return copy.deepcopy(self.options[index]) if self._mutable[index] else self.options[index]

    values = value

    def from_unit(self, u: float) -> Any:
        """The option at u."""
        return self.value(self.cell(u))

    def middle(self, index: int) -> float:
        """The middle of an option's cell."""
        if self.probabilities is None:
            return (index + 0.5) / len(self.options)
        return (self._edges[index] + self._edges[index + 1]) / 2

    def to_unit(self, value: Any) -> float:
        """The middle of the value's cell; ValueError for a value that is no option."""
        return self.middle(self.index(value))

    def index(self, value: Any) -> int:
        """The number of the first option equal to the value; ValueError with the nearest where there is
        none."""
        found = self._index.get(key(value))
        if found is None:
            found = self._index.get(loose_key(value))
        if self.subspaces is not None:
            from search_algs.space import subspaces  # which needs this module

            fitting = subspaces.find(self.subspaces, value)
            found = found if fitting is None else fitting
        if found is None:
            raise ValueError(f"{value!r} is none of its values{nearest(value, self.options)}")
        return found

    def clip(self, value: Any) -> Any:
        """The option itself, or the nearest number where all options are numbers."""
        if not self.accepts(value) and is_number(value) and all(is_number(one) for one in self.options):
            return min(self.options, key=lambda one: abs(one - value))
        return self.value(self.index(value))

    def accepts(self, value: Any) -> bool:
        """Whether it is one of the options."""
        return key(value) in self._index or loose_key(value) in self._index

    def column(self, value: Any) -> Any:
        """The value as its column of type `arrow_type` holds it: JSON where the options' types differ."""
        match self.arrow_type:
            case "bool":
                return bool(value)
            case "int64":
                return int(value)
            case "double":
                return float(value)
        return value if all(isinstance(one, str) for one in self.options) else json.dumps(value, default=repr)

    def describe(self) -> str:
        """One line for people."""
        if self.probabilities is None:
            return f"one of {', '.join(map(repr, self.options))}"
        return "one of " + ", ".join(
            f"{o!r} ({p:.12g})" for o, p in zip(self.options, self.probabilities, strict=True)
        )


def key(value: Any) -> str:
    """A text that is equal for equal values of equal types: 1, 1.0 and True differ, NaN is NaN, list is not
    tuple."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, dict):
        inner = sorted(f"{key(k)}:{key(v)}" for k, v in value.items())
    elif isinstance(value, list | tuple | set | frozenset):
        inner = [key(one) for one in value]
        inner = sorted(inner) if isinstance(value, set | frozenset) else inner
    else:
        return f"{type(value).__name__} {value!r}"
    return f"{type(value).__name__}({','.join(inner)})"


def loose_key(value: Any) -> str:
    """A text that survives a journey through JSON: a tuple equals its list, an object equals its repr."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    try:
        return "json " + json.dumps(value, default=repr, sort_keys=True)
    except TypeError:  # keys of mixed types do not sort
        return "json " + json.dumps(value, default=repr, skipkeys=True)


def is_number(value: Any) -> bool:
    """Whether it is a number; neither a truth value nor NaN is one."""
    return (
        isinstance(value, int | float | np.integer | np.floating)
        and not isinstance(value, bool)
        and not math.isnan(value)
    )
