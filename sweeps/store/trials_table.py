"""One row a trial, in the order of their suggestion: `trials.parquet`, rewritten whole and atomically.

| column              | type               | what                                                           |
|---------------------|--------------------|----------------------------------------------------------------|
| `trial`             | string             | id                                                             |
| `state`             | string             | pending, running, paused, completed, stopped (early), failed   |
| `iterations`        | int64              | the last training_iteration reported; 0 before the first       |
| each hyperparameter | as the space says  | by its name, in the space's order; null where inactive         |
| each metric         | double             | the sweep's metrics: the value reported last                   |
| `best_<metric>`     | double             | the best of all values that the trial reported                 |
| `started`, `ended`  | timestamp[us, UTC] | null before                                                    |
| `seconds`           | double             | of training (time_total_s), else from start to last report     |
| `dollars`           | double             | of its nodes, by what it held and how long; null: no prices    |
| `copies`            | int64              | how often it was overwritten by another trial (PBT)            |
| `copied_from`       | string             | the trial that it was last overwritten by                      |
| `failures`          | int64              | how often it failed, retries included                          |
| `resources`         | string             | what it ran on, JSON                                           |
| `host`              | string             | where it ran last                                              |
| `checkpoint`        | string             | path of the newest checkpoint                                  |
| `reason`, `error`   | string             | why it ended; the last lines of its last failure               |
| `config`            | string             | all of the configuration as run, JSON (`store.lines`)          |

A trial is pending before its first report and while it waits for a worker or for the sweep's resume. The
schema's metadata tells in `extended` how many trials were added by `resume --extend`, and in `dollars` what
the cluster cost: JSON with total, boot and idle (`store.bill`). After a copy the hyperparameters and `config`
are those it goes on with. A hyperparameter with the name of another column is `config/<name>`, those of mixed
types are JSON strings.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sweeps.store import lines
from sweeps.store.bill import Bill
from sweeps.store.storage import Folder

_TIME = pa.timestamp("us", "UTC")
_HEAD = {"trial": pa.string(), "state": pa.string(), "iterations": pa.int64()}
_TAIL = {
    "started": _TIME,
    "ended": _TIME,
    "seconds": pa.float64(),
    "dollars": pa.float64(),
    "copies": pa.int64(),
    "copied_from": pa.string(),
    "failures": pa.int64(),
    "resources": pa.string(),
    "host": pa.string(),
    "checkpoint": pa.string(),
    "reason": pa.string(),
    "error": pa.string(),
    "config": pa.string(),
}
_TYPES = {"double": pa.float64(), "int64": pa.int64(), "bool": pa.bool_(), "string": pa.string()}
_ERROR_LINES = 20


def column_names(parameters: Iterable[str], metrics: Iterable[str]) -> dict[str, str]:
    """The column of each hyperparameter."""
    taken = {*_HEAD, *_TAIL, *metrics, *(f"best_{metric}" for metric in metrics)}
    return {name: f"config/{name}" if name in taken else name for name in parameters}


def trials_schema(parameters: Mapping[str, str], objectives: Mapping[str, str]) -> pa.Schema:
    """The table's columns and types.

    Args:
        parameters: the space: name -> "double", "int64", "bool" or "string".
        objectives: metric -> "min" or "max".

    Raises:
        ValueError: a metric has the name of one of the table's own columns.
    """
    clash = [metric for metric in objectives if metric in _HEAD or metric in _TAIL]
    if clash:
        raise ValueError(
            f"metric {clash[0]!r} is also a column of the trials table; report it by another name."
        )
    columns = column_names(parameters, objectives)
    return pa.schema(
        [
            *_HEAD.items(),
            *((columns[name], _TYPES[kind]) for name, kind in parameters.items()),
            *((column, pa.float64()) for metric in objectives for column in (metric, f"best_{metric}")),
            *_TAIL.items(),
        ]
    )


class TrialsTable:
    """Writer of the trials; `fold` takes the journal's events, `write` brings the table to the store."""

    def __init__(
        self,
        folder: Folder,
        parameters: Mapping[str, str],
        objectives: Mapping[str, str],
        flatten: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None,
        resources: Mapping[str, Any] | None = None,
    ) -> None:
        """An empty table: the journal's events are to be folded in from the first.

        Args:
            folder: the sweep's folder.
            parameters: the space: name -> "double", "int64", "bool" or "string".
            objectives: metric -> "min" or "max".
            flatten: the active hyperparameters of a config by name (`Space.flatten`); without it they are
                looked up by their dotted names.
            resources: what each trial runs on.
        """
        self._folder = folder
        self._types = dict(parameters)
        self._flatten = flatten or (lambda config: look_up(config, self._types))
        self._objectives = [(metric, f"best_{metric}", mode == "max") for metric, mode in objectives.items()]
        self._columns_of = column_names(parameters, objectives)
        self.schema = trials_schema(parameters, objectives)
        self._resources = lines.encode(resources) if resources else None
        self._rows: dict[str, int] = {}
        self._columns: dict[str, list[Any]] = {name: [] for name in self.schema.names}
        self._extended = 0
        self._bill = Bill()
        self._keys: list[tuple[int, int]] = []  # per trial (copies, iteration) of its last report
        self._mutex = threading.Lock()
        self._dirty = True

    def __len__(self) -> int:
        return len(self._rows)

    def fold(self, event: Mapping[str, Any]) -> bool:
        """Take one event in.

        Returns:
            False for a report that repeats an iteration already known (it changes nothing), else True.
        """
        kind = event["event"]
        with self._mutex:
            self._bill.fold(event)
            if kind in ("opened", "closed"):  # whatever was running then runs no more
                states = self._columns["state"]
                states[:] = ["pending" if state == "running" else state for state in states]
            elif kind == "extended":
                self._extended += int(event["trials"])
            elif kind not in (*_HANDLERS, "node", "placed"):  # those two are the bill's alone
                return True
            self._dirty = True
            handler = _HANDLERS.get(kind)
            return handler is None or handler(self, self._row(event["trial"]), event) is not False

    def write(self) -> None:
        """Write the table where it has changed. One caller at a time."""
        with self._mutex:
            if not self._dirty:
                return
            columns, self._dirty = {name: list(values) for name, values in self._columns.items()}, False
            told = {"extended": str(self._extended)}
            if self._bill.known:
                spent = self._bill.until()
                columns["dollars"] = [spent.trials.get(trial, 0.0) for trial in columns["trial"]]
                told["dollars"] = lines.encode(
                    {"total": spent.total, "boot": spent.boot, "idle": spent.idle}
                )
            schema = self.schema.with_metadata(told)
        try:
            arrays = [pa.array(columns[field.name], field.type) for field in self.schema]
            sink = pa.BufferOutputStream()
            pq.write_table(pa.Table.from_arrays(arrays, schema=schema), sink, compression="zstd")
            self._folder.put("trials.parquet", sink.getvalue(), durable=False)
        except BaseException:
            self._dirty = True
            raise

    def _row(self, trial: str) -> int:
        if (known := self._rows.get(trial)) is not None:
            return known
        row = self._rows[trial] = len(self._rows)
        self._keys.append((0, 0))
        for values in self._columns.values():
            values.append(None)
        self._set(
            row, trial=trial, state="pending", iterations=0, copies=0, failures=0, resources=self._resources
        )
        return row

    def _set(self, row: int, **values: Any) -> None:
        for name, value in values.items():
            self._columns[name][row] = value

    def _configure(self, row: int, config: dict[str, Any]) -> None:
        self._columns["config"][row] = lines.encode(config)
        flat = self._flatten(config)
        for name, kind in self._types.items():
            self._columns[self._columns_of[name]][row] = typed(flat[name], kind) if name in flat else None

    # One method an event of the journal; a report carries the copies that its scheduler made.

    def _suggested(self, row: int, event: Mapping[str, Any]) -> None:
        self._configure(row, event["config"])

    def _reported(self, row: int, event: Mapping[str, Any]) -> bool:
        columns, metrics = self._columns, event["metrics"]
        key = (event.get("copies", 0), event["iteration"])
        if key <= self._keys[row]:
            self._copy_all(event)
            return False
        self._keys[row] = key
        columns["iterations"][row] = int(key[1])
        columns["state"][row] = "paused" if event.get("decision") == "PAUSE" else "running"
        total = metrics.get("time_total_s")
        if columns["started"][row] is None:
            columns["started"][row] = int((event["t"] - (total or 0.0)) * 1e6)
        seconds = total if total is not None else event["t"] - columns["started"][row] / 1e6
        columns["seconds"][row] = float(seconds)
        if event.get("host"):
            columns["host"][row] = event["host"]
        for metric, best_column, largest in self._objectives:
            value = metrics.get(metric)
            value = float(value) if value is not None else None
            columns[metric][row] = value
            if value is not None and not math.isnan(value):
                best = columns[best_column][row]
                if best is None or (value > best if largest else value < best):
                    columns[best_column][row] = value
        self._copy_all(event)
        return True

    def _checkpointed(self, row: int, event: Mapping[str, Any]) -> None:
        self._columns["checkpoint"][row] = event["path"]

    def _copy_all(self, event: Mapping[str, Any]) -> None:
        for copy in event.get("copied") or ():
            row, iteration = self._row(copy["trial"]), int(copy["donor_iteration"])
            self._keys[row] = (copy["copies"], iteration)
            self._set(row, copies=copy["copies"], copied_from=copy["donor"], iterations=iteration)
            self._set(row, checkpoint=copy["path"])
            self._configure(row, copy["config"])

    def _failed(self, row: int, event: Mapping[str, Any]) -> None:
        text = "\n".join(str(event.get("error") or "").rstrip().splitlines()[-_ERROR_LINES:])
        self._set(row, error=lines.text(text), failures=self._columns["failures"][row] + 1)
        if event.get("again"):
            self._columns["state"][row] = "pending"

    def _moved(self, row: int, event: Mapping[str, Any]) -> None:
        self._columns["state"][row] = "pending"

    def _ended(self, row: int, event: Mapping[str, Any]) -> None:
        reason = event.get("reason")
        self._set(row, state=event["state"], ended=int(event["t"] * 1e6))
        self._set(row, reason=None if reason is None else lines.text(reason))
        if event["state"] == "failed":
            self._failed(row, {"error": reason})


_HANDLERS: dict[str, Callable[[TrialsTable, int, Mapping[str, Any]], bool | None]] = {
    "suggested": TrialsTable._suggested,
    "reported": TrialsTable._reported,
    "checkpointed": TrialsTable._checkpointed,
    "failed": TrialsTable._failed,
    "moved": TrialsTable._moved,
    "ended": TrialsTable._ended,
}


def look_up(config: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """The values in a nested config that these dotted names lead to; names that lead nowhere are left out."""
    found = {}
    for name in names:
        value: Any = config
        for part in [name] if name in config else name.split("."):
            if not isinstance(value, Mapping) or part not in value:
                break
            value = value[part]
        else:
            found[name] = value
    return found


def typed(value: Any, kind: str) -> Any:
    """A hyperparameter's value in its column's type; None where it does not fit."""
    if hasattr(value, "item"):
        value = value.item()
    if kind == "string":
        return lines.text(value)
    if kind == "bool":
        return bool(value) if isinstance(value, (bool, int)) else None
    if not isinstance(value, (int, float)):
        return None
    if kind == "double":
        return float(value)
    return int(value) if value == value // 1 and abs(value) < 2**63 else None
