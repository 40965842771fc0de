"""Results of different depth on one scale: what a stopped trial would have reached.

A scheduler such as ASHA stops most trials early. Their last values are not results (the gate of `ask_tell`),
but from a certain depth on they tell the order of what they would have reached. So a trial that ended at one
rung is carried up, rung by rung, by a regression on those that were seen on both: standardised by their
median and spread, with a slope that is 1 until they say otherwise and never negative.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

TRUSTED = 0.15
"""Share of a full training from which on a value says something of the last one: rank correlation .6 to .9
there, between -.4 and .45 near the start (LCBench, 12 tasks)."""
SHARED = 3
"""Trials that must have ended at an iteration for it to count as a rung."""
FAR = 4.0
"""Standardised values beyond this are cut off."""
Curve = Mapping[int, float]
"""Loss by iteration; trusted ones only."""


def carried(curves: Mapping[int, Curve]) -> dict[int, float]:
    """What each trial would have reached at the deepest rung.

    Args:
        curves: of ended trials, by number; not empty ones.

    Returns:
        Losses by number; trials that ended below the first rung are left out.
    """
    ends = Counter(max(curve) for curve in curves.values())
    deepest = max(ends)
    rungs = sorted(at for at, count in ends.items() if count >= SHARED or at == deepest)
    reached: dict[int, int] = {}  # the rung that a trial stands on
    at_rung: list[dict[int, float]] = [{} for _ in rungs]
    for number, curve in curves.items():
        for i, rung in enumerate(rungs):
            known = [iteration for iteration in curve if iteration <= rung]
            if max(curve) >= rung and known:
                at_rung[i][number] = curve[max(known)]
                reached[number] = i
    values = {number: at_rung[i][number] for number, i in reached.items()}
    for i in range(len(rungs) - 1):
        below, above = at_rung[i], at_rung[i + 1]
        both = [number for number in above if number in below]
        lift = _Lift(np.array([below[n] for n in both]), np.array([above[n] for n in both]))
        for number, place in reached.items():
            if place <= i:
                values[number] = lift(values[number])
    return values


class _Lift:
    """From a value on one rung to the value on the next, learned from pairs (x, y), each of shape (n,)."""

    def __init__(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        self._from, self._to = _middle_and_spread(x), _middle_and_spread(y)
        u = np.clip((x - self._from[0]) / self._from[1], -FAR, FAR)
        v = np.clip((y - self._to[0]) / self._to[1], -FAR, FAR)
        self._slope = max(0.0, float((u @ v + 1) / (u @ u + 1)))

    def __call__(self, value: float) -> float:
        u = min(FAR, max(-FAR, (value - self._from[0]) / self._from[1]))
        return self._to[0] + self._to[1] * self._slope * u


def _middle_and_spread(values: NDArray[np.float64]) -> tuple[float, float]:
    """Median, and interquartile range as a normal distribution's standard deviation; (0, 1) of nothing."""
    if not len(values):
        return 0.0, 1.0
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return float(middle), float(high - low) / 1.35 or 1.0
