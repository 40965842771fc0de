"""What the report's figures are made of: a sweep's stored tables, each read once and put into columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from sweeps import journal
from sweeps.report.importance import Importances, importances
from sweeps.report.parameters import Parameter, parameters_of
from sweeps.report.stretches import Whereabouts, whereabouts
from sweeps.results import Results, Trial

ENDED = ("completed", "stopped", "failed")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curve:
    """One trial's reports of the first metric, in the order in which they came."""

    copies: npt.NDArray[np.int64]
    """How often the trial had been overwritten by another (PBT) before each report."""

    iterations: npt.NDArray[np.int64]
    values: Floats

    def __len__(self) -> int:
        return len(self.values)


class Material:
    """One sweep's results as columns, a row for each trial in the order of suggestion."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self.metric, self.mode = next(iter(results.manifest.objectives.items()))
        self.sign = -1.0 if self.mode == "max" else 1.0
        """Times a value: a loss, lower is better."""

        table = results.to_arrow()
        self.rows: list[dict[str, Any]] = table.to_pylist()
        self.ids: list[str] = [row["trial"] for row in self.rows]
        self.states: list[str] = [row["state"] for row in self.rows]
        self.iterations = np.array([row["iterations"] or 0 for row in self.rows], int)
        self.values = _floats([row[self.metric] for row in self.rows])
        """The first metric's value reported last; NaN where there is none."""

        self.best_values = _floats([row[f"best_{self.metric}"] for row in self.rows])
        self.seconds = _floats([row["seconds"] for row in self.rows])
        self.dollars = _floats([row.get("dollars") for row in self.rows])

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def ranking(self) -> list[int]:
        """Rows with a value, best first: completed trials, then others, failed ones last."""
        rank = {"completed": 0, "failed": 2}
        found = [i for i, value in enumerate(self.values) if not math.isnan(value)]
        return sorted(found, key=lambda i: (rank.get(self.states[i], 1), self.sign * self.values[i], i))

    @cached_property
    def best(self) -> Trial | None:
        """The best trial, as `Results.best`."""
        return self.results.best

    @cached_property
    def parameters(self) -> list[Parameter]:
        """The searched hyperparameters, in the space's order."""
        return parameters_of(self.results, self.rows)

    @cached_property
    def curves(self) -> dict[str, Curve]:
        """Each trial's reports of the first metric, of those trials that have any."""
        table = self.results.metrics()
        if self.metric not in table.column_names:
            return {}
        trials = np.array(table.column("trial").to_pylist(), object)
        copies = np.asarray(table.column("copies").to_pylist(), np.int64)
        iterations = np.asarray(table.column("iteration").to_pylist(), np.int64)
        values = _floats(table.column(self.metric).to_pylist())
        order = np.lexsort((iterations, copies, trials.astype(str)))
        order = order[~np.isnan(values[order])]
        found: dict[str, Curve] = {}
        names, begins = np.unique(trials[order].astype(str), return_index=True)
        for name, rows in zip(names, np.split(order, begins[1:]), strict=True):
            found[str(name)] = Curve(copies[rows], iterations[rows], values[rows])
        return found

    @cached_property
    def importances(self) -> Importances | None:
        """Which hyperparameters matter; None where that cannot be told."""
        return importances(self)

    @cached_property
    def by_importance(self) -> list[Parameter]:
        """Hyperparameters that vary, the most important first, as far as that is known."""
        found = self.importances
        known: dict[str, float] = {}
        if found is not None:
            known = found.shares | {name: share for name, (share, _) in found.conditional.items()}
        return sorted((p for p in self.parameters if p.varies), key=lambda p: -known.get(p.name, -1.0))

    @cached_property
    def whereabouts(self) -> Whereabouts:
        """Which trial was on which machine, and when: from the journal."""
        return whereabouts(journal.read(self.results.folder))

    @cached_property
    def state(self) -> str:
        """Of the sweep: running, new, crashed, or why it was closed (`sweeps.catalogue`)."""
        from sweeps.catalogue import summary

        return summary(self.results.folder).state

    def has_ended(self, row: int) -> bool:
        """Whether the trial of a row goes on no more."""
        return self.states[row] in ENDED

    def best_so_far(self) -> Floats:
        """After each trial, the best value reported last by it and those before; failed ones do not count."""
        counted = np.array([state != "failed" for state in self.states], bool)
        losses = np.where(counted & ~np.isnan(self.values), self.sign * self.values, np.inf)
        best = self.sign * np.minimum.accumulate(losses) if len(losses) else losses
        return np.where(np.isinf(best), np.nan, best)

    def describe(self, row: int, limit: int = 12) -> list[str]:
        """A trial in a few lines, for a label: id, state, value and its active hyperparameters."""
        value = self.values[row]
        told = "no value" if math.isnan(value) else f"{self.metric} {value:.5g}"
        lines = [f"trial {self.ids[row]}, {self.states[row]}", f"{told}, iteration {self.iterations[row]}"]
        active = [p for p in self.parameters if p.values[row] is not None]
        lines += [f"{p.name} = {p.text(p.values[row])}" for p in active[:limit]]
        return lines + ["..."] * (len(active) > limit)


def _floats(values: Sequence[Any]) -> Floats:
    return np.array([math.nan if v is None else v for v in values], np.float64)
