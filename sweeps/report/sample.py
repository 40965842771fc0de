"""Which trials a figure shows where all would be too many: the best, and an even sample of the rest.

The page draws without WebGL, so that it looks the same in every browser, on paper and on a machine without a
GPU; a few thousand marks are what that draws at once. What is left out is said beside each figure.
"""

from __future__ import annotations

from collections.abc import Sequence


def best_and_even(ranking: Sequence[int], best: int, others: int) -> list[int]:
    """The first `best` of a ranking and `others` of the rest, taken at even distances of rank.

    Returns:
        Rows, in the ranking's order; all of them where that is not more.
    """
    rest = ranking[best:]
    if len(rest) <= others:
        return list(ranking)
    return [*ranking[:best], *(rest[(2 * k + 1) * len(rest) // (2 * others)] for k in range(others))]
