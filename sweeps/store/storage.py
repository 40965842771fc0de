"""Where a sweep's files are: a local path, a pyarrow.fs URI or an fsspec URI, seen as one kind of folder.

| given                                                   | opened by                                   |
|---------------------------------------------------------|---------------------------------------------|
| `results`, `~/results`, `/data/results`, `file:///data` | pyarrow's LocalFileSystem                   |
| `s3://bucket/x?endpoint_override=host:port&scheme=http` | pyarrow (also gs://, hdfs://, abfs://)      |
| `sftp://host/x`, `memory://x`, `az://...`               | fsspec, as pyarrow does not know the scheme |
| `fsspec+s3://bucket/x`                                  | fsspec, as the prefix says                  |

Credentials come from the environment or the store's own files; those in a URI are used and never shown.
"""

from __future__ import annotations

import contextlib
import os
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
from pyarrow import fs

ATOMIC_PUT = {"s3", "s3a", "gcs", "gs", "abfs", "abfss", "adl", "az", "memory", "oss"}
"""Stores where an object appears whole or not at all; anywhere else a file is written aside and moved."""

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9.+-]+)://")
_ASIDE = re.compile(r"\.\d+-[0-9a-f]{8}$")
_SECRET = re.compile(r"(?i)^[^=]*(key|secret|token|password|sig)[^=]*=")


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder of a store; files in it are named relative to it, with "/" between the parts."""

    filesystem: fs.FileSystem
    """What pyarrow, and `RunConfig(storage_filesystem=...)`, open."""

    path: str
    """The folder's path inside `filesystem`."""

    uri: str
    """How to name it to a user or to open it again; without credentials."""

    @property
    def local(self) -> Path | None:
        """The folder as a path of this machine, or None where it is not on one."""
        return Path(self.path) if isinstance(self.filesystem, fs.LocalFileSystem) else None

    @property
    def name(self) -> str:
        """The last part of the path: the sweep's name, for a sweep's folder."""
        return self.path.rstrip("/").rsplit("/", 1)[-1]

    def child(self, name: str) -> Folder:
        """The folder `name` inside this one."""
        base, mark, query = self.uri.partition("?") if _SCHEME.match(self.uri) else (self.uri, "", "")
        return Folder(self.filesystem, self.at(name), f"{base.rstrip('/')}/{name}{mark}{query}")

    def at(self, name: str) -> str:
        """The path of the file `name` inside `filesystem`."""
        return f"{self.path.rstrip('/')}/{name}" if name else self.path

    def exists(self, name: str = "") -> bool:
        """Whether there is a file or folder of that name (the folder itself for "")."""
        return self.filesystem.get_file_info(self.at(name)).type != fs.FileType.NotFound

    def names(self) -> list[str]:
        """Files and folders directly inside, sorted; hidden ones (temporary files) left out."""
        found = self.filesystem.get_file_info(fs.FileSelector(self.path, allow_not_found=True))
        return sorted(i.base_name for i in found if i.base_name and not i.base_name.startswith("."))

    def read(self, name: str) -> bytes | None:
        """The file's content, or None where there is no such file."""
        try:
            with _os_errors(), self.filesystem.open_input_stream(self.at(name)) as file:
                return file.read()
        except FileNotFoundError:
            return None

    def put(self, name: str, data: bytes | pa.Buffer, *, durable: bool = True) -> None:
        """Write a file at once: a reader sees the old content or all of the new, also after kill -9.

        Args:
            name, data: the file and its new content.
            durable: wait until a local disk has it. Without, a power cut may leave an empty file.
        """
        if (local := self.local) is not None:
            put_local(local / name, data, durable=durable)
            return
        kind = self.filesystem.type_name.removeprefix("py::").removeprefix("fsspec+")
        target = self.at(name)
        if kind in ATOMIC_PUT:
            self._write(target, data)
            return
        folder, _, last = target.rpartition("/")
        aside = f"{folder}/.{last}.{uuid.uuid4().hex[:8]}"
        self.filesystem.create_dir(folder, recursive=True)
        self._write(aside, data)
        self.filesystem.move(aside, target)

    def delete(self, name: str) -> None:
        """Remove a file; nothing happens where there is none."""
        if self.filesystem.get_file_info(self.at(name)).is_file:
            self.filesystem.delete_file(self.at(name))

    def clear(self) -> None:
        """Remove what a killed process left half written here, on a local disk."""
        if (local := self.local) is not None and local.is_dir():
            for file in local.glob(".*"):
                if _ASIDE.search(file.name):
                    file.unlink(missing_ok=True)

    def check_writable(self) -> None:
        """Write and remove a small file; a local folder that was not there before is not there afterwards.

        Raises:
            ValueError: the folder cannot be written; says why and what to do.
        """
        probe = f".writable-{uuid.uuid4().hex[:8]}"
        local = self.local
        missing = [folder for folder in (local, *local.parents) if not folder.exists()] if local else []
        try:
            self.put(probe, b"starling")
            self.delete(probe)
        except (OSError, pa.ArrowException) as error:
            reason = str(error) or type(error).__name__
            raise ValueError(
                f"storage {self.uri!r} cannot be written: {reason}. "
                "Give a folder you may write to (a local path, s3://, gs://, abfs:// or any fsspec URI), "
                "and credentials for it in the environment."
            ) from error
        finally:
            with contextlib.suppress(OSError):  # somebody else's files may be there by now
                for folder in missing:
                    folder.rmdir()

    def _write(self, path: str, data: bytes | pa.Buffer) -> None:
        with _os_errors(), self.filesystem.open_output_stream(path) as file:
            file.write(data)


@contextlib.contextmanager
def _os_errors() -> Iterator[None]:
    """A store's own exceptions (fsspec packages raise their libraries') as OSError, which callers expect."""
    try:
        yield
    except (OSError, pa.ArrowException):
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


def put_local(path: Path, data: bytes | pa.Buffer, *, durable: bool = True) -> None:
    """Write a local file aside, bring it to the disk where `durable`, and move it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}")
    try:
        with aside.open("wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def open_folder(where: str | os.PathLike[str] | Folder) -> Folder:
    """The folder that a path or URI names; it need not exist.

    Raises:
        ValueError: the scheme is unknown, the package that serves it is missing, or the URI is malformed.
    """
    if isinstance(where, Folder):
        return where
    text = os.fspath(where)
    if not text:
        raise ValueError("storage is empty; give a folder (`results`) or a URI (`s3://bucket/sweeps`).")
    scheme = _SCHEME.match(text)
    if scheme is None or scheme[1] == "file":
        path = text if scheme is None else unquote(text.removeprefix("file://"))
        path = os.path.abspath(os.path.expanduser(path))
        return Folder(fs.LocalFileSystem(), path, path)
    try:
        filesystem, path = _open_uri(text, scheme[1])
    except (pa.ArrowException, OSError, ValueError, ImportError) as error:
        raise ValueError(
            f"storage {without_secrets(text)!r} cannot be opened: {without_secrets(str(error))}. "
            "Allowed are a local path, a URI of pyarrow.fs (s3://, gs://, hdfs://, abfs://) "
            "or of an installed fsspec package (`pip install s3fs` for fsspec+s3://, `adlfs` for az://)."
        ) from error
    return Folder(filesystem, path.rstrip("/"), without_secrets(text).rstrip("/"))


def _open_uri(uri: str, scheme: str) -> tuple[fs.FileSystem, str]:
    if not scheme.startswith("fsspec+"):
        try:
            return fs.FileSystem.from_uri(uri)
        except pa.ArrowInvalid as error:
            if "Unrecognized filesystem type" not in str(error):
                raise
    from fsspec.core import url_to_fs  # only for schemes that pyarrow does not serve

    # A cached listing would hide what another host has written since.
    filesystem, path = url_to_fs(uri.removeprefix("fsspec+"), use_listings_cache=False)
    return fs.PyFileSystem(fs.FSSpecHandler(filesystem)), path


def without_secrets(uri: str) -> str:
    """A URI without user name, password and secret query parameters."""
    uri = re.sub(r"://[^/@\s]*@", "://", uri)
    base, mark, query = uri.partition("?")
    kept = [part for part in query.split("&") if part and not _SECRET.match(part)]
    return base + (mark + "&".join(kept) if kept else "")
