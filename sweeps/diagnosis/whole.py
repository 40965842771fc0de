"""What many trials' findings tell of the sweep: which hyperparameter goes with them, from which value on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np

from sweeps.diagnosis.curve import Curve
from sweeps.diagnosis.finding import Finding, certainty

LEAST = 3
"""Trials with a label, and without it, that a statement about a hyperparameter needs."""
APART = 0.6
"""Least share of trials on their side of the threshold, above chance (Youden's J)."""
OFTEN = 0.25
"""Share of trials with a label from which on the sweep itself has it."""


def of_the_sweep(curves: Mapping[str, Curve], found: Mapping[str, Sequence[Finding]]) -> list[Finding]:
    """One finding a label that hits a quarter of the trials, or that one hyperparameter's values explain."""
    hit: dict[str, list[str]] = {}
    for trial, ones in found.items():
        for one in ones:
            hit.setdefault(one.label, []).append(trial)
    told = []
    for label, trials in sorted(hit.items(), key=lambda item: -len(item[1])):
        if len(trials) < LEAST:
            continue
        threshold = _threshold(curves, found, set(trials))
        if threshold is not None or len(trials) >= OFTEN * len(found):
            told.append(_tell(label, trials, len(found), threshold, curves))
    return told


Threshold = tuple[str, str, float, float]
"""Hyperparameter, ">=" or "<=", value, and J: the share of hits beyond it less that of the others."""


def _threshold(
    curves: Mapping[str, Curve], found: Mapping[str, Sequence[Finding]], hit: set[str]
) -> Threshold | None:
    """The numeric hyperparameter and value that part the trials with a label best from those without."""
    if len(found) - len(hit) < LEAST:
        return None
    names = sorted({name for trial in found for name in curves[trial].searched})
    best: Threshold | None = None
    for name in names:
        pairs = [
            (float(value), trial in hit)
            for trial in found
            if _is_number(value := curves[trial].config.get(name))
        ]
        values, hits = np.array([v for v, _ in pairs]), np.array([h for _, h in pairs])
        if not len(pairs) or hits.sum() < LEAST or (~hits).sum() < LEAST:
            continue
        for value in np.unique(values):
            for sign, beyond in ((">=", values >= value), ("<=", values <= value)):
                apart = float(beyond[hits].mean() - beyond[~hits].mean())
                if apart >= APART and (best is None or apart > best[3]):
                    best = (name, sign, float(value), apart)
    return best


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _tell(
    label: str, trials: Sequence[str], total: int, threshold: Threshold | None, curves: Mapping[str, Curve]
) -> Finding:
    share = len(trials) / total
    evidence = {"trials": float(len(trials)), "of": float(total), "share": share}
    text = f"{len(trials)} of {total} trials are {label.replace('_', ' ')} ({share:.0%})"
    if threshold is None:
        return Finding(
            label=label,
            confidence=certainty(share, OFTEN, 0.6),
            evidence=evidence,
            text=f"{text}; no single hyperparameter parts them from the others.",
            next_step="Look at one of them: " + f"`starling diagnose PATH {trials[0]}`.",
        )
    name, sign, value, apart = threshold
    kept = [
        float(given)
        for trial, curve in curves.items()
        if trial not in set(trials) and _is_number(given := curve.config.get(name))
    ]
    evidence |= {"threshold": value, "apart": apart, "kept_from": min(kept), "kept_to": max(kept)}
    inside = [v for v in kept if (v < value) == (sign == ">=")] or kept
    return Finding(
        label=label,
        confidence=certainty(apart, APART, 0.9),
        evidence=evidence,
        text=f"{text}, most with {name} {sign} {value:.3g}, as few of the others have ({apart:.0%} apart).",
        next_step=f"Search {name} from {min(inside):.3g} to {max(inside):.3g} only.",
    )
