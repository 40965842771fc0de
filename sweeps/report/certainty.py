"""How sure the best configuration is: its lead over the next, measured in how far such values scatter.

Two kinds of scatter can be seen in a sweep:

- of **seeds**: trials that differ in nothing but `seed`, wherever there are such groups. The configurations
  are then ranked by their means, as a single lucky seed proves nothing.
- of **reports**: how far the last reports of good trials lie from a straight line through them. That misses
  what another seed would change, so it is the least that the scatter can be.

Pooled standard deviation s; two values of s each differ by chance alone by sqrt(2) s (1/n for means of n).
A lead of twice that is called clear; one in 20 such leads is an accident, and more where many trials compete.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sweeps.report.material import Floats, Material

LAST = 5
"""Reports that the scatter of a curve is judged by, at most; at least four are needed."""

JUDGED = 10
"""Trials whose last reports are looked at: the best ones."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Certainty:
    """What a sweep tells of how good its best configuration is."""

    trial: str
    """A trial of the best configuration (of several seeds: the best one)."""

    value: float
    """Its value reported last; of several seeds the mean."""

    repeats: int
    """How many trials have this configuration, whatever their seed."""

    runner_up: str | None
    gap: float | None
    """How much better than the runner-up, never negative."""

    scatter: float | None
    """Standard deviation of one value; None where nothing can be said of it."""

    kind: str
    """Where it was seen: "seeds", "reports" or ""."""

    rivals: int
    """How many completed trials (of several seeds: configurations) it was compared with."""

    alike: int
    """How many of these are within what chance alone does, two standard deviations of a difference."""

    @property
    def ratio(self) -> float | None:
        """The gap in standard deviations of such a difference; a lead without any scatter is infinite."""
        if self.gap is None or self.scatter is None:
            return None
        deviation = self.scatter * math.sqrt(2 / self.repeats)
        return self.gap / deviation if deviation > 0 else (math.inf if self.gap > 0 else 0.0)

    @property
    def verdict(self) -> str:
        """In a word: clear, likely, open, alone or unknown."""
        if self.runner_up is None:
            return "alone"
        if self.ratio is None:
            return "unknown"
        return "clear" if self.ratio >= 2 else "likely" if self.ratio >= 1 else "open"


def certainty(material: Material) -> Certainty | None:
    """Judge the best configuration among the trials of its own state; None while no trial has a value."""
    if not material.ranking:
        return None
    state = material.states[material.ranking[0]]
    rows = [i for i in material.ranking if material.states[i] == state]
    groups = _groups(material, rows)
    repeated = [rows for rows in groups if len(rows) > 1]
    freedom = sum(len(rows) - 1 for rows in repeated)
    if freedom >= 2:
        squares = sum(float(((v := material.values[rows]) - v.mean()).__pow__(2).sum()) for rows in repeated)
        return _judged(material, groups, math.sqrt(squares / freedom), "seeds")
    scatter = _of_reports(material, rows[:JUDGED])
    return _judged(material, [[i] for i in rows], scatter, "reports" if scatter is not None else "")


def scatter_of(values: Floats) -> float | None:
    """Standard deviation of a curve's last reports from a straight line; None of fewer than four."""
    last = values[-LAST:]
    if len(last) < 4:
        return None
    steps = np.arange(len(last), dtype=float)
    line = np.polynomial.Polynomial.fit(steps, last, 1)
    return math.sqrt(float(((last - line(steps)) ** 2).sum()) / (len(last) - 2))


def _groups(material: Material, rows: list[int]) -> list[list[int]]:
    """Rows with the same configuration but for the seed, each group best first."""
    found: dict[str, list[int]] = {}
    for i in rows:
        found.setdefault(_without_seed(material.rows[i]["config"]), []).append(i)
    return list(found.values())


def _without_seed(config: str | None) -> str:
    told: Any = json.loads(config or "{}")
    if isinstance(told, dict):
        told.pop("seed", None)
    return json.dumps(told, sort_keys=True)


def _of_reports(material: Material, rows: list[int]) -> float | None:
    curves = [material.curves[material.ids[i]] for i in rows if material.ids[i] in material.curves]
    last = [scatter_of(curve.values[curve.copies == curve.copies[-1]]) for curve in curves]
    found = [scatter for scatter in last if scatter is not None]
    if not found:
        return None
    return math.sqrt(sum(s * s for s in found) / len(found))


def _judged(material: Material, groups: list[list[int]], scatter: float | None, kind: str) -> Certainty:
    means = [float(material.values[rows].mean()) for rows in groups]
    order = sorted(range(len(groups)), key=lambda g: material.sign * means[g])
    best = order[0]
    gaps = [abs(means[g] - means[best]) for g in order[1:]]

    def allowed(group: int) -> float:
        return 2 * (scatter or 0.0) * math.sqrt(1 / len(groups[best]) + 1 / len(groups[group]))

    alike = 0
    if scatter is not None:
        alike = sum(gap <= allowed(g) for gap, g in zip(gaps, order[1:], strict=True))
    return Certainty(
        trial=material.ids[groups[best][0]],
        value=means[best],
        repeats=len(groups[best]),
        runner_up=material.ids[groups[order[1]][0]] if gaps else None,
        gap=gaps[0] if gaps else None,
        scatter=scatter,
        kind=kind,
        rivals=len(gaps),
        alike=alike,
    )
