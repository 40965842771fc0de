"""A journal followed from its end while a driver writes it: each look reads what is new, and no more."""

from __future__ import annotations

from typing import Any

from sweeps.store import lines
from sweeps.store.storage import Folder

FIRST_SEGMENTS = 2
"""How many of the newest segments are read at first: the tables have what came before them."""


class Tail:
    """The events of a sweep's journal, from near its end onwards.

    Args:
        folder: the sweep's folder.
    """

    def __init__(self, folder: Folder) -> None:
        self._journal = folder.child("journal")
        self._name: str | None = None
        self._offset = 0

    def events(self) -> list[dict[str, Any]]:
        """What has come since the last call, whole lines only."""
        found: list[dict[str, Any]] = []
        names = [name for name in self._journal.names() if name.endswith(".jsonl")]
        if self._name is None:
            names = names[-FIRST_SEGMENTS:]
        for name in names:
            if self._name is not None and name < self._name:
                continue
            if name != self._name:
                self._name, self._offset = name, 0
            content = read_from(self._journal, name, self._offset)
            content = content[: content.rfind(b"\n") + 1]
            for line in content.splitlines(keepends=True):
                try:
                    found.append(lines.decode(line))
                except ValueError:  # torn by a crash; a resume cuts it off
                    return found
                self._offset += len(line)
        return found


def read_from(folder: Folder, name: str, offset: int, most: int | None = None) -> bytes:
    """A file from an offset on, without what comes before; empty where the file is shorter or missing.

    Args:
        folder, name: the file.
        offset: in bytes; negative: so many before the end.
        most: bytes to read; None: to the end.
    """
    if (local := folder.local) is not None:
        try:
            with (local / name).open("rb") as file:
                size = file.seek(0, 2)
                file.seek(min(size, offset if offset >= 0 else max(0, size + offset)))
                return file.read(-1 if most is None else most)
        except FileNotFoundError:
            return b""
    try:
        with folder.filesystem.open_input_file(folder.at(name)) as file:
            size = file.size()
            begin = min(size, offset if offset >= 0 else max(0, size + offset))
            length = size - begin if most is None else min(most, size - begin)
            return bytes(file.read_at(length, begin)) if length else b""
    except FileNotFoundError:
        return b""
