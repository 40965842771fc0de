"""Which rows and columns a round sees: functions of (seed, round), the same for any number of ranks."""

from __future__ import annotations

import numpy as np

from trainables.boosters.trees import Array
from trainables.engine import data


def drawn(seed: int, number: int, rows: int, part: slice, fraction: float) -> Array:
    """1 for those of the rows in `part` that round `number` sees and 0 for others, shape (n,).

    Each row is drawn by itself, with probability `fraction`.
    """
    if fraction >= 1:
        return np.ones(part.stop - part.start)
    bits = data.bits(seed, number * rows + part.start, part.stop - part.start)
    return ((bits >> np.uint64(11)) * 2.0**-53 < fraction).astype(np.float64)


def columns(seed: int, number: int, count: int, fraction: float) -> Array | None:
    """The features that the trees of round `number` may ask for; None: all."""
    if fraction >= 1:
        return None
    return np.random.default_rng([seed, number]).permutation(count)[: max(1, round(fraction * count))]
