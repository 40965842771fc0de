"""What is read off a noisy curve: its noise, its level, its trend.

A curve here is an array of shape (n,) without gaps, something to be minimised, one value a report.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]

NORMAL = 0.6745
"""Median of |x| where x is normal with deviation 1."""
CALM, CALM_MEAN = 0.65, 0.4343
"""The smaller share of |x| that is averaged, and its mean where x is normal with deviation 1."""
BENT = 0.7
"""Third differences count where they say less than this share of what second ones do."""


def noise(y: Array) -> float:
    """Standard deviation of independent noise on a smooth curve, from its differences; 0 for n < 4.

    From the smaller two thirds of |second differences|, which for white noise have 6 times its variance: a
    third may be jumps. Where the curve itself is bent, from third differences, which have 20 times.
    """
    if len(y) < 4:
        return 0.0
    second = _spread(np.diff(y, 2)) / 6**0.5
    third = _spread(np.diff(y, 3)) / 20**0.5 if len(y) >= 6 else second
    return third if third < BENT * second else second


def _spread(x: Array) -> float:
    """Standard deviation of normal numbers around 0 of which a third may be larger."""
    small = np.sort(np.abs(x))[: max(1, round(CALM * len(x)))]
    return float(small.mean()) / CALM_MEAN


def smooth(y: Array, reach: int) -> Array:
    """Each value averaged with its neighbours on both sides, `reach` of them, fewer at the ends."""
    if reach < 1:
        return y
    sums = np.concatenate([[0.0], np.cumsum(y)])
    at = np.arange(len(y))
    low, high = np.maximum(at - reach, 0), np.minimum(at + reach + 1, len(y))
    return np.asarray((sums[high] - sums[low]) / (high - low))


def reach_of(n: int) -> int:
    """Neighbours that a curve of n reports is smoothed over."""
    return 0 if n < 8 else 1 if n < 30 else n // 20


def tail(n: int) -> int:
    """How many reports at the end (or the start) make its level."""
    return max(1, min(n // 4, 10)) if n < 12 else max(3, n // 12)


def end(y: Array) -> float:
    """The level at the end."""
    return float(np.median(y[-max(2, tail(len(y))) :]))


def fall(y: Array) -> float:
    """From the first report to the lowest smoothed level; not below 0."""
    return max(0.0, float(y[0] - smooth(y, reach_of(len(y))).min()))


@dataclass(frozen=True, slots=True)
class Trend:
    """A straight line through a stretch of a curve."""

    change: float
    """From its first report to its last, along the line."""

    error: float
    """Standard error of `change`."""


def trend(y: Array, deviation: float | None = None) -> Trend:
    """Least squares; the error from the residuals or from the noise, whichever is larger.

    Args:
        deviation: the noise, where it is known; None: it is estimated.
    """
    n = len(y)
    deviation = noise(y) if deviation is None else deviation
    if n < 3:
        return Trend(float(y[-1] - y[0]) if n else 0.0, 2 * deviation)
    x = np.arange(n) - (n - 1) / 2
    square = float(x @ x)
    slope = float(x @ y) / square
    residuals = y - y.mean() - slope * x
    deviation = max(float(np.sqrt(residuals @ residuals / max(n - 2, 1))), deviation)
    return Trend(slope * (n - 1), deviation / np.sqrt(square) * (n - 1))


CANDIDATES = 16
"""Reports that are tried as the start of a plateau."""
STILL, STILL_LEFT = 0.03, 0.1
"""Of the whole fall, and of what is left of a loss above 0: what falls by less than both is flat."""
TOO_VAGUE = 0.12
"""Of the whole fall: a stretch whose change is less certain than this is not called anything."""


def flat_from(y: Array, whole: float) -> int | None:
    """The first report from which on the curve neither falls nor rises; None where it does until its end.

    Args:
        whole: what counts as much: the fall of the whole curve.
    """
    n, deviation, last = len(y), noise(y), end(y)
    little = min(STILL * whole, STILL_LEFT * last) if y.min() > 0 else STILL * whole
    far = (STILL + 2 * TOO_VAGUE) * whole + 3 * deviation
    for j in np.unique(np.linspace(0, max(n - 4, 0), CANDIDATES).astype(int)).tolist():
        rest = y[j:]
        if (rest[0] + rest[1]) / 2 - last > 2 * far:  # seen at once, and most often so
            continue
        line = trend(rest, deviation)
        half = trend(rest[len(rest) // 2 :], deviation) if len(rest) >= 12 else line
        certain = line.error < TOO_VAGUE * whole
        still = abs(line.change) < little + 2 * line.error
        if certain and still and half.change > -little - 2.5 * half.error:
            return int(j)
    return None
