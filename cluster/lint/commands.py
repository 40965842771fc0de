"""The shell commands of a launcher file, with their places."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cluster.pods import mapping
from cluster.yaml_lines import Where

LISTS = (
    "initialization_commands",
    "setup_commands",
    "head_setup_commands",
    "worker_setup_commands",
    "head_start_ray_commands",
    "worker_start_ray_commands",
)
STARTS = LISTS[-2:]


def commands(content: Mapping[str, Any], lists: tuple[str, ...] = LISTS) -> Iterator[tuple[Where, str]]:
    """Each command of the file and of its node types."""
    yield from _of(content, (), lists)
    for name, one in mapping(content.get("available_node_types")).items():
        yield from _of(mapping(one), ("available_node_types", name), lists)


def _of(around: Mapping[str, Any], where: Where, lists: tuple[str, ...]) -> Iterator[tuple[Where, str]]:
    for key in lists:
        found = around.get(key)
        for i, one in enumerate(found if isinstance(found, list) else []):
            if isinstance(one, str):
                yield (*where, key, i), one


def starts(content: Mapping[str, Any], key: str) -> tuple[Where, str] | None:
    """The command of a list that starts Ray."""
    return next(
        ((at, one) for at, one in commands(content, (key,)) if re.search(r"\bray start\b", one)), None
    )


def texts(value: Any, where: Where = ()) -> Iterator[tuple[Where, str]]:
    """Every text of a document, however deep."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from texts(inner, (*where, key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from texts(inner, (*where, i))
    elif isinstance(value, str):
        yield where, value
