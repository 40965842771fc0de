"""Hyperparameters as axes: their scale, their places along it, and the ticks.

Scale and range are those of the sweep's space, as its study.journal has them; a parameter that is not there
(its distribution has no form in Optuna, or the sweep has no study) is judged by its values.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any

from sweeps.results import Results
from sweeps.store import lines
from sweeps.store.trials_table import column_names

_ORDERS_FOR_LOG = 100.0
"""Positive values that span more than this, of a parameter whose scale is unknown, get a logarithmic axis."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """One searched hyperparameter and its value in each trial."""

    name: str
    values: list[Any] = field(repr=False)
    """Of each trial; None where it is inactive. Those of a choice are texts."""

    choices: list[str] | None = None
    """What is chosen among, in the space's order; None for a number."""

    log: bool = False
    whole: bool = False
    """Whether it is a whole number."""

    low: float = 0.0
    high: float = 1.0

    @property
    def active(self) -> list[int]:
        """The trials that have it."""
        return [i for i, value in enumerate(self.values) if value is not None]

    @property
    def varies(self) -> bool:
        """Whether any two trials differ in it."""
        return len({value for value in self.values if value is not None}) > 1

    def place(self, value: Any) -> float:
        """Where a value is on the axis: a number, its decimal logarithm, or a choice's place."""
        if self.choices is not None:
            return float(self.choices.index(value))
        return math.log10(value) if self.log else float(value)

    @property
    def ends(self) -> tuple[float, float]:
        """Places of the axis's ends."""
        if self.choices is not None:
            return 0.0, max(len(self.choices) - 1.0, 1.0)
        low, high = self.place(self.low), self.place(self.high)
        return (low, high) if low < high else (low - 0.5, high + 0.5)

    def ticks(self) -> list[tuple[float, str]]:
        """A few places with their labels: every choice, whole powers of ten, or five even steps."""
        if self.choices is not None:
            return [(float(i), choice) for i, choice in enumerate(self.choices)]
        low, high = self.ends
        if self.log and math.floor(high + 1e-9) - math.ceil(low - 1e-9) >= 1:
            powers = range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1)
            step = max(1, math.ceil(len(powers) / 6))
            return [(float(p), f"{10.0**p:g}") for p in powers[::step]]
        places = [low + (high - low) * k / 4 for k in range(5)]
        return [(place, f"{10**place if self.log else place:.3g}") for place in places]

    def text(self, value: Any) -> str:
        """A value in words."""
        if value is None:
            return ""
        return f"{value:.4g}" if isinstance(value, float) and self.choices is None else str(value)


def parameters_of(results: Results, rows: list[dict[str, Any]]) -> list[Parameter]:
    """Every hyperparameter of the sweep's space, with its values in these rows of the trials table."""
    known = results.manifest.parameters
    columns = column_names(known, results.manifest.objectives)
    shapes = _distributions(results, set(known))
    return [
        _parameter(name, kind, [row.get(columns[name]) for row in rows], shapes.get(name, {}))
        for name, kind in known.items()
    ]


def _parameter(name: str, kind: str, values: list[Any], shape: dict[str, Any]) -> Parameter:
    choices = shape.get("choices")
    if choices is not None or kind in ("string", "bool"):
        texts = [_word(v) for v in values]
        ordered = list(dict.fromkeys([*map(_word, choices or ()), *sorted({t for t in texts if t})]))
        return Parameter(name=name, values=texts, choices=[c for c in ordered if c is not None])
    finite = [None if v is None or not math.isfinite(v) else v for v in values]
    seen = [v for v in finite if v is not None] or [0.0]
    low, high = min([*seen, shape.get("low", seen[0])]), max([*seen, shape.get("high", seen[0])])
    log = bool(shape["log"]) if "log" in shape else low > 0 and high / low > _ORDERS_FOR_LOG
    whole = kind == "int64"
    return Parameter(name=name, values=finite, log=log and low > 0, whole=whole, low=low, high=high)


def _word(value: Any) -> str | None:
    """A choice as text: 1.0 in a column of numbers is the choice 1."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    return lines.text(value)


def _distributions(results: Results, names: set[str]) -> dict[str, dict[str, Any]]:
    """What the study's file says of each parameter, read until all are known."""
    found: dict[str, dict[str, Any]] = {}
    for line in (results.folder.read("study.journal") or b"").split(b"\n"):
        if found.keys() >= names:
            break
        if b'"distributions"' not in line:
            continue
        try:
            told = json.loads(line).get("distributions") or {}
        except ValueError:
            continue  # the last line, torn
        for name, text in told.items():
            if name not in found:
                found[name] = json.loads(text)["attributes"]
    return found
