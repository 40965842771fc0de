"""Whether a derivative through a whole training may be followed."""

from __future__ import annotations

EDGE = 2.0
"""log10 of the growth of a disturbance from which on a run counts as chaotic.

Of 90 trainings with learning rates from calm to far beyond the edge all 23 derivatives of the wrong sign
grew by more than 3 decades, and all 56 that foretold what a step of use does by less than 2 (2026-11-26,
`python -m benchmarks.gradient.chaos`).
"""


def trusted(growth: float, agreement: float | None) -> bool:
    """Whether a step along the derivative is likely to go down.

    Args:
        growth: see `unrolled.Hypergradient`.
        agreement: mean cosine between the derivatives of several training seeds; None of one seed.
    """
    return growth < EDGE and (agreement is None or agreement > 0)
