"""Every configuration of a discrete space as a lazy sequence: its length and any item, nothing in between.

With conditions the number of configurations is no plain product. The parameters on which others depend are
enumerated first; each assignment of theirs is a branch, in which the remaining active parameters do form a
plain product.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

from search_algs.space.choices import Choice, key
from search_algs.space.domains import Domain, Real
from search_algs.space.errors import SpaceError

if TYPE_CHECKING:
    from search_algs.space.space import Space


class Grid(Sequence[dict[str, Any]]):
    """The configurations of a space in a fixed order, each once; constraints are not looked at.

    SpaceError names every parameter that has no finite number of values.
    """

    def __init__(self, space: Space) -> None:
        endless = [
            f"{d.name}: it has endlessly many values ({d.domain.describe()}); "
            "a grid needs tune.choice, tune.grid_search, "
            "tune.randint or a quantised range with bounds" for d in space.dimensions if d.domain.size is None
        ]  # fmt: skip
        if endless:
            raise SpaceError(endless)
        self._space = space
        self._units = [_units(d.domain) for d in space.dimensions]
        self._branches: list[tuple[dict[int, float], list[int]]] = list(self._branch({}, space.switches))
        sizes = [math.prod(len(self._units[i]) for i in free) for _, free in self._branches]
        self._starts = [0, *itertools.accumulate(sizes)][:-1]
        self._length = sum(sizes)

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self._space.decode(self.unit(index))

    def unit(self, index: int) -> list[float]:
        """The unit-cube point of a configuration; IndexError beyond the end."""
        if not -self._length <= index < self._length:
            raise IndexError(f"the grid has {self._length} configurations; there is no number {index}")
        index %= self._length
        number = bisect.bisect_right(self._starts, index) - 1
        fixed, free = self._branches[number]
        rest = index - self._starts[number]
        unit = [0.5] * len(self._units)
        for i, u in fixed.items():
            unit[i] = u
        for i in reversed(free):  # the first parameter changes slowest
            rest, digit = divmod(rest, len(self._units[i]))
            unit[i] = self._units[i][digit]
        return unit

    def _branch(
        self, fixed: dict[int, float], switches: Sequence[int]
    ) -> Iterator[tuple[dict[int, float], list[int]]]:
        point = [fixed.get(i, 0.5) for i in range(len(self._units))]
        active = self._space.active(point)
        if not switches:
            yield dict(fixed), [i for i, there in enumerate(active) if there and i not in fixed]
        elif not active[switches[0]]:
            yield from self._branch(fixed, switches[1:])
        else:
            for u in self._units[switches[0]]:
                yield from self._branch({**fixed, switches[0]: u}, switches[1:])


class _Units(Sequence[float]):
    """The units of a lattice's values, computed when asked for."""

    def __init__(self, domain: Domain) -> None:
        self._domain, self._size = domain, domain.size or 0

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < self._size:
            raise IndexError(index)
        assert not isinstance(self._domain, Choice)
        assert not isinstance(self._domain, Real)
        return self._domain.to_unit(self._domain.values(index))


def _units(domain: Domain) -> Sequence[float]:
    if not isinstance(domain, Choice):
        return _Units(domain)
    firsts: dict[str, int] = {}
    for i, option in enumerate(domain.options):
        if domain.probabilities is None or domain.probabilities[i] > 0:
            firsts.setdefault(f"{i}" if domain.subspaces else key(option), i)
    return [domain.middle(i) for i in firsts.values()]
