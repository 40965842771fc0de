"""The loss falls as steadily at the end as at the start, or hardly moves: the learning rate is too low."""

from __future__ import annotations

from sweeps.diagnosis import knobs
from sweeps.diagnosis.curve import Curve, known
from sweeps.diagnosis.finding import Finding, certainty
from sweeps.diagnosis.levels import Array, end, noise, smooth, trend

ABOUT = "learning rate too low, or training too short: the loss still falls as fast as at the start"
STOPS = False
HIDES = ("plateau", "capacity")

STEADY = 0.55
"""The second half's fall as a share of the first half's. A loss that goes down exponentially to nothing has
that where 2/3 of it is gone."""
STILL, CALM = 0.02, 0.006
"""Shares of the loss: what moves and jumps by less has not moved. A rate that is too high makes it jump."""
FAR = 0.8
"""Share of the way down after which a loss is no longer far from its end."""


def find(curve: Curve) -> Finding | None:
    """Second half against first half; or no movement at all."""
    y = _after_warm_up(curve)
    n = len(y)
    if n < 5:
        return None
    level, deviation = abs(float(y[0])), noise(y)
    line = trend(y)
    fallen, certain = -line.change, line.error
    if abs(line.change) < STILL * level and deviation < CALM * level:
        return _still(curve, y, fallen)
    middle = n // 2
    smoothed = smooth(y, 1 if n >= 10 else 0)
    early, late = float(smoothed[0] - smoothed[middle]), float(smoothed[middle] - smoothed[-1])
    second = trend(y[middle:])
    if early <= 0 or late < 4 * deviation / max(1.0, (n / 8) ** 0.5) or -second.change < 3 * second.error:
        return None
    ratio = late / early
    bottom = curve.floor if curve.floor is not None else 0.0 if y.min() > 0 else None
    share = None if bottom is None else (float(y[0]) - end(y)) / max(float(y[0]) - bottom, 1e-12)
    if share is not None and share > FAR:
        return None
    confidence = min(certainty(ratio, STEADY, 0.85), certainty(share, FAR, 0.5) if share is not None else 0.8)
    if n < 8:
        confidence = min(confidence, 0.7)  # few reports of any training look like this
    key = curve.main_key
    evidence = {"first_half": early, "second_half": late, "ratio": ratio, "uncertainty": certain}
    if share is not None:
        evidence["share_of_the_way"] = share
    return _finding(
        curve,
        confidence,
        evidence,
        f"{curve.called(key)} gained {early:.3g} in the first half and still {late:.3g} in the second, "
        f"from {curve.real(key, y[0]):.4g} to {curve.real(key, y[-1]):.4g}",
    )


def _after_warm_up(curve: Curve) -> Array:
    """The loss from where the learning rate has risen to half of its peak: a warm-up is slow on purpose."""
    lr = curve.lr
    y: Array | None = getattr(curve, curve.main_key)
    if y is not None and lr is not None and known(lr).size == len(y):
        y = y[int((lr >= 0.5 * lr.max()).argmax()) :]
    return known(y)


def _still(curve: Curve, y: Array, fallen: float) -> Finding:
    """It does not move. From the curve alone that may as well be a network that no gradient reaches."""
    lr, good = curve.peak_lr, curve.good_lrs
    confidence = 0.6
    if lr is not None and good is not None:
        confidence = 0.85 if lr < good[0] else 0.3
    norm = known(curve.grad_norm)
    if len(norm) and norm[-1] < 1e-4 * max(abs(float(y[0])), 1e-12):
        confidence = min(confidence, 0.3)  # the gradient has died
    key = curve.main_key
    first, last = curve.real(key, y[0]), curve.real(key, y[-1])
    return _finding(
        curve,
        confidence,
        {"gained": fallen, "first": first, "share": fallen / max(abs(first), 1e-12)},
        f"{curve.called(key)} has hardly moved in {len(y)} reports: from {first:.4g} to {last:.4g}",
    )


def _finding(curve: Curve, confidence: float, evidence: dict[str, float], text: str) -> Finding:
    lr = curve.peak_lr
    if lr is not None:
        text, evidence = f"{text} (lr {lr:.3g})", evidence | {"lr": lr}
    longer = knobs.larger(curve.config, ("epochs",), 3)
    step = knobs.either(knobs.lr(lr, 10), longer and f"train longer: {longer}")
    if curve.good_lrs is not None and lr is not None and lr < curve.good_lrs[0]:
        step = f"search {knobs.below(curve.good_lrs[0], curve.good_lrs[1] * 3)}; the better third lies there"
    return Finding(
        label="lr_too_low", confidence=confidence, evidence=evidence, text=text + ".",
        next_step=f"The learning rate is too low, or the training too short: {step}.",
    )  # fmt: skip
