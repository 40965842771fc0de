"""The journal's events from the first on, as they come: a reader for a process beside the driver."""

from pathlib import Path
from typing import Any

from sweeps.store import lines

CHUNK = 1 << 20
"""Bytes read at a time."""


class Events:
    """Follows the segments in one directory.

    Args:
        directory: a journal, or this machine's spool of one; it need not hold a segment yet.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._name = ""
        self._offset = 0

    def take(self) -> list[dict[str, Any]]:
        """The next whole events, about `CHUNK` bytes of them; empty where there are none now.

        A line that is only half written comes with a later call.
        """
        while True:
            content = self._read(CHUNK)
            end = content.rfind(b"\n") + 1
            if not end and len(content) >= CHUNK:  # one event of many megabytes
                content = self._read(-1)
                end = content.rfind(b"\n") + 1
            if end:
                self._offset += end
                return [lines.decode(line) for line in content[:end].splitlines()]
            later = sorted(path.name for path in self._directory.glob("*.jsonl") if path.name > self._name)
            if not later:
                return []
            self._name, self._offset = later[0], 0

    def _read(self, most: int) -> bytes:
        if not self._name:
            return b""
        try:
            with (self._directory / self._name).open("rb") as file:
                file.seek(self._offset)
                return file.read(most)
        except FileNotFoundError:  # a spool that is emptied: the driver has closed its journal
            return b""
