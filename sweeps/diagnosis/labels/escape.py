"""A plateau, then a sudden fall: training got out of a place where it had seemed to end."""

from __future__ import annotations

import numpy as np

from sweeps.diagnosis.curve import Curve, known
from sweeps.diagnosis.finding import Finding, certainty
from sweeps.diagnosis.levels import Array, noise, trend

ABOUT = "escape from a local optimum: a plateau, and then a sudden fall"
STOPS = False
HIDES = ("plateau", "capacity", "lr_too_low")

SUDDEN = 0.25
"""Share of the whole fall that comes within a tenth of the reports."""
LEAST = 3
"""Reports of the plateau before."""


def find(curve: Curve) -> Finding | None:
    """The steepest stretch, and how flat it was before."""
    y, lrs = curve.main, curve.lr
    n = len(y)
    if n < 7:
        return None
    width = max(1, n // 10)
    drops = y[:-width] - y[width:]
    whole = float(y.max() - y.min())
    if not whole > 0:
        return None
    deviation = noise(y)
    before = max(LEAST, n // 8)
    best: tuple[float, int] | None = None
    for i in np.argsort(-drops)[: 3 * width].tolist():
        if i + 1 < before or drops[i] < SUDDEN * whole or drops[i] < 6 * deviation:
            continue
        line = trend(y[i + 1 - before : i + 1])
        pace = -line.change * width / max(before - 1, 1)  # of the plateau, over the same length
        share = max(pace, 0.0) / drops[i]
        still = share < 0.2 and abs(line.change) + line.error < 0.5 * drops[i]
        if still and (best is None or share < best[0]):
            best = (share, i)
    if best is None:
        return None
    share, i = best
    plateau = y[: i + 1]
    if not _stays(y, i + width, float(drops[i])):
        return None
    if lrs is not None and len(known(lrs)) == n:
        if lrs[min(i + width, n - 1)] < 0.7 * lrs[i]:
            return None  # the learning rate fell there: a step of its schedule
        if np.median(lrs[max(0, i - before) : i + 1]) < 0.5 * lrs.max():
            return None  # a warm-up, slow on purpose
    first = _flat_since(plateau, float(drops[i]))
    confidence = min(certainty(drops[i] / whole, SUDDEN, 0.5), certainty(share, 0.2, 0.05))
    key = curve.main_key
    at, level = curve.at(i, key), curve.real(key, float(np.median(plateau[first:])))
    return Finding(
        label="escape",
        confidence=confidence,
        evidence={
            "plateau_from": curve.at(first, key),
            "at_iteration": at,
            "gained": float(drops[i]),
            "share": float(drops[i] / whole),
            "pace_before": share,
        },
        text=f"{curve.called(key)} stood at {level:.4g} for {i + 1 - first} reports and "
        f"gained {drops[i]:.3g} within {width} after report {at}.",
        next_step=f"The plateau was not the end: stop no trial before report {at + width} (asha's "
        "grace_period), and try --set warmup_steps=100 or another initialisation, which shorten it.",
    )


def _stays(y: Array, at: int, drop: float) -> bool:
    """Whether it stays down: what comes back was a spike's end."""
    return float(np.median(y[at:])) < float(y[at]) + 0.3 * drop


def _flat_since(plateau: Array, drop: float) -> int:
    """The first report of the plateau: from there on none is far from its end, beside the drop."""
    level = float(np.median(plateau[-LEAST:]))
    high = np.flatnonzero(np.abs(plateau - level) > 0.25 * drop)
    return int(high[-1]) + 1 if len(high) and high[-1] + LEAST < len(plateau) else 0
