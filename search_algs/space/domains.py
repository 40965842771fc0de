"""What one searched parameter may be: real numbers, steps or choices, each seen as the unit interval.

`from_unit(u)` is the inverse distribution function, `to_unit(value)` goes back; for every u in [0, 1], ends included,
`from_unit(to_unit(from_unit(u))) == from_unit(u)`. Floating point alone does not give that equality, so u is
first rounded to a multiple of 2^-40: going there and back errs by far less than half of that, so it finds the same multiple.
A continuous parameter thus has 2^40 + 1 values, 9e-13 of its range apart.
"""

from __future__ import annotations

import bisect
import copy
import json
import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from search_algs.space.laws import Law, LogUniform, Uniform
from search_algs.space.nearest import nearest

GRID = 2**40
Kind = Literal["float", "int", "categorical"]
ArrowType = Literal["double", "int64", "bool", "string"]


def _node(u: float, law: Law) -> int:
    """The multiple of 1/GRID nearest to u; never an end where the law is infinite."""
    edge = 0 if law.bounded else 1
    return min(GRID - edge, max(edge, round(u * GRID)))


@dataclass(frozen=True, slots=True)
class Real:
    """A continuous parameter."""

    law: Law

    @property
    def kind(self) -> Kind:
        """Always float."""
        return "float"

    @property
    def size(self) -> None:
        """None: continuous."""
        return None

    @property
    def arrow_type(self) -> ArrowType:
        """The type of its column."""
        return "double"

    @property
    def step(self) -> None:
        """None: continuous."""
        return None

    @property
    def log(self) -> bool:
        """Whether equal ratios are equally far apart."""
        return self.law.log

    @property
    def low(self) -> float:
        """The least value it takes."""
        return self.from_unit(0.0)

    @property
    def high(self) -> float:
        """The greatest value it takes."""
        return self.from_unit(1.0)

    def from_unit(self, u: float) -> float:
        """The value at u; u outside [0, 1] counts as the nearer end."""
        return float(self.law.ppf(_node(u, self.law) / GRID))

    def to_unit(self, value: Any) -> float:
        """The unit coordinate of a value; beyond the bounds, the nearer end."""
        x = _number(value)
        node = _node(min(1.0, max(0.0, self.law.cdf(x))), self.law)
        found = self.law.ppf(node / GRID)
        if found != x and math.isclose(found, x, rel_tol=1e-13):
            # Where the law is so flat that neighbours share a value, rounding may have led one value aside.
            for offset in (sign << k for k in range(32) for sign in (1, -1)):
                near = node + offset
                if 0 <= near <= GRID and self.from_unit(near / GRID) == x:
                    node = near
                    break
        return node / GRID

    def clip(self, value: Any) -> float:
        """The nearest value it takes."""
        return min(self.high, max(self.low, _number(value)))

    def accepts(self, value: Any) -> bool:
        """Whether the value lies within the bounds."""
        return _is_number(value) and self.low <= value <= self.high

    def column(self, value: Any) -> float:
        """The value as its column of type `arrow_type` holds it."""
        return float(value)

    def describe(self) -> str:
        """One line for people."""
        return _law_text(self.law)


@dataclass(frozen=True, slots=True)
class Stepped:
    """A number on a lattice, value = k * q: integers, and whatever is quantised.

    Ray's integers take every k of [first, last] as one cell of the law (`nearest` False: floor). Ray's quantised floats
    and everything of W&B round a continuous draw, k = round(r / q), so that Ray's end cells are half as likely.
    """

    law: Law
    """Over k where `nearest` is False, over the value otherwise."""
    q: float
    integer: bool
    nearest: bool
    first: int | None = None
    """The least k, None: unbounded."""
    last: int | None = None
    bounds: tuple[float, float] | None = None
    """Values are clipped to these: k * q may exceed a bound by one rounding error."""

    @property
    def kind(self) -> Kind:
        """Int or float."""
        return "int" if self.integer else "float"

    @property
    def size(self) -> int | None:
        """The number of values, None where the law has no bounds."""
        return None if self.first is None or self.last is None else self.last - self.first + 1

    @property
    def arrow_type(self) -> ArrowType:
        """The type of its column."""
        return "int64" if self.integer else "double"

    @property
    def step(self) -> float:
        """The distance of neighbours."""
        return int(self.q) if self.integer else self.q

    @property
    def log(self) -> bool:
        """Whether equal ratios are equally far apart."""
        return self.law.log

    @property
    def low(self) -> float:
        """The least value it takes."""
        return self.from_unit(0.0)

    @property
    def high(self) -> float:
        """The greatest value it takes."""
        return self.from_unit(1.0)

    def at(self, k: int) -> float:
        """The value k * q."""
        value: float = int(k * self.q) if self.integer else float(k * self.q)
        return value if self.bounds is None else min(self.bounds[1], max(self.bounds[0], value))

    def values(self, index: int) -> float:
        """The value number `index` of `size`, ascending."""
        assert self.first is not None
        return self.at(self.first + index)

    def cell(self, u: float) -> int:
        """The k at u."""
        x = self.law.ppf(_node(u, self.law) / GRID)
        return self._within(round(x / self.q) if self.nearest else math.floor(x))

    def from_unit(self, u: float) -> float:
        """The value at u; u outside [0, 1] counts as the nearer end."""
        return self.at(self.cell(u))

    def to_unit(self, value: Any) -> float:
        """The middle of the value's cell; beyond the bounds, that of the nearest."""
        k = self._within(round(_number(value) / self.q))
        ends = ((k - 0.5) * self.q, (k + 0.5) * self.q) if self.nearest else (float(k), k + 1.0)
        left, right = (min(1.0, max(0.0, self.law.cdf(x))) for x in ends)
        node = _node((left + right) / 2, self.law)
        if self.cell(node / GRID) != k:
            for offset in (sign << j for j in range(32) for sign in (1, -1)):
                if 0 <= node + offset <= GRID and self.cell((node + offset) / GRID) == k:
                    return (node + offset) / GRID
        return node / GRID

    def clip(self, value: Any) -> float:
        """The nearest value it takes."""
        return self.at(self._within(round(_number(value) / self.q)))

    def accepts(self, value: Any) -> bool:
        """Whether it is one of the values, up to rounding."""
        return (
            _is_number(value)
            and math.isfinite(value)
            and math.isclose(self.clip(value), value, abs_tol=1e-9 * self.q)
        )

    def column(self, value: Any) -> float:
        """The value as its column of type `arrow_type` holds it."""
        return int(value) if self.integer else float(value)

    def describe(self) -> str:
        """One line for people."""
        if isinstance(self.law, Uniform | LogUniform):
            text = f"{'integers' if self.integer else 'numbers'} from {self.low:.12g} to {self.high:.12g}"
            text += f" in steps of {self.q:.12g}" if self.q != 1 or not self.integer else ""
            return text + (", logarithmic" if self.log else "")
        return f"{_law_text(self.law)}, rounded to multiples of {self.q:.12g}"

    def _within(self, k: int) -> int:
        if self.first is not None and k < self.first:
            return self.first
        return self.last if self.last is not None and k > self.last else k


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several values of any kind; value i is the i-th cell of the unit interval.

    True, 1 and 1.0 are three values; NaN equals NaN; a tuple is found again where a file made a list of it.
    """

    options: tuple[Any, ...]
    probabilities: tuple[float, ...] | None = None
    """None: equally likely."""
    subspaces: tuple[Any, ...] | None = None
    """The options as written where some are dicts with domains inside; `options` then has them without their domains."""
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
        """The number of the first option equal to the value; ValueError with the nearest where there is none."""
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
        if not self.accepts(value) and _is_number(value) and all(_is_number(one) for one in self.options):
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


Domain = Real | Stepped | Choice


def key(value: Any) -> str:
    """A text that is equal for equal values of equal types: 1, 1.0 and True differ, NaN is NaN, list is not tuple."""
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


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, int | float | np.integer | np.floating)
        and not isinstance(value, bool)
        and not math.isnan(value)
    )


def _number(value: Any) -> float:
    if not _is_number(value):
        raise ValueError(f"{value!r} is no number")
    return value


def _law_text(law: Law) -> str:
    match law:
        case Uniform():
            return f"{law.low:.12g} to {law.high:.12g}"
        case LogUniform():
            return f"{law.low:.12g} to {law.high:.12g}, logarithmic"
    name = {"Normal": "normal", "LogNormal": "log-normal", "Beta": "beta"}[type(law).__name__]
    return f"{name}({', '.join(f'{getattr(law, s):.12g}' for s in law.__slots__)})"
