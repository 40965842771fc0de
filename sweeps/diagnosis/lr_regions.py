"""The three regions of a learning-rate range test (Smith 2017, arXiv:1506.01186), and which one a rate is in.

    too low      the loss stays where it was
    steepest     the loss falls as the rate grows
    diverging    it rises again

A range test raises the rate while it trains, so that the border of the last region is a little too high for
a training that stays at one rate: a tenth of it is a common choice, and `proposed` ends at the lowest loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sweeps.diagnosis.levels import noise

STARTED = 0.1
"""Share of the fall after which the loss is on its way."""
BEYOND = 0.1
"""Share of the fall that is lost again where the rates are too high."""
TOO_LOW, STEEPEST, DIVERGING = "too low", "steepest", "diverging"


@dataclass(frozen=True, slots=True)
class Regions:
    """Where the steepest region begins and ends, and its steepest point."""

    begins: float
    ends: float
    """The last rate at which the loss is as low as it gets."""
    steepest: float
    """Where it falls most for a step in the rate's logarithm, over an eighth of the curve."""

    def of(self, lr: float) -> str:
        """The region of a learning rate."""
        return TOO_LOW if lr < self.begins else STEEPEST if lr <= self.ends else DIVERGING


def regions(lrs: Sequence[float], losses: Sequence[float], smooth: Sequence[float]) -> Regions | None:
    """The regions of a range curve; None where its loss never fell by more than its noise.

    Args:
        lrs: learning rates, rising.
        losses, smooth: as measured, and averaged with their neighbours.
    """
    rates, y = np.asarray(lrs, float), np.asarray(smooth, float)
    if len(y) < 4:
        return None
    lowest = int(y.argmin())
    # What comes before the lowest point, so that a blow-up is no noise.
    start = float(np.median(y[: max(2, lowest // 4)])) if lowest else float(y[0])
    fell = start - float(y[lowest])
    if lowest == 0 or fell <= 2 * noise(np.asarray(losses, float)[: lowest + 1]):
        return None
    above = np.flatnonzero(y[: lowest + 1] > start - STARTED * fell)
    first = int(above[-1]) + 1 if len(above) else 0
    low = np.flatnonzero(y <= y[lowest] + BEYOND * fell)
    last = int(low[-1])
    width = max(1, len(y) // 8)
    middles = [max(0, i - width) for i in range(first + width, lowest + 1)] or [first]
    steep = max(middles, key=lambda i: float(y[i] - y[min(i + width, lowest)]))
    at = min(steep + width // 2, lowest)
    return Regions(float(rates[first]), float(rates[last]), float(rates[at]))


def classify(lr: float, lrs: Sequence[float], losses: Sequence[float], smooth: Sequence[float]) -> str:
    """The region of one learning rate: "too low", "steepest" or "diverging".

    Raises:
        ValueError: it lies outside of the rates that were tried, or the curve has no regions.
    """
    if not lrs[0] <= lr <= lrs[-1]:
        # A curve that blew up ends there: all beyond is worse.
        if lr > lrs[-1] and smooth[-1] > 2 * abs(smooth[0]):
            return DIVERGING
        raise ValueError(
            f"lr {lr:g} lies outside of {lrs[0]:g} to {lrs[-1]:g}, which the range test tried; "
            "give it a wider range (--from, --to)"
        )
    found = regions(lrs, losses, smooth)
    if found is None:
        raise ValueError("the loss of this range test never fell: it has no regions; try more --steps")
    return found.of(lr)
