"""The sweep's memory: every event in order, appended, never changed; all else is derived from it.

`journal/000001.jsonl, 000002.jsonl, ...`: one JSON object a line, `{"n": 17, "t": 1790000000.1, "event":
"reported", ...}`, n counting from 1 over all segments, t in seconds since 1970 (encoding of values:
`sweeps.store.lines`). A segment is sealed at about 4 MiB. An appended event is with the operating system when
`append` returns, so that kill -9 of the driver loses nothing; it is on the disk (or, for a store such as S3,
in the store) about two seconds later, so that the loss of the machine loses no more than that. A line that
was being written at a crash is cut when the journal is opened again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from sweeps.store import lines
from sweeps.store.lease import DEAD_S, FileLock, Lease, SweepInUse, is_locked, lease_age, read_lease
from sweeps.store.mirror import Mirror, spool_id, spool_of
from sweeps.store.storage import Folder, open_folder

SEGMENT_BYTES = 4 * 1024 * 1024
FSYNC_S = 1.0
PUT_S = 2.0

log = logging.getLogger(__name__)


class Journal:
    """A journal opened for writing; make one with `Journal.open`. A context manager: leaving it closes."""

    def __init__(self, folder: Folder, directory: Path, lock: FileLock) -> None:
        self.folder = folder
        """The sweep's folder."""

        self._directory, self._lock = directory, lock
        self._lease: Lease | None = None
        self._mirror: Mirror | None = None
        self._mutex = threading.Lock()  # one writer of the open segment
        self._syncing = threading.Lock()  # one mover of bytes to disk and store
        self._stop = threading.Event()
        self._dirty = self._unput = False
        self._failure: Exception | None = None
        self._fd = self._number = -1
        self._size = self._next = 0

    @classmethod
    def open(cls, where: str | os.PathLike[str] | Folder) -> Journal:
        """Open a sweep's journal for appending, after what is there; a new one where there is none.

        Args:
            where: the sweep's folder, any path or URI of `sweeps.store.storage`; the journal is in `journal/`
            inside.

        Raises:
            SweepInUse: another driver has it open (a ValueError).
            ValueError: the folder cannot be written, or the journal is damaged other than at its end.
        """
        folder = open_folder(where)
        local = folder.local
        directory = local / "journal" if local else spool_of(folder)
        try:
            lock = FileLock(directory / ".lock", folder.uri)
        except OSError as error:
            raise ValueError(
                f"the journal of {folder.uri!r} cannot be written in {str(directory)!r}: {error.strerror}. "
                "Choose a storage folder that you may write to."
            ) from error
        journal = cls(folder, directory, lock)
        try:
            if local is None:
                journal._lease = Lease(folder, spool_id(directory))
                journal._mirror = Mirror(folder, directory)
                journal._mirror.pull()
                journal._unput = True
            journal._open_last()
        except BaseException:
            if journal._lease:
                with contextlib.suppress(OSError):
                    journal._lease.release()
            lock.release()
            raise
        threading.Thread(target=journal._keep, name="journal", daemon=True).start()
        return journal

    def append(self, event: str, /, **fields: Any) -> dict[str, Any]:
        """Append one event; it outlives this process from here on.

        Returns:
            The event, `{"n": ..., "t": ..., "event": event, **fields}`, as `events` will give it back.

        Raises:
            ValueError: a value cannot be stored (nothing is written), or the journal is closed.
            OSError: the disk is full; the journal stays as it was.
            SweepInUse: another driver has taken the sweep over meanwhile.
        """
        text = lines.encode(fields, flat=event == "reported") if fields else ""
        with self._mutex:
            if self._fd < 0 or self._failure:
                raise self._failure or ValueError("the journal is closed; open it again with Journal.open.")
            t, n = time.time(), self._next
            line = f'{{"n":{n},"t":{t!r},"event":"{event}"{"," + text[1:] if text else "}"}\n'.encode()
            self._write(line)
            self._next = n + 1
            self._dirty = self._unput = True
        return {"n": n, "t": t, "event": event, **fields}

    def events(self) -> Iterator[dict[str, Any]]:
        """All events from the first, those of earlier sessions and those appended until now."""
        return lines.events_of((file.name, file.read_bytes) for file in self._segments())

    def sync(self) -> None:
        """Bring everything appended so far to the disk and the store; returns when it is there.

        Raises:
            OSError: the disk or the store refuses.
        """
        with self._syncing:
            self._fsync()
            if self._failure:
                raise self._failure
            self._push()

    def close(self) -> None:
        """Sync, and let another driver have the sweep. A second call does nothing."""
        if self._fd < 0:
            return
        self._stop.set()
        try:
            if not self._failure:  # else the sweep is another driver's by now
                self._last_sync()
            with self._syncing:
                if self._mirror and not self._failure:
                    self._mirror.clear()
                if self._lease:
                    self._lease.release()
        finally:
            with self._mutex:
                os.close(self._fd)
                self._fd = -1
            self._lock.release()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _segments(self) -> list[Path]:
        return sorted(self._directory.glob("*.jsonl"))

    def _open_last(self) -> None:
        """Continue the last segment behind its last whole line, or begin the first."""
        segments = self._segments()
        self._next = 1
        for file in reversed(segments):
            content = file.read_bytes()
            end, last = lines.last_event(content)
            if end < len(content):
                os.truncate(file, end)
            if last is not None:
                self._next = last["n"] + 1
                break
        self._number = int(segments[-1].stem) if segments else 1
        self._open_segment()

    def _open_segment(self) -> None:
        file = self._directory / f"{self._number:06d}.jsonl"
        self._fd = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._size = os.fstat(self._fd).st_size
        directory = os.open(self._directory, os.O_RDONLY)
        os.fsync(directory)  # so that the file's name is on the disk as well
        os.close(directory)

    def _write(self, line: bytes) -> None:
        if self._size >= SEGMENT_BYTES:
            os.fsync(self._fd)
            os.close(self._fd)
            self._number += 1
            self._open_segment()
        try:
            written = os.write(self._fd, line)
            if written != len(line):
                raise OSError(28, f"No space left on device for the journal in {str(self._directory)!r}")
        except OSError:
            os.ftruncate(self._fd, self._size)
            raise
        self._size += written

    def _fsync(self) -> None:
        if not self._dirty:
            return
        with self._mutex:
            if self._fd < 0:
                return
            self._dirty = False
            fd = os.dup(self._fd)  # the disk is slow: appending goes on meanwhile
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def _last_sync(self) -> None:
        try:
            self.sync()
        except OSError as error:
            where = "on this machine's disk" if self._mirror else "in the system's memory"
            raise OSError(
                f"the journal of {self.folder.uri!r} cannot be brought to its store: {error}. "
                f"Its end is kept {where}, in {str(self._directory)!r}, "
                "and is brought there when the sweep is resumed on this machine."
            ) from error

    def _push(self) -> None:
        if self._mirror and self._unput:
            self._unput = False
            try:
                self._mirror.push()
            except BaseException:
                self._unput = True
                raise

    def _keep(self) -> None:
        """The background thread: disk about once a second, store about every two, the lease's heartbeat."""
        put_at, told = time.monotonic() + PUT_S, False
        while not self._stop.wait(FSYNC_S):
            try:
                with self._syncing:
                    if self._stop.is_set():
                        return
                    self._fsync()
                    if self._lease:
                        self._lease.beat()
                    if time.monotonic() >= put_at:
                        began = time.monotonic()
                        self._push()
                        put_at = time.monotonic() + max(PUT_S, 4 * (time.monotonic() - began))
                told = False
            except SweepInUse as error:
                self._failure = error
                return
            except OSError as error:  # the network may come back; what is appended is safe on this machine
                if not told:
                    log.warning("journal of %s: %s; kept locally, tried again", self.folder.uri, error)
                told = True
                put_at = time.monotonic() + 5 * PUT_S


def read(where: str | os.PathLike[str] | Folder) -> Iterator[dict[str, Any]]:
    """All events of a sweep, for looking only: needs no lock, changes nothing, also while a driver writes.

    Raises:
        ValueError: the journal is damaged other than at its end.
    """
    journal = open_folder(where).child("journal")
    names = [name for name in journal.names() if name.endswith(".jsonl")]
    return lines.events_of((name, partial(_content, journal, name)) for name in names)


def _content(journal: Folder, name: str) -> bytes:
    return journal.read(name) or b""


def last(where: str | os.PathLike[str] | Folder) -> dict[str, Any] | None:
    """The last whole event of a sweep; None where there is none. Reads one segment only."""
    journal = open_folder(where).child("journal")
    for name in reversed([name for name in journal.names() if name.endswith(".jsonl")]):
        if (found := lines.last_event(journal.read(name) or b"")[1]) is not None:
            return found
    return None


def exists(where: str | os.PathLike[str] | Folder) -> bool:
    """Whether that folder holds a sweep's journal."""
    return any(name.endswith(".jsonl") for name in open_folder(where).child("journal").names())


def is_running(where: str | os.PathLike[str] | Folder) -> bool:
    """Whether a driver has the sweep open now (on a store: has shown a sign of life lately)."""
    folder = open_folder(where)
    if (local := folder.local) is not None:
        return is_locked(local / "journal" / ".lock")
    if (lease := read_lease(folder)) is None:
        return False
    spool = spool_of(folder)
    if (spool / "id").exists() and lease.get("spool") == spool_id(spool):
        return is_locked(spool / ".lock")
    return lease_age(folder, lease) < DEAD_S
