"""Which hyperparameters matter: Optuna's evaluators on this sweep's trials.

Up to `FOREST` trials fANOVA (a random forest, its variance split among the hyperparameters: Hutter et al.
2014, as Optuna has it), beyond PED-ANOVA, whose cost does not grow so. fANOVA knows only hyperparameters that
every trial has: one that is inactive in some is judged among the trials that have it, apart from the rest.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweeps.report.optuna_study import study
from sweeps.report.parameters import Parameter

if TYPE_CHECKING:
    from sweeps.report.material import Material

FOREST = 300
LEAST = 8
"""Trials without which nothing is said."""

COMPLETED = 30
"""Completed trials from which on these alone count; with fewer, all trials at an iteration they share."""

_SEED = 0


@dataclass(frozen=True, slots=True)
class Importances:
    """Shares of the value's variance, and what they rest on."""

    shares: dict[str, float]
    """Of hyperparameters that all trials have; they sum to 1."""

    conditional: dict[str, tuple[float, int]]
    """Of those that only some have: the share among these, and how many they are."""

    trials: int
    iteration: int | None
    """The iteration whose values are compared; None: the values that trials completed with."""

    evaluator: str


def importances(material: Material) -> Importances | None:
    """Judge the hyperparameters; None where there are too few trials, or no two that differ."""
    values, iteration = comparable(material)
    varying = [p for p in material.parameters if p.varies]
    if len(values) < LEAST or len(set(values.values())) < 2 or not varying:
        return None
    if len(values) > FOREST:
        shares = _judge(material, values, varying, fast=True)
        return Importances(shares, {}, len(values), iteration, "PED-ANOVA")
    always = [p for p in varying if all(p.values[i] is not None for i in values)]
    conditional = {}
    for p in varying:
        if p in always:
            continue
        having = {i: v for i, v in values.items() if p.values[i] is not None}
        if len(having) >= LEAST and len(set(having.values())) > 1:
            there = [q for q in varying if all(q.values[i] is not None for i in having)]
            conditional[p.name] = (_judge(material, having, there, fast=False)[p.name], len(having))
    shares = _judge(material, values, always, fast=False)
    return Importances(shares, conditional, len(values), iteration, "fANOVA")


def comparable(material: Material) -> tuple[dict[int, float], int | None]:
    """Trials whose values may be compared, by row: completed ones, or all at an iteration that they share.

    Returns:
        The values, and the iteration (None: completed). Where fewer than `COMPLETED` trials completed and
        others did not, it is the last iteration that two thirds of all trials with reports have reached.
    """
    done = {
        i: float(v)
        for i, v in enumerate(material.values)
        if material.states[i] == "completed" and math.isfinite(v)
    }
    others = [
        i for i in material.ranking
        if material.states[i] in ("stopped", "running", "paused") and material.ids[i] in material.curves
    ]  # fmt: skip
    if len(done) >= COMPLETED or not others:
        return done, None
    rows = [i for i in [*done, *others] if material.ids[i] in material.curves]
    curves = [material.curves[material.ids[i]] for i in rows]
    ends = sorted((int(curve.iterations.max()) for curve in curves), reverse=True)
    iteration = ends[max(0, math.ceil(len(ends) * 2 / 3) - 1)]
    found = {}
    for i, curve in zip(rows, curves, strict=True):
        at = (curve.iterations == iteration).nonzero()[0]
        if len(at) and math.isfinite(curve.values[at[-1]]):
            found[i] = float(curve.values[at[-1]])
    return (found, iteration) if len(found) > len(done) else (done, None)


def _judge(
    material: Material, values: dict[int, float], parameters: list[Parameter], *, fast: bool
) -> dict[str, float]:
    from optuna.importance import (
        FanovaImportanceEvaluator,
        PedAnovaImportanceEvaluator,
        get_param_importances,
    )

    varying = [p for p in parameters if len({p.values[i] for i in values} - {None}) > 1]
    if len(varying) < 2:
        return {p.name: float(p in varying) for p in parameters}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's word that an evaluator is experimental
        made = study(material, values, varying)
        evaluator = PedAnovaImportanceEvaluator() if fast else FanovaImportanceEvaluator(seed=_SEED)
        names = [p.name for p in varying]
        shares = get_param_importances(made, evaluator=evaluator, params=names, normalize=True)
    return {p.name: 0.0 for p in parameters} | {name: float(shares[name]) for name in shares}
