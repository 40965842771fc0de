"""Giving a searched parameter one value: what `--set lr=0.1` does to a space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search_algs.space import Conditional


def pinned(
    space: Mapping[str, Any], fixed: Mapping[str, Any], values: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The space and the fixed values with some parameters set.

    A searched parameter becomes a constant of the space, under its condition if it has one, so that
    constraints can still speak of it (`Space` leaves out what is conditional on another value of it). Any
    other name joins the fixed values.

    Args:
        values: By dotted name.
    """
    space, fixed = dict(space), dict(fixed)
    for name, value in values.items():
        if not _pin(space, name.split("."), value):
            fixed[name] = value
    return space, fixed


def _pin(group: dict[str, Any], path: list[str], value: Any) -> bool:
    """Set the parameter at `path` if the group has it; groups on the way are copied, not changed."""
    for length in range(1, len(path) + 1):  # a name may itself contain dots
        key, rest = ".".join(path[:length]), path[length:]
        if key not in group:
            continue
        if not rest:
            group[key] = _under_condition(group[key], value)
            return True
        if isinstance(group[key], Mapping) and set(group[key]) != {"grid_search"}:
            inner = dict(group[key])
            if _pin(inner, rest, value):
                group[key] = inner
                return True
    return False


def _under_condition(old: Any, value: Any) -> Any:
    if isinstance(old, Conditional):
        return Conditional(old.parent, old.values, _under_condition(old.domain, value))
    return value
