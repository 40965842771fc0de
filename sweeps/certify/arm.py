"""One configuration in a race, and what its trials gave. Losses are to be minimised, whatever the metric."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Arm:
    """One configuration (an arm, as in a bandit)."""

    name: str
    """The id of the sweep's trial that it comes from, or `default`."""

    losses: list[float] = field(default_factory=list)
    """Of its trials that ended well."""

    failed: int = 0
    running: int = 0
    """Trials that have not ended."""

    @property
    def trials(self) -> int:
        """How many it was given, those under way included."""
        return len(self.losses) + self.failed + self.running

    @property
    def mean(self) -> float:
        """Of its losses; there must be one."""
        return statistics.fmean(self.losses)

    @property
    def unreliable(self) -> bool:
        """Whether it failed twice or more, and at least every second time."""
        return self.failed >= max(2, len(self.losses))

    @property
    def squares(self) -> float:
        """Sum of squared deviations from its mean; exactly 0 where all its losses are equal."""
        if len(set(self.losses)) < 2:
            return 0.0
        mean = self.mean
        return sum((loss - mean) ** 2 for loss in self.losses)


def noise(arms: Iterable[Arm]) -> tuple[float, int]:
    """(variance of one trial, degrees of freedom): what repeats of the same configuration differ by, pooled.

    The variance is 0 where there are no repeats (0 degrees).
    """
    arms = [arm for arm in arms if arm.losses]
    degrees = sum(len(arm.losses) - 1 for arm in arms)
    return (sum(arm.squares for arm in arms) / degrees if degrees else 0.0), degrees
