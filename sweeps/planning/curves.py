"""What planned trials report, and how long a report takes: from earlier results, or from a stated model.

Schedulers look at the order of values, not at the values: the model's scale (0 to 1) means nothing. It is:

    loss after i of n reports = a(x) + b(x) (n / i)^c(x) + noise

a, b and c are smooth random functions of the point x of the unit cube: sums of `WAVES` cosines (Rahimi &
Recht 2007, random Fourier features), so that near configurations do alike. A metric that is to be maximised
is 1 - loss. Each trial is faster or slower than the stated seconds by a log-normal factor.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from search_algs.space import Space
from sweeps.results import Results

WAVES = 32
NOISE = 0.01
"""Standard deviation of a report about its curve."""
SPREAD = 0.2
"""Standard deviation of the logarithm of a trial's seconds for a report."""
NEIGHBOURS = 5
"""Earlier trials among which one is drawn for a planned one."""


class Curves(Protocol):
    """Where planned trials get their reports from."""

    words: str
    """A sentence for the reader of the plan."""
    length: int
    """Reports of a trial that nobody stops."""

    def trial(self, config: Mapping[str, Any], *words: int) -> Curve:
        """The reports of one trial; `words` are what its draws depend on."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One trial's reports."""

    values: Mapping[str, NDArray[np.float64]]
    """Of each metric, shape (length,)."""
    seconds: NDArray[np.float64]
    """For each report, shape (length,)."""


class Model:
    """The model on top of this file.

    Args:
        space: what is searched.
        metrics, modes: what trials report, and which way is better.
        length: reports of a full training.
        seconds: mean time of a report.
        seed: of the random functions; they are the same for every trial of a sweep.
    """

    def __init__(
        self,
        space: Space,
        metrics: tuple[str, ...],
        modes: tuple[str, ...],
        *,
        length: int,
        seconds: float,
        seed: int,
    ) -> None:
        if length < 1 or not seconds > 0:
            raise ValueError(f"{length} reports of {seconds} s are no training; give at least 1, above 0 s")
        self.space, self.length, self.seconds, self.seed = space, length, seconds, seed
        self.modes = dict(zip(metrics, modes, strict=True))
        self.words = (
            f"curves: a stated model (smooth random functions of the configuration, power laws), {length} "
            f"reports of {seconds:g} s; --results PATH takes those of an earlier sweep"
        )
        rng = np.random.default_rng([seed, 0xC0])
        shape = (len(metrics), 3, WAVES)
        self._waves = rng.normal(0, 3, (*shape, len(space)))
        self._phases = rng.uniform(0, 2 * math.pi, shape)

    def trial(self, config: Mapping[str, Any], *words: int) -> Curve:
        """See `Curves`."""
        rng = np.random.default_rng([self.seed, *words])
        unit, active = self.space.encode(config)
        x = np.where(active, unit, 0.5)
        i = np.arange(1, self.length + 1)
        values = {}
        for k, (metric, mode) in enumerate(self.modes.items()):
            waves = np.cos(self._waves[k] @ x + self._phases[k]).sum(axis=1) / math.sqrt(WAVES / 2)
            level, gain, speed = 1 / (1 + np.exp(-waves))  # of standard normal size before, in (0, 1) now
            loss = 0.5 * level + 0.2 * gain * (self.length / i) ** (0.2 + 0.4 * speed)
            loss = loss + NOISE * rng.standard_normal(self.length)
            values[metric] = 1 - loss if mode == "max" else loss
        factor = math.exp(SPREAD * rng.standard_normal() - SPREAD**2 / 2)
        return Curve(values, np.full(self.length, self.seconds * factor))


class Earlier:
    """Curves of an earlier sweep: a planned trial does as one of the `NEIGHBOURS` nearest that were tried.

    Where that one was stopped early, it goes on by the steps of trials that came further, drawn one by one.

    Args:
        results: of the earlier sweep, with this one's metrics.
        space: what is searched now.
        metrics: what trials report.
        length: reports of a full training now; None: of the longest earlier trial.
        seed: of the draws.

    Raises:
        ValueError: it has no trial with two reports, or not these metrics.
    """

    def __init__(
        self, results: Results, space: Space, metrics: tuple[str, ...], *, length: int | None, seed: int
    ) -> None:
        self.space, self.seed = space, seed
        if lacking := [one for one in metrics if one not in results.manifest.objectives]:
            raise ValueError(
                f"{results.path} has no {', '.join(lacking)}, but {', '.join(results.manifest.objectives)}; "
                "give results of a sweep with the same metric"
            )
        self._curves = _read(results, metrics)
        configs = {trial.id: trial.config for trial in results.trials}
        units = []
        for name in list(self._curves):
            try:
                units.append(space.encode(space.repair(configs[name]))[0])
            except (ValueError, KeyError):  # of another space: its curve stands for no point
                units.append(np.full(len(space), np.nan))
        self._units = np.array(units).reshape(len(units), len(space))
        self._names = list(self._curves)
        longest = max((len(one.seconds) for one in self._curves.values()), default=0)
        if longest == 0:
            raise ValueError(f"{results.path} has no trial that reported {', '.join(metrics)} and its time")
        self.length = length or longest
        self._steps = _steps(self._curves, longest)
        self.words = (
            f"curves: of {len(self._names)} trials in {results.path}, the nearest to each planned one, up to "
            f"{longest} reports long"
        )
        if self.length > longest:
            self.words += f"; reports {longest + 1} to {self.length} repeat report {longest}"

    def trial(self, config: Mapping[str, Any], *words: int) -> Curve:
        """See `Curves`."""
        rng = np.random.default_rng([self.seed, *words])
        unit, _ = self.space.encode(config)
        gaps = np.nan_to_num(np.abs(self._units - unit).sum(axis=1), nan=np.inf)
        near = np.argsort(gaps, kind="stable")[:NEIGHBOURS]
        base = self._curves[self._names[int(rng.choice(near))]]
        had = len(base.seconds)
        seconds = np.resize(base.seconds, self.length)
        seconds[had:] = rng.choice(base.seconds, max(0, self.length - had))
        values = {}
        for metric, known in base.values.items():
            line = np.empty(self.length)
            line[:had] = known[: self.length]
            for i in range(had, self.length):
                steps = self._steps[metric][i - 1] if i - 1 < len(self._steps[metric]) else None
                line[i] = line[i - 1] + (rng.choice(steps) if steps is not None and len(steps) else 0.0)
            values[metric] = line
        return Curve(values, seconds)


def _read(results: Results, metrics: tuple[str, ...]) -> dict[str, Curve]:
    """Values and seconds of each trial's reports; those after a copy (PBT) are another's, and left out."""
    table = results.metrics().sort_by([("trial", "ascending"), ("iteration", "ascending")])
    columns = [table[name].to_pylist() for name in ("trial", "copies", "time_total_s", *metrics)]
    found: dict[str, list[tuple[float, ...]]] = {}
    for trial, copies, *numbers in zip(*columns, strict=True):
        if not copies and all(one is not None and math.isfinite(one) for one in numbers):
            found.setdefault(trial, []).append(tuple(numbers))
    curves = {}
    for trial, rows in found.items():
        times, *values = np.array(rows, dtype=float).T
        seconds = np.maximum(np.diff(times, prepend=0.0), 1e-3)
        curves[trial] = Curve(dict(zip(metrics, values, strict=True)), seconds)
    return curves


def _steps(curves: Mapping[str, Curve], longest: int) -> dict[str, list[NDArray[np.float64]]]:
    """Of each metric, the changes from report i + 1 to i + 2 of all trials that made both, by i."""
    metrics = next(iter(curves.values())).values
    return {
        metric: [
            np.array(
                [
                    one.values[metric][i + 1] - one.values[metric][i]
                    for one in curves.values()
                    if len(one.seconds) > i + 1
                ]
            )
            for i in range(longest - 1)
        ]
        for metric in metrics
    }
