"""Options of a choice that are dicts with domains inside: each is a space of its own under the choice.

The option itself is represented by its `label`, its constants without the domains; the domains within it
become dimensions that are active while the option is chosen. `fits` finds the option again that a
configuration shows.
"""

from __future__ import annotations

import copy
from typing import Any

from ray.tune.search import sample as ray_sample

from search_algs.space.choices import Choice, key, loose_key
from search_algs.space.conditions import Conditional
from search_algs.space.domains import Domain
from search_algs.space.from_ray import read


def is_grid_search(node: Any) -> bool:
    """Whether it is `tune.grid_search([...])`."""
    return (
        isinstance(node, dict)
        and set(node) == {"grid_search"}
        and isinstance(node["grid_search"], list | tuple)
    )


def has_domains(node: Any) -> bool:
    """Whether anything in it is to be searched."""
    if isinstance(node, ray_sample.Domain) or is_grid_search(node):
        return True
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list | tuple) else ()
    return any(has_domains(one) for one in inner)


def label(node: dict[str, Any]) -> dict[str, Any]:
    """The dict without its domains."""
    kept: dict[str, Any] = {}
    for name, child in node.items():
        if isinstance(child, dict) and not is_grid_search(child):
            kept[name] = label(child)
        elif not has_domains(child):
            kept[name] = copy.deepcopy(child)
    return kept


def find(options: tuple[Any, ...], value: Any) -> int | None:
    """Number of the option, dicts with domains among them, that a configuration shows; None where none fits.

    Where several fit, one whose numbers come back exactly wins over one that merely has them within its
    bounds, and this over one that has only the same shape.
    """
    for strictness in ("exact", "bounds", "shape"):
        for index, option in enumerate(options):
            if fits(option, value, strictness):
                return index
    return None


def fits(option: Any, value: Any, strictness: str) -> bool:
    """Whether a value may have come from an option."""
    if isinstance(option, Conditional):
        return fits(option.domain, value, strictness)
    if is_grid_search(option):
        option = ray_sample.Categorical(option["grid_search"])
    if isinstance(option, ray_sample.Domain):
        if isinstance(option, ray_sample.Categorical) and any(has_domains(one) for one in option.categories):
            return any(fits(one, value, strictness) for one in option.categories)
        return strictness == "shape" or _has(read(option), value, strictness == "exact")
    if isinstance(option, dict) and has_domains(option):
        if not isinstance(value, dict) or not set(value) <= set(option):
            return False
        missing = [one for name, one in option.items() if name not in value]
        return all(isinstance(one, Conditional) for one in missing) and all(
            fits(option[name], one, strictness) for name, one in value.items()
        )
    return key(option) == key(value) or loose_key(option) == loose_key(value)


def _has(domain: Domain, value: Any, exactly: bool) -> bool:
    if not domain.accepts(value):
        return False
    return not exactly or isinstance(domain, Choice) or domain.from_unit(domain.to_unit(value)) == value
