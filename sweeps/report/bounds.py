"""What range of values to show where a few are so bad that all others would lie on one line."""

from __future__ import annotations

import numpy as np

from sweeps.report.material import Floats

LEAST = 8
"""Values below which all are shown."""

COUNTED = 0.9
"""Of the values, the better part that decides the range."""


def bounds(values: Floats, sign: float) -> list[float] | None:
    """Lower and upper end; None where everything can be shown.

    Args:
        values: NaN and infinities are passed over.
        sign: 1 where lower is better, -1 where higher is.
    """
    losses = np.sort(sign * values[np.isfinite(values)])
    if len(losses) < LEAST:
        return None
    low, high = float(losses[0]), float(losses[int(COUNTED * (len(losses) - 1))])
    if high <= low or losses[-1] <= low + 4 * (high - low):
        return None
    best, worst = low - 0.06 * (high - low), low + 1.5 * (high - low)
    return [best, worst] if sign > 0 else [-worst, -best]
