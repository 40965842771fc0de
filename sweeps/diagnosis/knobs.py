"""Settings to try next, in the words of the command line, for a configuration that has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def lr(value: float | None, factor: float) -> str:
    """A learning rate so many times as large."""
    if value is None:
        return f"a learning rate {factor:g} times as large"
    return f"--set lr={value * factor:.2g}"


def below(low: float, high: float) -> str:
    """A range for learning rates."""
    return f"lr in tune.loguniform({low:.2g}, {high:.2g})"


def larger(config: Mapping[str, Any], names: tuple[str, ...], factor: float = 2) -> str | None:
    """The first of these that is a number above 0, so many times as large; None: it has none of them."""
    for name in names:
        value = config.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            continue
        grown = round(value * factor) if isinstance(value, int) else value * factor
        return f"--set {name}={grown:g}"
    return None


def either(*options: str | None) -> str:
    """`a`, or `b`, or `c`: those that there are."""
    return ", or ".join(option for option in options if option)
