"""Whether a derivative through a whole training may be followed."""

from __future__ import annotations

EDGE = 1.5
"""log10 of the growth of a disturbance from which on a run counts as chaotic."""


def trusted(growth: float, agreement: float | None) -> bool:
    """Whether a step along the derivative is likely to go down.

    Args:
        growth: see `unrolled.Hypergradient`.
        agreement: mean cosine between the derivatives of several training seeds; None of one seed.
    """
    return growth < EDGE and (agreement is None or agreement > 0)
