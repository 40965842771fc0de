"""The journal's segments in a store that cannot append: written to a local spool and put from there.

The store always holds a prefix of the journal: segments are put in order, each whole, and none is rewritten
once it is sealed. What a dead driver's spool holds beyond it is used when the sweep is opened again on the
same machine.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from pathlib import Path

from sweeps.store.storage import Folder, put_local


def spool_of(folder: Folder) -> Path:
    """This machine's spool directory for a sweep in a store (under `XDG_CACHE_HOME` or ~/.cache)."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    key = hashlib.sha256(f"{folder.filesystem.type_name} {folder.uri}".encode()).hexdigest()[:16]
    return cache / "starling" / "spool" / f"{folder.name}-{key}"


def spool_id(spool: Path) -> str:
    """A name of this spool that no other machine's spool has."""
    file = spool / "id"
    if not file.exists():
        put_local(file, uuid.uuid4().hex.encode())
    return file.read_text()


class Mirror:
    """Keeps `<folder>/journal/*.jsonl` equal to the spool's files."""

    def __init__(self, folder: Folder, spool: Path) -> None:
        self._journal, self._spool = folder.child("journal"), spool
        self._put: dict[str, int] = {}  # segment -> bytes of it in the store

    def pull(self) -> None:
        """Make the spool hold the store's journal, or what this machine's dead driver had beyond it."""
        names = [name for name in self._journal.names() if name.endswith(".jsonl")]
        ours = consistent = bool(names)
        for i, name in enumerate(names):
            content, local = self._journal.read(name) or b"", self._spool / name
            held = local.read_bytes() if consistent and local.exists() else b""
            newest = i == len(names) - 1
            consistent = consistent and (held == content or (newest and held.startswith(content)))
            if not consistent:
                put_local(local, content)
            ours = ours and consistent
            self._put[name] = len(content)
        if not ours:  # the store is ahead, or another history: what is left here beyond it belongs to neither
            for file in self._spool.glob("*.jsonl"):
                if file.name not in names:
                    file.unlink()

    def push(self) -> None:
        """Put what the store does not have yet."""
        for file in sorted(self._spool.glob("*.jsonl")):
            if file.stat().st_size > self._put.get(file.name, 0):
                content = file.read_bytes()
                content = content[: content.rfind(b"\n") + 1]
                if len(content) > self._put.get(file.name, 0):
                    self._journal.put(file.name, content)
                    self._put[file.name] = len(content)

    def clear(self) -> None:
        """Empty the spool, once everything is in the store."""
        for file in self._spool.glob("*.jsonl"):
            file.unlink()
