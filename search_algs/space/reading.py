"""A `param_space` read into dimensions, constants and the conditions between them; every mistake is noted,
none stops the reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ray.tune.search import sample as ray_sample

from search_algs.space.choices import Choice, key
from search_algs.space.conditions import Condition, Conditional
from search_algs.space.domains import Domain
from search_algs.space.from_ray import read
from search_algs.space.nearest import nearest
from search_algs.space.subspaces import has_domains, is_grid_search, label

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Guard:
    """A condition not yet looked up: `option` is the number of a choice's option, else `values` are the
    parent's."""

    parent: str
    values: tuple[Any, ...] = ()
    option: int | None = None


@dataclass(frozen=True, slots=True)
class Leaf:
    """One place of the configuration: a domain to search (`domain` not None) or a constant."""

    name: str
    path: Path
    guards: tuple[Guard, ...]
    domain: Domain | None = None
    constant: Any = None


@dataclass(slots=True)
class Reading:
    """What was found, in the order of the param_space."""

    leaves: list[Leaf] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    """Of all searched parameters, those with mistakes among them."""

    def walk(self, node: Any, path: Path, guards: tuple[Guard, ...], labelled: bool = False) -> None:
        """Read one node. `labelled`: its plain constants are part of a choice's label already."""
        name = ".".join(path)
        if isinstance(node, Conditional):
            self._conditional(node, path, guards)
        elif is_grid_search(node):
            self._searched(ray_sample.Categorical(node["grid_search"]), path, guards)
        elif isinstance(node, Mapping):
            if path and not labelled and all(isinstance(child, Conditional) for child in node.values()):
                self.leaves.append(Leaf(name, path, guards, constant={}))  # there even while nothing in it is
            for key, child in node.items():
                if not isinstance(key, str):
                    self.problems.append(
                        f"{name or 'the space'}: the key {key!r} is no text; name parameters by strings"
                    )
                    continue
                self.walk(child, (*path, key), guards, labelled)
        elif isinstance(node, ray_sample.Domain):
            self._searched(node, path, guards)
        elif isinstance(node, list | tuple) and has_domains(node):
            self.problems.append(
                f"{name}: a list holds domains, which are searched only in dicts; name its entries in a dict"
            )
        elif not labelled:
            self.leaves.append(Leaf(name, path, guards, constant=node))

    def _conditional(self, node: Conditional, path: Path, guards: tuple[Guard, ...]) -> None:
        if not isinstance(node.parent, str) or not node.values:
            self.problems.append(
                f"{'.'.join(path)}: when({node.parent!r}, {list(node.values)}) needs "
                "a name and at least one value"
            )
            return
        self.walk(node.domain, path, (*guards, Guard(node.parent, node.values)))

    def _searched(self, domain: ray_sample.Domain, path: Path, guards: tuple[Guard, ...]) -> None:
        name = ".".join(path)
        if name in self.names:
            options = [guard.option for guard in guards if guard.option is not None]
            if not options:
                self.problems.append(f"{name}: two parameters have this name; rename one")
                return
            name = f"{name}[{options[-1]}]"  # the same key in several options of a choice
        self.names.add(name)
        parts: tuple[Any, ...] = ()
        try:
            if isinstance(domain, ray_sample.Categorical) and any(
                has_domains(one) for one in domain.categories
            ):
                parts = tuple(domain.categories)
                wrong = [one for one in parts if has_domains(one) and not isinstance(one, dict)]
                if wrong:
                    raise ValueError(
                        f"the option {wrong[0]!r} holds domains; "
                        f"make it a dict such as {{'name': ..., 'lr': ...}}"
                    )
                labels = tuple(label(one) if has_domains(one) else one for one in parts)
                found: Domain = Choice(labels, subspaces=parts)
            else:
                found = read(domain)
        except (ValueError, TypeError, ArithmeticError, AttributeError) as error:
            self.problems.append(f"{name}: {error}")
            return
        self.leaves.append(Leaf(name, path, guards, domain=found))
        for index, part in enumerate(parts):
            if has_domains(part):
                self.walk(part, path, (*guards, Guard(name, option=index)), labelled=True)


def look_up(
    guard: Guard, domains: Mapping[str, Domain], constants: Mapping[str, Any]
) -> tuple[Condition, frozenset[Any]] | bool:
    """The condition with the parent's marks (a choice's option numbers, else values), or a plain truth for a
    constant parent.

    ValueError where there is no such parent or it can never have such a value.
    """
    if guard.parent not in domains:
        if guard.parent in constants:
            return Choice(guard.values).accepts(constants[guard.parent])
        raise ValueError(
            f"when({guard.parent!r}, ...): there is no parameter {guard.parent!r}"
            f"{nearest(guard.parent, [*domains, *constants])}"
        )
    parent = domains[guard.parent]
    if isinstance(parent, Choice):
        if guard.option is not None:
            return Condition(guard.parent, (parent.options[guard.option],)), frozenset({guard.option})
        marks: set[Any] = set()
        for value in guard.values:
            first = parent.index(value)
            marks.update(
                i
                for i, one in enumerate(parent.options)
                if i == first or key(one) == key(parent.options[first])
            )
        return Condition(guard.parent, guard.values), frozenset(marks)
    if parent.size is None and parent.kind == "float":
        raise ValueError(
            f"when({guard.parent!r}, ...): {guard.parent} is continuous, "
            "so that it never has a given value; make it a choice"
        )
    for value in guard.values:
        if not parent.accepts(value):
            raise ValueError(
                f"when({guard.parent!r}, ...): {guard.parent} is never {value!r}; it is {parent.describe()}"
            )
    return Condition(guard.parent, guard.values), frozenset(parent.clip(value) for value in guard.values)
