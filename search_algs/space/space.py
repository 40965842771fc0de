"""The search space: from a Ray Tune `param_space` to the unit cube and back.

A configuration is a nested dict as the trainable gets it. A point is a vector of the unit cube, one
coordinate a dimension, and a mask that says which dimensions are active in it. Decoding is on the path of
every suggestion (PSO budgets 1 ms for all): it is plain Python over a precomputed plan, about 2 microseconds
a parameter.

(Longer than most files: decoding, encoding and repairing walk one plan and are easier to compare side by
side.)
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from search_algs.space.choices import Choice
from search_algs.space.conditions import Condition
from search_algs.space.constraints import Constraint
from search_algs.space.domains import Domain
from search_algs.space.errors import SpaceError
from search_algs.space.grid import Grid
from search_algs.space.nearest import nearest
from search_algs.space.reading import Leaf, Path, Reading, look_up

DRAWS = 10_000
"""Random points tried before a space counts as having none that its constraints allow."""
_MISSING = object()
Guards = tuple[tuple[int, frozenset[Any]], ...]
"""(dimension's number, the marks it may have), all of which must hold."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """One searched parameter."""

    name: str
    """Its path joined with dots; with [i] behind it where option i of a choice repeats another option's
    key."""
    path: Path
    domain: Domain
    conditions: tuple[Condition, ...] = ()
    """All must hold for it to be active."""


class Space:
    """A search space.

    Args:
        param_space: nested dict of Ray Tune domains, those of `search_algs.space`, `when(...)` and constants.
        constraints: texts such as `"batch_size * accumulate <= 1024"`.

    Raises:
        SpaceError: with every mistake of the space at once.

    Law: for every u in [0, 1]^d, `decode(encode(decode(u))[0]) == decode(u)`.
    """

    def __init__(self, param_space: Mapping[str, Any], constraints: Sequence[str] = ()) -> None:
        if not isinstance(param_space, Mapping):
            raise SpaceError([f"the space is {param_space!r}; it must be a dict from names to domains"])
        reading = Reading()
        reading.walk(param_space, (), ())
        self._problems = reading.problems
        self._mistaken = reading.names - {leaf.name for leaf in reading.leaves}
        domains = {leaf.name: leaf.domain for leaf in reading.leaves if leaf.domain is not None}
        self.constants: dict[str, Any] = {
            leaf.name: leaf.constant for leaf in reading.leaves if leaf.domain is None and not leaf.guards
        }
        leaves = self._kept(reading.leaves, domains)
        self.dimensions: tuple[Dimension, ...] = tuple(
            Dimension(leaf.name, leaf.path, leaf.domain, tuple(found[0] for found in guards))
            for leaf, guards in leaves if leaf.domain is not None
        )  # fmt: skip
        self.names: tuple[str, ...] = tuple(d.name for d in self.dimensions)
        number = {name: i for i, name in enumerate(self.names)}
        self._guards: list[Guards] = [()] * len(self.names)
        self._entries: list[tuple[Path, int, Guards, Any]] = []  # a dimension's number or -1 for a constant
        for leaf, found in leaves:
            guards = tuple(
                (number[condition.parent], marks) for condition, marks in found if condition.parent in number
            )
            self._entries.append(
                (leaf.path, number.get(leaf.name, -1) if leaf.domain else -1, guards, leaf.constant)
            )
            if leaf.domain is not None:
                self._guards[number[leaf.name]] = guards
        self.parents_first: tuple[int, ...] = tuple(self._parents_first())
        self.switches: tuple[int, ...] = tuple(
            i
            for i in self.parents_first
            if any(parent == i for guards in self._guards for parent, _ in guards)
        )
        self._plan = [
            (i, d.domain, isinstance(d.domain, Choice), self._guards[i])
            for i in self.parents_first
            for d in (self.dimensions[i],)
        ]
        self.constraints: tuple[Constraint, ...] = ()
        self._places = {leaf.name: leaf.path for leaf, _ in leaves}
        self.constraints = self._read_constraints(constraints, {leaf.name for leaf in reading.leaves})
        if self._problems:
            raise SpaceError(self._problems)

    def __len__(self) -> int:
        return len(self.dimensions)

    def __repr__(self) -> str:
        return f"Space({', '.join(self.names)})"

    @property
    def size(self) -> int | None:
        """The number of configurations, constraints aside; None where a parameter has endlessly many
        values."""
        return None if any(d.domain.size is None for d in self.dimensions) else len(self.grid())

    def decode(self, unit: ArrayLike) -> dict[str, Any]:
        """The configuration at a point, shape (d,): constants included, inactive parameters absent."""
        values, active, marks = self._resolve(_floats(unit, len(self)))
        return self._assemble(values, active, marks)

    def encode(self, config: Mapping[str, Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The point of a configuration and the mask of its active dimensions; inactive coordinates are 0.5.

        Numbers beyond their bounds count as the bound. ValueError for a missing parameter or a value that is
        no option.
        """
        unit, active = [0.5] * len(self), [False] * len(self)
        marks: list[Any] = [None] * len(self)
        for i, domain, is_choice, guards in self._plan:
            if not _hold(guards, active, marks):
                continue
            value = _get(config, self.dimensions[i].path)
            name = self.names[i]
            if value is _MISSING:
                raise ValueError(
                    f"the configuration has no {name!r}, which is active in it; call repair(config) first"
                )
            try:
                unit[i] = domain.to_unit(value)
                marks[i] = domain.cell(unit[i]) if is_choice else domain.from_unit(unit[i])  # type: ignore[union-attr]
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
            active[i] = True
        return np.array(unit, dtype=float), np.array(active, dtype=bool)

    def flatten(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """`{name: value}` of the searched parameters active in a configuration."""
        unit, active = self.encode(config)
        return {
            d.name: d.domain.from_unit(u) if isinstance(d.domain, Choice) else _get(config, d.path)
            for d, u, there in zip(self.dimensions, unit.tolist(), active, strict=True) if there
        }  # fmt: skip

    def active(self, unit: ArrayLike) -> list[bool]:
        """Which dimensions are active at a point."""
        return self._resolve(_floats(unit, len(self)))[1]

    def violated(self, config: Mapping[str, Any]) -> list[str]:
        """The texts of the constraints that a configuration breaks."""
        if not self.constraints:
            return []
        values: dict[str, Any] = {}
        for name in {name for one in self.constraints for name in one.names}:
            value = _get(config, self._places[name]) if name in self._places else _MISSING
            if value is not _MISSING:
                values[name] = value
        return [one.text for one in self.constraints if not one.holds(values)]

    def sample(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """A uniform random point that breaks no constraint; ValueError names the constraints if none is
        found."""
        for _ in range(DRAWS):
            unit = rng.random(len(self))
            if not self.constraints or not self.violated(self.decode(unit)):
                return unit
        raise ValueError(
            f"none of {DRAWS} random configurations "
            f"obeys the constraints {[one.text for one in self.constraints]}; "
            "loosen one, or widen the ranges of the parameters in it"
        )

    def repair(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The configuration made valid: numbers clipped, conditional parameters added (at the middle) or
        dropped.

        What the space does not know is kept as it is. Constraints are not repaired: ask `violated`.
        ValueError for a value that is no option.
        """
        values: list[Any] = [None] * len(self)
        marks: list[Any] = [None] * len(self)
        active = [False] * len(self)
        for i, domain, _, guards in self._plan:
            if not _hold(guards, active, marks):
                continue
            given = _get(config, self.dimensions[i].path)
            try:
                values[i] = domain.from_unit(0.5) if given is _MISSING else domain.clip(given)
                marks[i] = values[i]
                if isinstance(domain, Choice):  # of sub-spaces: the shape of what was given tells which
                    whole = domain.subspaces is not None and given is not _MISSING
                    marks[i] = domain.index(given if whole else values[i])
            except ValueError as error:
                raise ValueError(f"{self.names[i]}: {error}") from error
            active[i] = True
        repaired = self._assemble(values, active, marks)
        known = {path[0] for path in self._places.values()}
        repaired.update({name: copy.deepcopy(value) for name, value in config.items() if name not in known})
        return repaired

    def grid(self) -> Grid:
        """Every configuration, constraints aside, as a lazy sequence; SpaceError names the continuous
        parameters."""
        return Grid(self)

    def describe(self) -> list[dict[str, Any]]:
        """For each dimension its name, kind, domain and conditions in words, and number of values."""
        return [
            {
                "name": d.name, "kind": d.domain.kind, "domain": d.domain.describe(),
                "when": [str(one) for one in d.conditions], "size": d.domain.size,
            } for d in self.dimensions
        ]  # fmt: skip

    def _kept(
        self, leaves: list[Leaf], domains: dict[str, Domain]
    ) -> list[tuple[Leaf, list[tuple[Condition, frozenset[Any]]]]]:
        """The leaves with their conditions looked up, without those that a constant parent rules out."""
        kept: list[tuple[Leaf, list[tuple[Condition, frozenset[Any]]]]] = []
        dropped: set[str] = set()
        for leaf in leaves:
            found: list[tuple[Condition, frozenset[Any]]] = []
            there = True
            for guard in leaf.guards:
                if guard.parent in self._mistaken:
                    continue
                try:
                    result = look_up(guard, domains, self.constants)
                except ValueError as error:
                    self._problems.append(f"{leaf.name}: {error}")
                    continue
                if isinstance(result, bool):
                    there = there and result
                else:
                    found.append(result)
            if there:
                kept.append((leaf, found))
            elif leaf.domain is not None:
                dropped.add(leaf.name)
        while True:  # whoever depends on a dropped one is dropped too
            gone = [one for one in kept if any(condition.parent in dropped for condition, _ in one[1])]
            if not gone:
                return kept
            dropped |= {leaf.name for leaf, _ in gone if leaf.domain is not None}
            kept = [one for one in kept if one not in gone]

    def _parents_first(self) -> list[int]:
        order: list[int] = []
        waiting = list(range(len(self.names)))
        while waiting:
            ready = [i for i in waiting if all(parent in order for parent, _ in self._guards[i])]
            if not ready:
                circle = ", ".join(self.names[i] for i in waiting)
                self._problems.append(
                    f"{circle}: each depends on another of them in a circle; remove one `when`"
                )
                return list(range(len(self.names)))
            order += ready
            waiting = [i for i in waiting if i not in ready]
        return order

    def _read_constraints(self, texts: Sequence[str], everything: set[str]) -> tuple[Constraint, ...]:
        """The constraints; `everything` has also the names that a constant parent rules out."""
        if isinstance(texts, str):
            texts = (texts,)
        read: list[Constraint] = []
        for text in texts:
            try:
                one = Constraint(text)
            except ValueError as error:
                self._problems.append(f"constraint: {error}")
                continue
            unknown = sorted(one.names - self._places.keys() - everything - self._mistaken)
            for name in unknown:
                self._problems.append(
                    f"constraint {one.text!r}: there is no parameter {name!r}{nearest(name, self._places)}"
                )
            if not unknown and not one.names & self._mistaken:
                read.append(one)
        if read and not self._problems:
            self.constraints = tuple(read)
            try:
                self.violated(self.decode(np.full(len(self), 0.5)))
            except ValueError as error:
                self._problems.append(str(error))
        return tuple(read)

    def _resolve(self, unit: Sequence[float]) -> tuple[list[Any], list[bool], list[Any]]:
        values: list[Any] = [None] * len(unit)
        marks: list[Any] = [None] * len(unit)
        active = [False] * len(unit)
        for i, domain, is_choice, guards in self._plan:
            if guards and not _hold(guards, active, marks):
                continue
            active[i] = True
            if is_choice:
                marks[i] = domain.cell(unit[i])  # type: ignore[union-attr]
                values[i] = domain.value(marks[i])  # type: ignore[union-attr]
            else:
                marks[i] = values[i] = domain.from_unit(unit[i])
        return values, active, marks

    def _assemble(
        self, values: Sequence[Any], active: Sequence[bool], marks: Sequence[Any]
    ) -> dict[str, Any]:
        config: dict[str, Any] = {}
        for path, i, guards, constant in self._entries:
            if i >= 0:
                if not active[i]:
                    continue
                value = values[i]
            elif not guards or _hold(guards, active, marks):
                value = (
                    constant
                    if isinstance(constant, str | int | float | bool | None)
                    else copy.deepcopy(constant)
                )
            else:
                continue
            place = config
            for step in path[:-1]:
                place = place.setdefault(step, {})
            place[path[-1]] = value
        return config


def _hold(guards: Guards, active: Sequence[bool], marks: Sequence[Any]) -> bool:
    for parent, allowed in guards:  # noqa: SIM110  (a generator costs twice as much, on the path of every suggestion)
        if not active[parent] or marks[parent] not in allowed:
            return False
    return True


def _get(config: Mapping[str, Any], path: Path) -> Any:
    place: Any = config
    for step in path:
        if not isinstance(place, Mapping) or step not in place:
            return _MISSING
        place = place[step]
    return place


def _floats(unit: ArrayLike, d: int) -> list[float]:
    point: list[float] = unit.tolist() if isinstance(unit, np.ndarray) else list(unit)  # type: ignore[arg-type]
    if len(point) != d:
        raise ValueError(f"the point has {len(point)} coordinates; the space has {d} dimensions")
    return point
