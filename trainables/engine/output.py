"""What a process prints, kept beside the trial it works for: `trials/<id>/log-rank<R>.txt` of the sweep.

Processes outlive trials, so that each trial's part goes to a file of its own. Standard output and standard
error of the whole process lead there by their file descriptors: what C libraries and child processes print is
in it too, and nothing is lost when the process is killed. On a disk the file is the trial's own, to which the
system appends; on a store such as S3 it is a nameless file of this machine, put there every few seconds where
it has changed. A file stays below `MOST_BYTES`, its oldest lines go first. Values of environment variables
named like secrets are struck out within `LOOK_S` of being printed, and always before a file goes to a store.
"""

from __future__ import annotations

import io
import os
import re
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer
    from pyarrow.fs import FileSystem

LOOK_S = 5.0
MOST_BYTES = 2 * 1024 * 1024
STANDARD = (1, 2)
_NAMED_SECRET = re.compile(r"(?i)secret|token|passw|passphrase|credential|private|(api|access|account)_?key")


class Output:
    """Where this process's output goes; one object a process."""

    def __init__(self, rank: int = 0) -> None:
        self.name = f"log-rank{rank}.txt"
        self._mutex = threading.Lock()
        self._log: Log | None = None
        self._folder = ""
        self._secrets = secrets(os.environ)
        self._first: list[int] = []  # where standard output and error led before
        self._streams: dict[str, tuple[TextIO, TextIO]] = {}  # Python's own before, and in their place

    def turn_to(self, filesystem: FileSystem | None, folder: str) -> None:
        """From here on the output is that of the trial whose folder this is.

        Args:
            filesystem, folder: as Ray's storage has them; None for a disk.
        """
        if self._log is not None and self._folder == folder:
            return
        self.leave()
        if not self._first:
            self._first = [os.dup(standard) for standard in STANDARD]
            every(LOOK_S, self.keep)
        with self._mutex, suppress(OSError):  # a trial need not fail for its log
            self._log, self._folder = Log.of_trial(filesystem, folder, self.name), folder
            self._lead([self._log.append, self._log.append])
            for name, standard in zip(("stdout", "stderr"), STANDARD, strict=True):
                self._streams[name] = getattr(sys, name), _striking(standard, self._secrets)
                setattr(sys, name, self._streams[name][1])

    def leave(self) -> None:
        """The output is nobody's; what was printed is brought to where it is read."""
        self.keep()
        with self._mutex, suppress(OSError):
            if self._log is not None:
                self._lead(self._first)
                for name, (before, ours) in self._streams.items():
                    if getattr(sys, name) is ours:
                        setattr(sys, name, before)
                log, self._log = self._log, None
                log.close()

    def keep(self) -> None:
        """Bring what was printed until now to where it is read, without secrets and within its size."""
        _flush()
        with self._mutex, suppress(OSError):  # a store may come back
            if self._log is not None:
                self._log.keep(self._secrets)

    def failed(self) -> None:
        """The exception that is being handled becomes part of the output."""
        if self._log is not None:
            traceback.print_exc()
            self.keep()

    def _lead(self, ends: list[int]) -> None:
        _flush()
        for end, standard in zip(ends, STANDARD, strict=True):
            os.dup2(end, standard)


class KeptFiles:
    """Files to which another process appends: without secrets, and copied to the trial's folder in a store.

    Args:
        folder, names: the files.
        filesystem, there: Ray's storage and the trial's folder in it.
    """

    def __init__(self, folder: Path, names: Sequence[str], filesystem: FileSystem | None, there: str) -> None:
        stores = [None if on_disk(filesystem) else (filesystem, f"{there}/{name}") for name in names]
        self._logs = [Log(folder / name, at, most=None) for name, at in zip(names, stores, strict=True)]
        self._secrets, self._mutex = secrets(os.environ), threading.Lock()
        self._done = every(LOOK_S, self.keep)

    def keep(self) -> None:
        """Bring them to where they are read."""
        for log in self._logs:
            with self._mutex, suppress(OSError):  # a store may come back
                log.keep(self._secrets)

    def close(self) -> None:
        """For the last time."""
        self._done.set()
        self.keep()
        with self._mutex:
            for log in self._logs:
                log.close()
            self._logs = []


class Log:
    """One file that a process appends to. Bytes before `clean` hold no secret.

    Args:
        path: the file; None: a nameless one of this machine, which goes with the process however that ends.
        store: where the file's end goes, and under which path; None: nowhere.
        most: its size in bytes; None: unlimited.
    """

    def __init__(
        self, path: Path | None, store: tuple[FileSystem, str] | None = None, most: int | None = MOST_BYTES
    ) -> None:
        self.path, self.store, self.most = path, store, most
        self.clean = self.put = 0
        if path is None:
            handle, place = tempfile.mkstemp(prefix="starling-log-")
            os.close(handle)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            place = str(path)
        self.append = os.open(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self.whole = os.open(place, os.O_RDWR | os.O_CLOEXEC)
        if path is None:
            os.unlink(place)
            os.write(self.append, self._begun())

    @classmethod
    def of_trial(cls, filesystem: FileSystem | None, folder: str, name: str) -> Log:
        """The file of that name with the trial whose folder this is."""
        if on_disk(filesystem):
            log = cls(Path(folder, name))
        else:
            assert filesystem is not None  # on_disk
            log = cls(None, (filesystem, f"{folder}/{name}"))
        if os.fstat(log.append).st_size > 0:  # an earlier attempt's
            os.write(log.append, f"--- goes on in process {os.getpid()} on {os.uname().nodename}\n".encode())
        return log

    def keep(self, hidden: Sequence[bytes]) -> None:
        """Strike out what is hidden, cut to size, and put it into the store."""
        size = os.fstat(self.whole).st_size
        if size > self.clean:
            self._strike(hidden, size)
        if self.most is not None and size > self.most:
            self._cut(size, self.most // 2)
        if self.store is not None and self.clean != self.put:
            _put(*self.store, os.pread(self.whole, MOST_BYTES, max(0, self.clean - MOST_BYTES)))
            self.put = self.clean

    def close(self) -> None:
        """The descriptors are given back; a file of ours without a word is removed."""
        if self.path is not None and self.most is not None and os.fstat(self.whole).st_size == 0:
            self.path.unlink(missing_ok=True)
        os.close(self.append)
        os.close(self.whole)

    def _begun(self) -> bytes:
        """What the store has of an earlier attempt."""
        if self.store is None:
            return b""
        filesystem, path = self.store
        with suppress(FileNotFoundError), _os_errors(), filesystem.open_input_stream(path) as file:
            return bytes(file.read())
        return b""

    def _strike(self, hidden: Sequence[bytes], size: int) -> None:
        begin = max(0, self.clean - max(map(len, hidden), default=0))  # one may lie across the two parts
        content = os.pread(self.whole, size - begin, begin) if hidden else b""
        for secret in hidden:
            at = content.find(secret)
            while at >= 0:  # as many stars as it had bytes: what comes behind is being written meanwhile
                os.pwrite(self.whole, b"*" * len(secret), begin + at)
                at = content.find(secret, at + len(secret))
        self.clean = size

    def _cut(self, size: int, kept: int) -> None:
        """Keep the newest bytes; what is printed in these microseconds may be lost."""
        content = os.pread(self.whole, kept, size - kept)
        content = content[content.find(b"\n") + 1 :]
        os.ftruncate(self.whole, 0)
        note = f"--- {size - len(content)} older bytes are left out\n".encode()
        os.write(self.append, note + content)
        self.clean, self.put = len(note) + len(content), -1


class _Striking(io.RawIOBase):
    """A file descriptor to which nothing hidden is written."""

    def __init__(self, descriptor: int, hidden: Sequence[bytes]) -> None:
        self._descriptor, self._hidden = descriptor, hidden

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def write(self, content: Buffer, /) -> int:
        left = bytes(content)
        for secret in self._hidden:
            left = left.replace(secret, b"*" * len(secret))
        size = len(left)
        while left:
            left = left[os.write(self._descriptor, left) :]
        return size


def _striking(descriptor: int, hidden: Sequence[bytes]) -> TextIO:
    raw = io.BufferedWriter(_Striking(descriptor, hidden))
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", line_buffering=True)


def every(seconds: float, work: Callable[[], None]) -> threading.Event:
    """Do something again and again in a thread of its own, until the event is set."""
    done = threading.Event()

    def go_on() -> None:
        while not done.wait(seconds):
            work()

    threading.Thread(target=go_on, name="output", daemon=True).start()
    return done


def on_disk(filesystem: FileSystem | None) -> bool:
    """Whether paths of that file system are paths of this machine."""
    if filesystem is None:
        return True
    from pyarrow.fs import LocalFileSystem

    return isinstance(filesystem, LocalFileSystem)


def secrets(variables: Mapping[str, str]) -> list[bytes]:
    """Values that must not be kept: of variables named like secrets, paths to files of them aside."""
    return [
        value.encode(errors="surrogateescape")
        for name, value in variables.items()
        if _NAMED_SECRET.search(name) and len(value) >= 8 and not value.startswith(("/", "~"))
    ]


def _put(filesystem: FileSystem, path: str, content: bytes) -> None:
    for attempt in (1, 2):
        try:
            with _os_errors(), filesystem.open_output_stream(path) as file:
                file.write(content)
            return
        except FileNotFoundError:  # a store with folders, which lacks this one
            if attempt == 2:
                raise
            filesystem.create_dir(path.rpartition("/")[0], recursive=True)


@contextmanager
def _os_errors() -> Iterator[None]:
    """A store's own exceptions (fsspec packages raise their libraries') as OSError."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(ValueError, OSError):
            stream.flush()
