"""What is optimised: metrics and their modes, and the losses that a result of Ray's holds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from search_algs.space.nearest import nearest

MODES = ("min", "max")


class Objectives:
    """One metric or several, each with its mode.

    Args:
        metric: name or names; None: not known yet.
        mode: "min" or "max", one a metric; None: not known yet.

    Raises:
        ValueError: for an unknown mode, or as many modes as there are no metrics.
    """

    def __init__(self, metric: str | Sequence[str] | None, mode: str | Sequence[str] | None) -> None:
        self.metrics = () if metric is None else (metric,) if isinstance(metric, str) else tuple(metric)
        self.modes = () if mode is None else (mode,) if isinstance(mode, str) else tuple(mode)
        for one in self.modes:
            if one not in MODES:
                raise ValueError(f"mode is {one!r}{nearest(one, MODES)}")
        if self.metrics and self.modes and len(self.metrics) != len(self.modes):
            raise ValueError(
                f"{len(self.metrics)} metrics and {len(self.modes)} modes are given; give one mode a metric"
            )

    @property
    def known(self) -> bool:
        """Whether there is a metric with its mode."""
        return bool(self.metrics and self.modes)

    def losses(self, result: Mapping[str, Any]) -> tuple[float, ...] | None:
        """What is to be minimised, one a metric; None where one is missing or not finite."""
        found: list[float] = []
        for metric, mode in zip(self.metrics, self.modes, strict=False):
            value = number(_look_up(result, metric))
            if value is None or not math.isfinite(value):
                return None
            found.append(value if mode == "min" else -value)
        return tuple(found)


def number(value: Any) -> float | None:
    """As a Python float; None for what is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _look_up(result: Mapping[str, Any], metric: str) -> Any:
    """A metric by its name; Ray flattens nested results with a slash."""
    if metric in result:
        return result[metric]
    place: Any = result
    for step in metric.split("/"):
        place = place.get(step) if isinstance(place, Mapping) else None
    return place
