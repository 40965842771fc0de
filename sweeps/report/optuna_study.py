"""Trials as an Optuna study in memory, for Optuna's evaluators and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sweeps.report.parameters import Parameter

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study

    from sweeps.report.material import Material


def study(material: Material, values: Mapping[int, float], parameters: Sequence[Parameter]) -> Study:
    """These trials as an Optuna study in memory, completed with these values of the first metric."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would print that a study is made
    made = optuna.create_study(direction="maximize" if material.sign < 0 else "minimize")
    optuna.logging.set_verbosity(verbosity)
    shapes = {p.name: _distribution(p) for p in parameters}
    for i, value in values.items():
        there = {p.name: p.values[i] for p in parameters if p.values[i] is not None}
        made.add_trial(
            optuna.trial.create_trial(
                value=value, params=there, distributions={name: shapes[name] for name in there}
            )
        )
    return made


def _distribution(p: Parameter) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if p.choices is not None:
        return CategoricalDistribution(p.choices)
    if p.whole:
        return IntDistribution(int(p.low), int(p.high), log=p.log)
    return FloatDistribution(float(p.low), float(p.high), log=p.log)
