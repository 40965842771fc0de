"""What one searched parameter may be: real numbers, steps or choices, each seen as the unit interval.

`from_unit(u)` is the inverse distribution function, `to_unit(value)` goes back; for every u in [0, 1], ends
included, `from_unit(to_unit(from_unit(u))) == from_unit(u)`. Floating point alone does not give that
equality, so u is first rounded to a multiple of 2^-40: going there and back errs by far less than half of
that, so it finds the same multiple. A continuous parameter thus has 2^40 + 1 values, 9e-13 of its range
apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from search_algs.space.choices import ArrowType, Choice, Kind, is_number
from search_algs.space.laws import Law, LogUniform, Uniform

GRID = 2**40


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
        return is_number(value) and self.low <= value <= self.high

    def column(self, value: Any) -> float:
        """The value as its column of type `arrow_type` holds it."""
        return float(value)

    def describe(self) -> str:
        """One line for people."""
        return _law_text(self.law)


@dataclass(frozen=True, slots=True)
class Stepped:
    """A number on a lattice, value = k * q: integers, and whatever is quantised.

    Ray's integers take every k of [first, last] as one cell of the law (`nearest` False: floor). Ray's
    quantised floats and everything of W&B round a continuous draw, k = round(r / q), so that Ray's end cells
    are half as likely.
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
            is_number(value)
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


Domain = Real | Stepped | Choice


def _number(value: Any) -> float:
    if not is_number(value):
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
