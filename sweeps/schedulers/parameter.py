"""A parameter of a scheduler, what it may be, and those that several schedulers have."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Rule = tuple[str, Callable[[Any], bool]]
"""Allowed values in words, and whether a value is one."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """Its default (None: taken from the sweep, which `doc` says), meaning, and the values it may take."""

    default: Any
    doc: str
    rule: Rule

    @property
    def allowed(self) -> str:
        """The allowed values, in words."""
        return self.rule[0]

    def test(self, value: Any) -> bool:
        """Whether it may have that value."""
        return self.rule[1](value)


def number(value: Any) -> bool:
    """Whether it is a number, and not NaN."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def whole(least: int) -> Rule:
    """Whole numbers from `least` up."""
    return f"a whole number >= {least}", lambda v: number(v) and v == int(v) and v >= least


def between(low: float, high: float) -> Rule:
    """Numbers of [low, high]."""
    return f"a number in [{low:g}, {high:g}]", lambda v: number(v) and low <= v <= high


MAX_T = Parameter(
    None, "reports after which a trial has trained fully; default: the sweep's max_iterations", whole(1)
)
GRACE = Parameter(1, "no trial is stopped before this many reports", whole(1))
ETA = Parameter(
    3,
    "one of this many trials goes on at each rung (eta; Li et al. 2018, arXiv:1603.06560)",
    ("a number > 1", lambda v: number(v) and v > 1),
)
EVERY = Parameter(1, "reports between two perturbations of a trial", whole(1))
QUANTILE = Parameter(
    0.25, "share of the population that is copied from, and that is replaced", between(0, 0.5)
)
