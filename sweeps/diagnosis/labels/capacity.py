"""Training and held-out loss have stopped together, far from the bottom: the model cannot do better."""

from __future__ import annotations

from sweeps.diagnosis import knobs
from sweeps.diagnosis.curve import Curve, known
from sweeps.diagnosis.finding import Finding, certainty
from sweeps.diagnosis.labels.plateau import LEAST, flat
from sweeps.diagnosis.levels import end, fall

ABOUT = "capacity too small: training and held-out loss stop at the same high level"
STOPS = False
HIDES = ("plateau",)

TOGETHER, TOGETHER_LEVEL = 0.15, 0.08
"""Gap between the two levels, as a share of the training loss's fall, and of its level: one is enough."""
HIGH = 0.2
"""Share of the first loss that is left."""


def find(curve: Curve) -> Finding | None:
    """Both curves flat, no gap between them, and much left to win."""
    _, train, val = curve.both()
    if len(train) < LEAST + 1:
        return None
    gap = end(val) - end(train)
    share = abs(gap) / max(fall(train), 1e-12)
    close = certainty(share, TOGETHER, 0.05)
    if train.min() > 0:  # the first report may have come after most of the fall
        close = max(close, certainty(abs(gap) / max(end(train), 1e-12), TOGETHER_LEVEL, 0.02))
    if close < 0.5:
        return None
    a = flat(train, curve.floor)
    b = flat(val, curve.val_floor, fall(train) / 2) if a is not None else None
    if a is None or b is None or (a[2] is not None and a[2] < HIGH):
        return None
    confidence = min(close, certainty(min(a[1], b[1]), 0.45, 0.8))
    if a[2] is not None:
        confidence = min(confidence, certainty(a[2], HIGH, 0.4))
    if len(train) < 10:
        confidence = min(confidence, 0.75)
    norm = known(curve.grad_norm)
    evidence = {
        "train_level": end(train), "val_level": end(val), "gap": gap, "gap_share": share,
        "flat_reports": float(len(train) - a[0]),
    }  # fmt: skip
    evidence |= {"left": a[2]} if a[2] is not None else {}
    evidence |= {"grad_norm": float(norm[-1])} if len(norm) else {}
    larger = knobs.larger(curve.config, ("width", "hidden", "embedding", "channels", "max_depth"), 2)
    deeper = knobs.larger(curve.config, ("depth", "layers"), 2)
    steps = knobs.either(larger, deeper) or "a wider or deeper model"
    return Finding(
        label="capacity",
        confidence=confidence,
        evidence=evidence,
        text=f"{curve.called('train')} and {curve.called('val')} stand together at {end(train):.4g} and "
        f"{end(val):.4g} for {len(train) - a[0]} reports: no gap, and nothing more is learned.",
        next_step=f"The model is too small for the data, or is regularised too much: {steps}.",
    )
