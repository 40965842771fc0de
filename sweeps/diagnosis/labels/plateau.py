"""Nothing has been won for half of the training."""

from __future__ import annotations

from sweeps.diagnosis import knobs
from sweeps.diagnosis.curve import Curve
from sweeps.diagnosis.finding import Finding, certainty
from sweeps.diagnosis.levels import Array, end, fall, flat_from, noise

ABOUT = "plateau: the loss fell, and has then not moved for half of the training or more"
STOPS = False
HIDES: tuple[str, ...] = ()

LEAST = 4
"""Reports that a plateau has."""
HALF = 0.5
LEFT = 0.08
"""Share of the first loss that is left where a training has simply got to its end."""


def find(curve: Curve) -> Finding | None:
    """From where on what counts is flat."""
    y = curve.judged
    found = flat(y, curve.val_floor if curve.judged_key == "val" else curve.floor)
    if found is None:
        return None
    start, share, left = found
    key = curve.judged_key
    at, level = curve.at(start, key), curve.real(key, end(y))
    evidence = {
        "flat_from": float(at), "flat_reports": float(len(y) - start), "share_flat": share,
        "level": level, "noise": noise(y),
    }  # fmt: skip
    confidence = certainty(share, HALF - 0.05, 0.8)
    if left is not None:
        evidence["left"] = left
        confidence = min(confidence, certainty(left, LEFT + 0.02, 0.3))
    if len(y) < 10:
        confidence = min(confidence, 0.75)
    schedule = "--set schedule=cosine" if curve.config.get("schedule") == "constant" else None
    steps = knobs.either(
        schedule or knobs.lr(curve.peak_lr, 0.3) + " for the rest of the training", f"--max-iterations {at}"
    )
    return Finding(
        label="plateau",
        confidence=confidence,
        evidence=evidence,
        text=f"{curve.called(key)} stands at {level:.4g} since report {at}: the last {len(y) - start} of "
        f"{len(y)} reports won nothing.",
        next_step=f"Lower the learning rate there, or save the time: {steps}.",
    )


def flat(y: Array, floor: float | None, least: float = 0.0) -> tuple[int, float, float | None] | None:
    """Where a plateau begins, its share of the reports, and what is left of the loss; None: there is none.

    What is left is counted from the lowest loss known, 0 for a loss above 0; None: nobody knows.

    Args:
        y: the curve.
        floor: the lowest loss of the sweep's trials; None: not known.
        least: what it fell by at least, where most of the fall came before the first report.
    """
    n = len(y)
    if n < LEAST + 1:
        return None
    whole = max(fall(y), least)
    if whole < 0.03 * abs(float(y[0])) or whole < 4 * noise(y):  # it never fell: another label's
        return None
    start = flat_from(y, whole)
    if start is None or n - start < LEAST or (n - start) / n < HALF:
        return None
    bottom = min(floor, float(y.min())) if floor is not None else 0.0
    left = (end(y) - bottom) / max(float(y[0]) - bottom, 1e-12) if y.min() > 0 or floor is not None else None
    if left is not None and left < LEFT:
        return None
    return start, (n - start) / n, left
