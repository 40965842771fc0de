"""Every report as a row: `metrics/part-00000.parquet, part-00001.parquet, ...`, read as one Arrow dataset.

| column      | type               | what                                                           |
|-------------|--------------------|----------------------------------------------------------------|
| `trial`     | string             | the trial's id                                                 |
| `copies`    | int64              | how often it had been overwritten by another trial (PBT), or 0 |
| `iteration` | int64              | Ray's training_iteration                                       |
| `time`      | timestamp[us, UTC] | when the driver received it                                    |
| each metric | double or string   | null where not in this report; NaN where NaN was reported      |

(trial, copies, iteration) is unique: where a trial repeats steps after a failure, the first report counts, as
it is the one that decisions were made on. A metric's type is that of its first value: numbers and booleans
are double, all else is string (JSON where it is no text); a later value of the other type goes to
`<name>/text` or `<name>/number`. A metric with the name of another column is `metrics/<name>`; nested ones
are joined with "/".

Rows stand in the journal's order, exactly `ROWS` in each part but the last. The last part is rewritten as it
grows, whole and atomically, so that a reader sees a prefix of the reports at any moment; the others never
change.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sweeps.store import lines
from sweeps.store.storage import Folder

ROWS = 20_000
KEY = pa.schema(
    [
        ("trial", pa.string()),
        ("copies", pa.int64()),
        ("iteration", pa.int64()),
        ("time", pa.timestamp("us", "UTC")),
    ]
)


class _Rows:
    """Rows not yet in Arrow form, column by column; a column shorter than the others ends in nulls."""

    __slots__ = ("columns", "key", "numbers")

    def __init__(self, numbers: dict[str, bool]) -> None:
        self.key: tuple[list[str], list[int], list[int], list[int]] = ([], [], [], [])
        self.columns: dict[str, list[Any]] = {}
        self.numbers = numbers

    def table(self) -> pa.Table:
        """These rows in Arrow form; metric columns in order of appearance."""
        count = len(self.key[0])
        arrays = [pa.array(values, field.type) for values, field in zip(self.key, KEY, strict=True)]
        fields = list(KEY)
        for name, values in self.columns.items():
            kind = pa.float64() if self.numbers[name] else pa.string()
            arrays.append(pa.array(values + [None] * (count - len(values)), kind))
            fields.append(pa.field(name, kind))
        return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


class MetricsTable:
    """Writer of the metrics; `add` is cheap, `write` brings what was added to the store."""

    def __init__(self, folder: Folder, rows: int = ROWS) -> None:
        """Begin at row 0: the journal's reports are to be added from the first; full parts are then kept.

        Args:
            folder: the sweep's folder.
            rows: how many rows a full part has.
        """
        self._folder, self._limit = folder.child("metrics"), rows
        self._kinds: dict[str, bool] = {}  # column -> whether it holds numbers
        self._names: dict[str, tuple[str, str]] = {}  # metric -> its columns for a number and for a text
        self._mutex = threading.Lock()
        self._open = _Rows(self._kinds)
        self._parts: list[tuple[int, list[pa.Table], _Rows]] = []  # full, not yet written
        self._batches: list[pa.Table] = []  # rows of the open part that are in Arrow form already
        self._number = self._count = 0
        self._dirty = False
        self._kept = self._full_parts()

    @property
    def rows(self) -> int:
        """How many rows were added."""
        return self._number * self._limit + self._count

    def add(self, trial: str, copies: int, iteration: int, t: float, metrics: Mapping[str, Any]) -> None:
        """Add one report; the caller sees to it that the key is new."""
        with self._mutex:
            key, columns = self._open.key, self._open.columns
            at = len(key[0])
            key[0].append(trial)
            key[1].append(copies)
            key[2].append(iteration)
            key[3].append(int(t * 1e6))
            for name, value in metrics.items():
                if value.__class__ is float and self._kinds.get(name):
                    column = name
                else:
                    for inner, inner_value in _flat(name, value):
                        self._put(at, *self._typed(inner, inner_value))
                    continue
                values = columns.get(column)
                if values is None:
                    values = columns[column] = []
                if len(values) < at:
                    values.extend([None] * (at - len(values)))
                values.append(value)
            self._dirty = True
            self._count += 1
            if self._count == self._limit:
                self._parts.append((self._number, self._batches, self._open))
                self._batches, self._open = [], _Rows(self._kinds)
                self._number, self._count = self._number + 1, 0

    def write(self) -> None:
        """Write the parts that have filled up, and the open one as it stands. One caller at a time."""
        while True:
            with self._mutex:
                if not self._parts:
                    break
                number, batches, rows = self._parts[0]
            if number not in self._kept:
                self._write(number, [*batches, rows.table()], durable=True)
            with self._mutex:
                del self._parts[0]
        with self._mutex:
            if not self._dirty or self._parts:
                return
            fresh, self._open, self._dirty = self._open, _Rows(self._kinds), False
            number, batches = self._number, self._batches
            if fresh.key[0]:
                batches.append(fresh.table())
            written = list(batches)
        if written:
            try:
                self._write(number, written, durable=False)
            except BaseException:
                self._dirty = True
                raise
        self._batches_merge(number)

    def settle(self) -> None:
        """After a replay: remove parts that hold rows the journal does not have."""
        for name in self._folder.names():
            if (number := _part_number(name)) is not None and (
                number > self._number or (number == self._number and not self._count)
            ):
                self._folder.delete(name)
        self._kept = {number for number in self._kept if number < self._number}

    def _batches_merge(self, number: int) -> None:
        """Few large pieces instead of many small ones, so that writing stays proportional to the rows."""
        with self._mutex:
            if number == self._number and len(self._batches) > 16:
                self._batches[:] = [_joined(self._batches)]

    def _write(self, number: int, pieces: list[pa.Table], *, durable: bool) -> None:
        sink = pa.BufferOutputStream()
        pq.write_table(_joined(pieces), sink, compression="zstd")
        self._folder.put(f"part-{number:05d}.parquet", sink.getvalue(), durable=durable)

    def _full_parts(self) -> set[int]:
        full = set()
        for name in self._folder.names():
            if (number := _part_number(name)) is not None:
                try:
                    known = pq.read_metadata(self._folder.at(name), filesystem=self._folder.filesystem)
                except (pa.ArrowInvalid, OSError):
                    continue  # torn by a power cut: written again
                if known.num_rows == self._limit:
                    full.add(number)
        return full

    def _put(self, at: int, column: str, value: Any) -> None:
        values = self._open.columns.setdefault(column, [])
        values.extend([None] * (at - len(values)))
        values.append(value)

    def _typed(self, name: str, value: Any) -> tuple[str, Any]:
        """The column that a value goes to, and the value in its type."""
        if value is None:
            number, value = self._kinds.get(name, True), None
        elif isinstance(value, (float, int)) or (
            getattr(value, "ndim", None) == 0 and hasattr(value, "item")
        ):
            number, value = True, float(value)
        else:
            number, value = False, lines.text(value)
        column = f"metrics/{name}" if name in KEY.names else name
        if self._kinds.setdefault(column, number) != number:
            column = f"{column}/{'number' if number else 'text'}"
            self._kinds.setdefault(column, number)
        return column, value


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(f"{name}/{key}", inner)
    else:
        yield name, value


def _joined(pieces: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(pieces, promote_options="default").combine_chunks()


def _part_number(name: str) -> int | None:
    stem = name.removeprefix("part-").removesuffix(".parquet")
    return int(stem) if name == f"part-{stem}.parquet" and stem.isdigit() else None
