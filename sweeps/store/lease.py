"""One driver for one sweep: a second one is refused as long as the first is alive.

On this machine a file lock, which the system gives back when its process dies, however it dies. On a store
without locks also an object `journal/lease.json` that its owner rewrites every `BEAT_S`; an owner that has
not done so for `DEAD_S` is dead. Where the store keeps times, ages are differences between two of them, so
that hosts' clocks do not matter.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import time
import uuid
from pathlib import Path
from typing import Any

from sweeps.store.storage import Folder

BEAT_S = 10.0
DEAD_S = 60.0


class SweepInUse(ValueError):
    """Another driver is running this sweep."""

    def __init__(self, uri: str, owner: str, advice: str) -> None:
        super().__init__(
            f"the sweep {uri!r} is being run by another driver ({owner}). One sweep has one driver: {advice}"
        )


class FileLock:
    """An exclusive lock on a local file, held until `release` or the end of the process."""

    def __init__(self, file: Path, uri: str) -> None:
        """Take the lock.

        Raises:
            SweepInUse: another process, or another opening in this one, holds it.
        """
        file.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        for _ in range(5):  # somebody may just be looking whether it is locked
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                time.sleep(0.02)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(self._fd, 1000, 0).decode(errors="replace").strip()
            os.close(self._fd)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            raise SweepInUse(
                uri, owner or "unknown", "wait for it, stop it with Ctrl-C, or start a sweep of another name."
            ) from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{describe_me()}\n".encode(), 0)

    def release(self) -> None:
        """Give the lock back; a second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def is_locked(file: Path) -> bool:
    """Whether some process holds the lock of that file now."""
    try:
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


class Lease:
    """The lease on a sweep in a store without locks; `beat` keeps it."""

    def __init__(self, folder: Folder, spool: str) -> None:
        """Take the lease.

        Args:
            folder: the sweep's folder in the store.
            spool: names the local spool, whose file lock the caller holds: a lease that carries the same name
                was left by a process that is dead.

        Raises:
            SweepInUse: its owner wrote it less than `DEAD_S` ago from another spool.
        """
        self._folder, self._spool, self._token = folder, spool, uuid.uuid4().hex
        there = self._read()
        if there and there.get("spool") != spool and (age := lease_age(folder, there)) < DEAD_S:
            raise SweepInUse(
                folder.uri,
                f"{there.get('owner')}, last sign {age:.0f} s ago",
                f"wait for it, or stop it; if it is dead already, try again in {DEAD_S - age:.0f} s.",
            )
        self._write()
        time.sleep(0.05 if there is None else 0.5)  # two that come at once: the later writer stays
        self._last = 0.0
        self.beat()

    def beat(self) -> None:
        """Rewrite the lease where `BEAT_S` has passed.

        Raises:
            SweepInUse: somebody else has taken it (this driver was thought dead).
        """
        if time.monotonic() - self._last < BEAT_S and self._last:
            return
        there = self._read()
        if there is not None and there.get("token") != self._token:
            raise SweepInUse(
                self._folder.uri, str(there.get("owner")), "this one was silent too long and has lost it."
            )
        self._write()
        self._last = time.monotonic()

    def release(self) -> None:
        """Remove the lease where it is still ours."""
        there = self._read()
        if there is not None and there.get("token") == self._token:
            self._folder.delete("journal/lease.json")

    def _write(self) -> None:
        content = {"token": self._token, "spool": self._spool, "owner": describe_me(), "time": time.time()}
        self._folder.put("journal/lease.json", json.dumps(content).encode())

    def _read(self) -> dict[str, Any] | None:
        return read_lease(self._folder)


def read_lease(folder: Folder) -> dict[str, Any] | None:
    """What the lease of a sweep's folder says, or None."""
    content = folder.read("journal/lease.json")
    with contextlib.suppress(ValueError):
        return json.loads(content) if content else None
    return None


def lease_age(folder: Folder, lease: dict[str, Any]) -> float:
    """Seconds since that lease was written: by the store's clock, or the hosts' where it tells no times."""
    probe = f"journal/.clock-{uuid.uuid4().hex[:8]}"
    with contextlib.suppress(OSError):  # may be read-only for a mere reader
        folder.put(probe, b"what time is it?")
        now, then = folder.filesystem.get_file_info([folder.at(probe), folder.at("journal/lease.json")])
        folder.delete(probe)
        if now.mtime is not None and then.mtime is not None:
            return float((now.mtime - then.mtime).total_seconds())
    return time.time() - float(lease.get("time", 0.0))


def describe_me() -> str:
    """Host and process, to tell a user who holds a sweep."""
    return f"host {socket.gethostname()}, pid {os.getpid()}, since {time.strftime('%Y-%m-%d %H:%M:%S')}"
