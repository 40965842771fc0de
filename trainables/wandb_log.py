"""Reader of the offline run log (`run-<id>.wandb`) that W&B 0.31 writes, also while it is being written.

The file is `:W&B`, three bytes of version, then LevelDB's log format (github.com/google/leveldb,
doc/log_format.md): blocks of 32 KiB, each a sequence of fragments `crc32 (4) | length (2) | type (1) | data`,
where a record that does not fit into a block goes on in the next one. Two departures: the checksum is CRC-32
over type and data, and the seven bytes of the file's header belong to the first block. A record is a
`wandb_internal_pb2.Record`.
"""

import json
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MAGIC = b":W&B"
BLOCK = 32768
HEADER = 7  # bytes; of the file and, by chance, of a fragment too
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4

Row = dict[str, Any]


@dataclass(kw_only=True, slots=True)
class Run:
    """What a log says about its run, beside the history."""

    run_id: str | None = None
    project: str | None = None
    entity: str | None = None
    group: str | None = None
    name: str | None = None
    sweep_id: str | None = None
    config: dict[str, Any] = field(default_factory=dict)
    """As given to `wandb.init(config=...)` and `wandb.config`, without W&B's own `_wandb`."""
    summary: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None
    """None: the run did not call `finish`, or has not yet."""


class LogReader:
    """Follows one `.wandb` file: each call of `rows()` yields the history added since the last one.

    A torn tail is not an error: its record comes with a later call once it is complete, or never. A fragment
    whose checksum is wrong costs the rest of its block, and the record it belongs to.

    Args:
        path: the `.wandb` file; it need not exist yet.

    Attributes:
        run: what has been read of the run so far.
        damaged: number of blocks that were skipped because of a wrong checksum.

    Raises:
        ValueError: from `rows()` when the file is no W&B log.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run = Run()
        self.damaged = 0
        self._offset = 0  # of the first byte not taken yet, in the file
        self._partial: list[bytes] | None = None

    def rows(self) -> Iterator[Row]:
        """New history rows, oldest first: one step each, with W&B's `_step`, `_runtime`, `_timestamp`.

        Values are what `json` makes of them: media are dicts with `_type`, nested dicts stay nested.
        """
        from wandb.proto import wandb_internal_pb2  # here, since it costs 0.8 s: not every task logs to W&B

        protocol: Any = wandb_internal_pb2  # its messages are made at import, unseen by type checkers
        for data in self._records():
            record = protocol.Record.FromString(data)
            kind = record.WhichOneof("record_type")
            if kind == "history":
                yield _items(record.history.item)
            elif kind == "run":
                run = record.run
                for name, value in (
                    ("run_id", run.run_id), ("project", run.project), ("entity", run.entity),
                    ("group", run.run_group), ("name", run.display_name), ("sweep_id", run.sweep_id),
                ):  # fmt: skip
                    if value:
                        setattr(self.run, name, value)
                self._update(self.run.config, run.config)
                self._update(self.run.summary, run.summary)
            elif kind == "config":
                self._update(self.run.config, record.config)
            elif kind == "summary":
                self._update(self.run.summary, record.summary)
            elif kind == "exit":
                self.run.exit_code = record.exit.exit_code

    @staticmethod
    def _update(target: dict[str, Any], record: Any) -> None:
        for item in record.update:
            path = list(item.nested_key) or [item.key]
            if path[0] != "_wandb":
                _put(target, path, json.loads(item.value_json))
        for item in record.remove:
            target.pop(item.key or item.nested_key[0], None)

    def _records(self) -> Iterator[bytes]:
        """Complete records after what was read before; takes each fragment only once it is whole."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                new = file.read()
        except FileNotFoundError:
            return
        start = self._offset
        if start == 0:
            if len(new) < HEADER:
                return
            if not new.startswith(MAGIC):
                raise ValueError(f"{self.path} is no W&B run log: it starts with {new[:7]!r}, not {MAGIC!r}.")
            self._offset = HEADER
        while (at := self._offset - start) < len(new):
            left = BLOCK - self._offset % BLOCK  # bytes left in this block
            if left < HEADER:
                self._offset += left  # too short for a fragment: padding
                continue
            if len(new) - at < HEADER:
                return
            checksum, length, kind = struct.unpack_from("<IHB", new, at)
            end = at + HEADER + length
            if length + HEADER > left or (
                end <= len(new) and zlib.crc32(new[at + HEADER - 1 : end]) != checksum
            ):
                if len(new) - at < left:
                    return  # perhaps still being written
                self._offset += left
                self._partial = None
                self.damaged += 1
                continue
            if end > len(new):
                return
            self._offset += HEADER + length
            data = new[at + HEADER : end]
            if kind == FULL:
                self._partial = None
                yield data
            elif kind == FIRST:
                self._partial = [data]
            elif self._partial is not None and kind in (MIDDLE, LAST):
                self._partial.append(data)
                if kind == LAST:
                    whole, self._partial = b"".join(self._partial), None
                    yield whole


def read(path: Path) -> tuple[Run, list[Row]]:
    """The whole of one log: what it says of its run, and its history."""
    reader = LogReader(path)
    rows = list(reader.rows())
    return reader.run, rows


def _items(items: Any) -> Row:
    row: Row = {}
    for item in items:
        _put(row, list(item.nested_key) or [item.key], json.loads(item.value_json))
    return row


def _put(target: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for name in path[:-1]:
        inner = target.get(name)
        if not isinstance(inner, dict):
            inner = target[name] = {}
        target = inner
    target[path[-1]] = value
