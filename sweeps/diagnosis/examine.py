"""One curve, examined for every label."""

from __future__ import annotations

from dataclasses import replace

from sweeps.diagnosis import labels
from sweeps.diagnosis.curve import Curve
from sweeps.diagnosis.finding import Finding

SHOWN = 0.5
"""Confidence from which on a finding counts."""


def examine(curve: Curve, trial: str | None = None, least: float = SHOWN) -> list[Finding]:
    """What is wrong with one training, the most certain first; empty: nothing.

    Args:
        curve: its reports.
        trial: its id, for the findings.
        least: findings of less confidence are left out.
    """
    found: dict[str, Finding] = {}
    for name in labels.names():
        one = labels.load(name).find(curve)
        if one is not None and one.confidence >= least:
            found[name] = one if trial is None else replace(one, trial=trial)
    certain = [name for name, one in found.items() if one.confidence >= SHOWN]
    hidden = {other for name in certain for other in labels.load(name).HIDES}
    return sorted((one for name, one in found.items() if name not in hidden), key=lambda one: -one.confidence)
