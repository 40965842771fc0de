"""YAML read with the line of every key, so that a finding can say where."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

Where = tuple[str | int, ...]
"""Keys and positions from the top of a file to a value, as in `("provider", "region")`."""
Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C is ten times as fast; both take plain values alone."""
MERGE = "tag:yaml.org,2002:merge"
"""The key `<<`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """One YAML document of a file, before it is taken for a cluster."""

    content: Mapping[str, Any]
    lines: Mapping[Where, int]
    """The line of each key and list item, counted from 1; of a merged key (`<<`), where it is written."""
    repeated: tuple[tuple[Where, int], ...]
    """Keys that a mapping has twice, with the line of the second; YAML keeps that one without a word."""

    @property
    def kind(self) -> Literal["launcher", "RayCluster", "RayJob"] | None:
        """Which of the forms it has; None: it is no cluster."""
        kind = self.content.get("kind")
        if kind in ("RayCluster", "RayJob"):
            return kind
        return "launcher" if {"available_node_types", "provider"} & set(self.content) else None


def documents(path: str | os.PathLike[str]) -> list[Document]:
    """Every mapping of a YAML file, whatever it says.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not YAML; the sentence names the line.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no cluster file {os.fspath(path)!r}")
    found = []
    loader = Loader(path.read_text())
    try:
        while loader.check_node():
            node = loader.get_node()
            lines, repeated = dict(_lines(node)), tuple(_repeated(node))  # before merging changes the nodes
            content = loader.construct_document(node)
            if isinstance(content, dict):
                found.append(Document(content=content, lines=lines, repeated=repeated))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not YAML: {error}") from error
    finally:
        loader.dispose()
    return found


def nearest_line(lines: Mapping[Where, int], where: Where) -> int:
    """Of a key, or where it is missing, of the nearest one around it."""
    while where and where not in lines:
        where = where[:-1]
    return lines.get(where, 1)


def _lines(node: yaml.Node | None, where: Where = ()) -> Iterator[tuple[Where, int]]:
    """Merged keys come first, so that a dict of these keeps the mapping's own, as YAML does."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.tag == MERGE:
                for one in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    yield from _lines(one, where)
        for key, value in node.value:
            if key.tag != MERGE:
                inner = (*where, key.value)
                yield inner, key.start_mark.line + 1
                yield from _lines(value, inner)
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            yield (*where, i), value.start_mark.line + 1
            yield from _lines(value, (*where, i))


def _repeated(node: yaml.Node | None, where: Where = ()) -> Iterator[tuple[Where, int]]:
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                yield (*where, key.value), key.start_mark.line + 1
            seen.add(key.value)
            yield from _repeated(value, (*where, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            yield from _repeated(value, (*where, i))
