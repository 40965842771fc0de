"""The curves of a sweep's trials, and what they tell together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from sweeps.diagnosis.curve import BESIDE, Curve, known, loss_names
from sweeps.diagnosis.examine import SHOWN, examine
from sweeps.diagnosis.finding import Finding
from sweeps.diagnosis.levels import end
from sweeps.diagnosis.whole import of_the_sweep

if TYPE_CHECKING:
    from sweeps.results import Results

LATE = 0.5
"""Of a trial that has not come so far as the longest one's reports, only this is said:"""
SHORT = ("diverged", "overfit")


def diagnose(results: Results, trial: str | None = None, least: float = SHOWN) -> list[Finding]:
    """What is wrong with the trials of a sweep, and with the sweep itself, whose findings come first.

    Args:
        results: the sweep's, finished or running.
        trial: only of this one; None: of all.
        least: findings of less confidence are left out.

    Raises:
        ValueError: there is no such trial.
    """
    curves = dict(read(results))
    states = dict(zip(*(results.to_arrow()[name].to_pylist() for name in ("trial", "state")), strict=True))
    if trial is not None and trial not in states:
        some = ", ".join([*list(states)[:5], "..."] if states else ["none yet"])
        raise ValueError(f"there is no trial {trial!r} in {results.path}; there are {some}")
    curves = together(curves)
    longest = max((len(curve) for curve in curves.values()), default=0)
    found: dict[str, list[Finding]] = {}
    for name, curve in curves.items():
        if trial is not None and name != trial:
            continue
        ones = examine(curve, name, least)
        if states.get(name) in ("stopped", "running", "pending", "paused") and len(curve) < LATE * longest:
            ones = [one for one in ones if one.label in SHORT]
        found[name] = ones
    each = [one for ones in found.values() for one in ones]
    return each if trial is not None else [*of_the_sweep(curves, found), *each]


def read(results: Results) -> Iterator[tuple[str, Curve]]:
    """Id and curve of each trial with reports; of one that was copied over (PBT) what came since."""
    (metric, mode), *_ = results.manifest.objectives.items()
    table = results.metrics()
    if not table.num_rows:
        return
    table = table.sort_by([("trial", "ascending"), ("copies", "ascending"), ("iteration", "ascending")])
    rows = results.to_arrow()
    configs = dict(zip(rows["trial"].to_pylist(), rows["config"].to_pylist(), strict=True))
    columns = {
        name: table[name].to_numpy()
        for name in table.column_names
        if str(table.schema.field(name).type) in ("double", "int64")
    }
    missing = {name: np.asarray(table[name].is_null()) for name in columns}
    trials, copies = np.asarray(table["trial"].to_pylist()), columns["copies"]
    bounds = [0, *(np.flatnonzero(trials[1:] != trials[:-1]) + 1).tolist(), len(trials)]
    for first, last in pairwise(bounds):
        first += int(np.argmax(copies[first:last] == copies[last - 1]))
        part = slice(first, last)
        there = [name for name in columns if not missing[name][part].all()]
        names = loss_names(there, metric, mode)

        def values(name: str, part: slice = part) -> list[float | None]:
            pairs = zip(columns[name][part].tolist(), missing[name][part].tolist(), strict=True)
            return [None if gone else float(value) for value, gone in pairs]

        series: dict[str, Any] = {key: values(name) for key, name in names.items()}
        if not series:
            continue
        trial = str(trials[first])
        yield (
            trial,
            Curve.of(
                iteration=columns["iteration"][part],
                train_loss=series.get("train"),
                val_loss=series.get("val"),
                metric=series.get("metric"),
                mode=mode,
                names=names,
                config=flat(results, configs.get(trial)),
                searched=frozenset(results.manifest.parameters),
                **{name: values(name) for name in BESIDE if name in there},
            ),
        )


def flat(results: Results, text: str | None) -> dict[str, Any]:
    """A configuration of the trials table by dotted names."""
    from sweeps.store import lines

    return dict(_leaves(lines.decode(text))) if text else {}


def _leaves(config: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def together(curves: Mapping[str, Curve]) -> dict[str, Curve]:
    """The curves, each knowing the lowest losses of all, and the learning rates of the best third."""
    levels = {
        name: end(curve.judged) for name, curve in curves.items() if len(curve.judged) and not curve.broken
    }
    if len(levels) < 3:
        return dict(curves)
    best = sorted(levels, key=lambda name: levels[name])[: max(2, len(levels) // 3)]
    rates = [rate for name in best if (rate := curves[name].peak_lr) is not None]
    whole: dict[str, Any] = {
        "floor": min((end(y) for name in levels if len(y := known(curves[name].train))), default=None),
        "val_floor": min((end(y) for name in levels if len(y := known(curves[name].val))), default=None),
        "good_lrs": (min(rates), max(rates)) if len(rates) >= 2 else None,
    }
    return {name: replace(curve, **whole) for name, curve in curves.items()}
