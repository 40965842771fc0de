"""Which derivatives may be followed: `python -m benchmarks.gradient.chaos` on digits, 20 hyperparameters.

Configurations at random, learning rates from calm to far beyond the edge of chaos (0.003 to 10). Along its
own derivative, a step of 0.05 of the unit cube each way says what the loss really does: right where it falls.
What `trust.EDGE` says of the growth is counted beside.
"""

from __future__ import annotations

import math
import sys

import numpy as np
import torch
from numpy.typing import NDArray
from ray import tune

from benchmarks.gradient.digits import SPACES, Digits
from benchmarks.gradient.problem import each
from search_algs.space import Domain, Space
from trainables.hypergrad.trust import EDGE

STEP, USEFUL = 0.05, 0.1
"""Of the unit cube; and the share of the predicted change from which on a derivative is of use."""


def measure(count: int, seed: int = 5) -> NDArray[np.float64]:
    """Growth, and real change over predicted change, of `count` configurations, shape (count, 2).

    NaN where the derivative is not finite.
    """
    wide = SPACES[20] | {"lr": each(5, tune.loguniform(3e-3, 10.0))}
    SPACES[20], narrow = wide, SPACES[20]
    try:
        problem = Digits(20, 0)
    finally:
        SPACES[20] = narrow
    space, rng = Space(wide), np.random.default_rng(seed)
    found = []
    for number in range(count):
        unit, level = space.sample(rng), rng.uniform()
        rates = [i for i, name in enumerate(space.names) if name.startswith("lr.")]
        unit[rates] = np.clip(level + rng.normal(0, 0.05, len(rates)), 0, 1)
        slopes = problem.slopes(space.decode(unit), number)
        direction = np.array(
            [slopes.values[d.name] * _rise(d.domain, u) for d, u in zip(space.dimensions, unit, strict=True)]
        )
        largest = np.abs(direction).max()
        if not 0 < largest < math.inf:
            found.append((slopes.growth, math.nan))
            continue
        step = STEP * direction / largest
        up, down = (problem.loss(space.decode(np.clip(unit + s * step, 0, 1)), number) for s in (1, -1))
        found.append((slopes.growth, (up - down) / float(2 * direction @ step)))
    return np.array(found)


def _rise(domain: Domain, u: float) -> float:
    """Derivative of a value by its unit coordinate."""
    low, high = max(0.0, u - 1e-4), min(1.0, u + 1e-4)
    return (domain.from_unit(high) - domain.from_unit(low)) / (high - low)


def main(count: int) -> None:
    """A table of what is flagged."""
    torch.set_num_threads(1)
    growth, share = measure(count).T
    wrong, useful = ~(share > 0), share > USEFUL
    print(f"{count} configurations; a derivative is flagged from a growth of {EDGE} on\n")
    print("| derivatives | number | flagged |\n|---|--:|--:|")
    for name, which in (("of the wrong sign", wrong), ("useful", useful)):
        print(f"| {name} | {which.sum()} | {(growth[which] >= EDGE).mean():.1%} |")
    least, largest = growth[wrong].min(), growth[useful].max()
    print(f"\nleast growth of a wrong one {least:.2f}, largest of a useful one {largest:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 90)
