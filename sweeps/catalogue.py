"""The sweeps in a storage folder, each in a line: what `starling ls` prints."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sweeps import journal
from sweeps.results import Results
from sweeps.store.storage import Folder, open_folder


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """One sweep at a glance."""

    name: str
    path: str
    state: str
    """running; finished, interrupted, failures, ... (why it was closed); crashed; new (no event yet)."""

    done: int
    """Trials that have ended."""

    total: int | None
    """Trials asked for, extensions included; None: as many as there is time for."""

    failed: int
    metric: str
    """The first metric."""

    best: float | None
    """Its value at the best trial."""

    when: datetime | None
    """The last event."""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"when": self.when.isoformat() if self.when else None}


def list_sweeps(storage: str | os.PathLike[str] | Folder) -> list[Summary]:
    """All sweeps in a storage folder, the newest last; of a sweep's own folder just that one.

    Raises:
        ValueError: there is no such folder on this machine.
    """
    folder = open_folder(storage)
    if folder.local is not None and not folder.local.is_dir():
        raise ValueError(f"there is no storage {os.fspath(folder.local)!r}; a sweep's --storage makes one")
    folders = [folder] if folder.exists("manifest.json") else [folder.child(name) for name in folder.names()]
    found = [summary(child) for child in folders if child is folder or child.exists("manifest.json")]
    return sorted(found, key=lambda s: s.when or datetime.max.replace(tzinfo=UTC))


def summary(folder: Folder) -> Summary:
    """One sweep at a glance.

    Raises:
        ValueError: there is no sweep in that folder.
    """
    results = Results(folder)
    last = journal.last(folder)
    if last is None:
        state = "new"
    elif journal.is_running(folder):
        state = "running"
    else:
        state = str(last.get("why", "finished")) if last["event"] == "closed" else "crashed"
    counts, best = results.status(), results.best
    return Summary(
        name=folder.name,
        path=folder.uri,
        state=state,
        done=sum(counts.get(ended, 0) for ended in ("completed", "stopped", "failed")),
        total=results.total,
        failed=counts.get("failed", 0),
        metric=next(iter(results.manifest.objectives)),
        best=best.value if best else None,
        when=datetime.fromtimestamp(last["t"], UTC) if last else None,
    )
