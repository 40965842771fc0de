"""What came out of a sweep: its trials as records and tables, and the best of them.

Which trial is best? The value that a trial reported *last* counts, not the luckiest on its way, and trials
that completed come before those a scheduler stopped early: a value after one epoch and one after fifty are
not the same thing, and what was stopped had been judged worse at its own iteration. Failed trials come last;
without a value, or with NaN, a trial is nowhere. `top(k, by="best")` asks for the best value on the way
instead, whatever the trial's state.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from sweeps.store import lines
from sweeps.store.manifest import Manifest, read_manifest
from sweeps.store.metrics_table import KEY
from sweeps.store.storage import Folder, open_folder
from sweeps.store.trials_table import trials_schema

if TYPE_CHECKING:
    import pandas as pd

    from sweeps.certify import Certificate
    from sweeps.plots import Plots

_RANK = {"completed": 0, "stopped": 1, "failed": 2}


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One trial of a finished or running sweep."""

    id: str
    config: dict[str, Any]
    """What it was run with, nested, constants included; after a copy (PBT) what it went on with."""

    values: tuple[float | None, ...]
    """Of each of the sweep's metrics the value reported last; None before the first report."""

    best_values: tuple[float | None, ...]
    """Of each metric the best value of all reports."""

    iterations: int
    state: str
    """pending, running, paused, completed, stopped or failed."""

    checkpoint: str | None
    """Path or URI of its newest checkpoint."""

    seconds: float | None
    dollars: float | None
    """What it cost of the nodes that it held; None where no prices were known."""

    error: str | None
    row: dict[str, Any] = field(repr=False)
    """Its row of the trials table."""

    _results: Results = field(repr=False, compare=False)

    @property
    def value(self) -> float | None:
        """The first metric's value reported last."""
        return self.values[0]

    @property
    def metrics(self) -> dict[str, Any]:
        """Its last report, every metric in it; empty before the first."""
        table = self._results.metrics(trial=self.id)
        if not table.num_rows:
            return {}
        table = table.sort_by([("copies", "ascending"), ("iteration", "ascending")])
        row = table.slice(table.num_rows - 1).to_pylist()[0]
        return {name: value for name, value in row.items() if name not in KEY.names and value is not None}

    def _repr_html_(self) -> str:
        from sweeps.notebook import trial_html

        return trial_html(self, self._results.manifest.objectives)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: what `starling best --json` prints of a trial."""
        return {
            "id": self.id,
            "state": self.state,
            "iterations": self.iterations,
            **dict(zip(self._results.manifest.objectives, self.values, strict=True)),
            "value": self.value,
            "config": self.config,
            "checkpoint": self.checkpoint,
            "seconds": self.seconds,
            "dollars": self.dollars,
            "error": self.error,
        }


class Results:
    """A sweep's results, read from its folder as they stand; a new object reads them anew.

    Args:
        where: the sweep's folder, a path or URI.

    Raises:
        ValueError: there is no sweep in that folder.
    """

    def __init__(self, where: str | os.PathLike[str] | Folder) -> None:
        self.folder = open_folder(where)
        manifest = read_manifest(self.folder)
        if manifest is None:
            raise ValueError(
                f"{self.folder.uri!r} holds no sweep: it has no manifest.json. Give the sweep's own folder, "
                "<storage>/<name>; `starling ls STORAGE` lists those that there are."
            )
        self.manifest: Manifest = manifest

    @property
    def path(self) -> str:
        """The sweep's folder, to open it again."""
        return self.folder.uri

    @property
    def metric(self) -> str | list[str]:
        """What was optimised; several: a list."""
        return self.manifest.metric

    @property
    def mode(self) -> str | list[str]:
        """ "min" or "max", for each metric."""
        return self.manifest.mode

    @cached_property
    def _table(self) -> pa.Table:
        content = self.folder.read("trials.parquet")
        if content is None:
            return trials_schema(self.manifest.parameters, self.manifest.objectives).empty_table()
        return pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False)  # no thread outlives us

    def to_arrow(self) -> pa.Table:
        """The trials table (schema: `sweeps.store.trials_table`)."""
        return self._table

    def to_pandas(self) -> pd.DataFrame:
        """The trials table as a pandas frame."""
        return self._table.to_pandas()

    def metrics(self, trial: str | None = None) -> pa.Table:
        """Every report (schema: `store.metrics_table`), of all trials or of one, in the order of arrival."""
        folder = self.folder.child("metrics")
        parts = [folder.at(name) for name in folder.names() if name.endswith(".parquet")]
        if not parts:
            return KEY.empty_table()
        pieces = [ds.dataset(part, filesystem=folder.filesystem, format="parquet") for part in parts]
        schema = pa.unify_schemas([piece.schema for piece in pieces])
        whole = ds.dataset(parts, filesystem=folder.filesystem, format="parquet", schema=schema)
        return whole.to_table(use_threads=False, filter=None if trial is None else ds.field("trial") == trial)

    @cached_property
    def trials(self) -> list[Trial]:
        """All trials, in the order of their suggestion."""
        return [self._trial(row) for row in self._table.to_pylist()]

    @property
    def best(self) -> Trial | None:
        """The best trial, by the first metric where there are several; None while none has a value."""
        return next(iter(self.top(1)), None)

    def top(self, k: int, by: str = "last") -> list[Trial]:
        """The k best trials, best first.

        Args:
            k: how many at most.
            by: "last": by the value reported last, completed trials before others (see the top of this file);
                "best": by the best value of all reports.
        """
        if by not in ("last", "best"):
            raise ValueError(f"by is {by!r}; rank trials by 'last' or by their 'best' value.")
        metric, mode = next(iter(self.manifest.objectives.items()))
        column = metric if by == "last" else f"best_{metric}"
        values, states = self._table[column].to_pylist(), self._table["state"].to_pylist()
        sign = -1.0 if mode == "max" else 1.0
        order = sorted(
            (_RANK.get(states[i], 1) if by == "last" else 0, sign * value, i)
            for i, value in enumerate(values)
            if value is not None and not math.isnan(value)
        )
        return [self._trial(self._table.slice(i, 1).to_pylist()[0]) for _, _, i in order[:k]]

    def pareto(self) -> list[Trial]:
        """The trials that no other surpasses, failed ones left out, in the order of suggestion.

        A trial surpasses another if none of its values is worse and one is better. With one metric: all that
        share the best value.
        """
        signs = [-1.0 if mode == "max" else 1.0 for mode in self.manifest.objectives.values()]
        losses: dict[int, list[float]] = {}
        for i, trial in enumerate(self.trials):
            pairs = zip(signs, trial.values, strict=True)
            found = [sign * v for sign, v in pairs if v is not None and not math.isnan(v)]
            if len(found) == len(signs) and _RANK.get(trial.state, 1) < 2:
                losses[i] = found
        front: list[int] = []
        for i in sorted(losses, key=lambda i: losses[i]):  # whoever surpasses i comes before it in this order
            surpassed = any(
                losses[j] != losses[i] and all(a <= b for a, b in zip(losses[j], losses[i], strict=True))
                for j in front
            )
            if not surpassed:
                front.append(i)
        return [self.trials[i] for i in sorted(front)]

    def status(self) -> dict[str, int]:
        """How many trials are in each state."""
        return dict(Counter(self._table["state"].to_pylist()))

    @cached_property
    def plot(self) -> Plots:
        """Figures of the sweep, for notebooks: `results.plot.history()` and the others of `sweeps.plots`."""
        from sweeps.plots import Plots

        return Plots(self)

    @property
    def total(self) -> int | None:
        """How many trials were asked for, extensions included; None: as many as there is time for."""
        if self.manifest.trials is None:
            return None
        return self.manifest.trials + int((self._table.schema.metadata or {}).get(b"extended", 0))

    @property
    def dollars(self) -> dict[str, float] | None:
        """What the cluster cost: `total`, of it `boot` (nodes starting) and `idle`; the rest is the trials'.
        None where no prices were known."""
        told = (self._table.schema.metadata or {}).get(b"dollars")
        return None if told is None else lines.decode(told.decode())

    @property
    def certificate(self) -> Certificate | None:
        """What `starling certify` stated; None where it has not run."""
        from sweeps.certify import read

        return read(self)

    def __len__(self) -> int:
        return self._table.num_rows

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {state}" for state, count in self.status().items()) or "no trials yet"
        best = self.best
        words = f", best {next(iter(self.manifest.objectives))} {best.value:.5g} by {best.id}" if best else ""
        return f"<Results of {self.path}: {counts}{words}>"

    def _repr_html_(self) -> str:
        from sweeps.notebook import results_html

        return results_html(self)

    def _trial(self, row: dict[str, Any]) -> Trial:
        checkpoint = row["checkpoint"]
        if checkpoint is not None and "://" not in checkpoint and not checkpoint.startswith("/"):
            checkpoint = self.folder.child(checkpoint).uri
        return Trial(
            id=row["trial"],
            config=lines.decode(row["config"]) if row["config"] else {},
            values=tuple(row[metric] for metric in self.manifest.objectives),
            best_values=tuple(row[f"best_{metric}"] for metric in self.manifest.objectives),
            iterations=row["iterations"],
            state=row["state"],
            checkpoint=checkpoint,
            seconds=row["seconds"],
            dollars=row.get("dollars"),
            error=row["error"],
            row=row,
            _results=self,
        )
