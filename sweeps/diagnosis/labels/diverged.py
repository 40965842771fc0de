"""The loss has blown up, or settled above where it began: the learning rate is too high."""

from __future__ import annotations

import numpy as np

from sweeps.diagnosis import knobs
from sweeps.diagnosis.curve import Curve, has, known
from sweeps.diagnosis.finding import Finding, certainty
from sweeps.diagnosis.levels import NORMAL, Array, end, noise, smooth, trend

ABOUT = "learning rate too high: the loss is not finite, blows up, or comes back to where it began"
STOPS = True
HIDES = (
    "lr_too_low", "overfit", "plateau", "capacity", "noisy", "validation_noise", "escape",
)  # fmt: skip

BACK = 0.8
"""Share of what had been won that is lost again."""
GUESSED = 8
"""Reports after which a network that guesses is taken for dead; before, it may be slow."""
SURE = 5.0
"""Times the noise that a loss must have risen by."""


def find(curve: Curve) -> Finding | None:
    """A value that is not finite; a training loss back at its start or above; or one dead since its start."""
    if curve.broken is not None:
        name, value, iteration = curve.broken
        return _finding(curve, 0.98, {"iteration": iteration}, f"{name} is {value:g} at report {iteration}")
    y = curve.main
    return _blown(curve, y) or _dead(curve) if len(y) >= 3 else None


def _blown(curve: Curve, y: Array) -> Finding | None:
    low = smooth(y, 1 if len(y) >= 12 else 0)[:-1]
    lowest, first = float(low.min()), float(y[0])
    at = int(low.argmin())
    last = end(y) if len(y) >= 6 else float(y[-1])
    # Both a median and the last value, so that neither a spike nor the way back from one counts.
    last = min(last, float(y[-1]))
    before, after = y[: at + 1], y[at + 1 :]  # the jump between them is no noise
    parts = [noise(before)] if len(before) >= 5 else []
    parts += [_calm(after)] if len(after) >= 3 else []
    won, lost, deviation = first - lowest, last - lowest, min(parts, default=0.0)
    if won < 0.02 * abs(first) + SURE * deviation:  # it had hardly fallen: it must have risen a lot
        scale = max(0.1 * abs(first), float(np.ptp(y[: at + 1])) if at else 0.0)
        since = y[at:]
        steady = float(np.mean(np.diff(since) > 0)) if len(since) > 1 else 0.0
        line = trend(since)
        rising = steady >= 0.75 and line.change >= SURE * line.error
        jumped = len(since) >= 6 and float(since[2:].min()) > lowest + 0.5 * lost
        if len(since) < 4 or lost < max(scale, SURE * deviation) or not (rising or jumped):
            return None
        confidence = certainty(lost / max(scale, 1e-12), 1.0, 4.0)
        share = lost / max(abs(won), scale)
    else:
        share = lost / won
        if share < BACK or lost < SURE * deviation or len(y) - 1 - at < 2:
            return None
        confidence = certainty(share, BACK, 1.2) if parts else 0.6
    if not has(curve.train):
        confidence = min(confidence, 0.9)  # a held-out loss may have risen by overfitting
    key = curve.main_key
    best, now, began = (curve.real(key, value) for value in (lowest, last, first))
    where = curve.at(at, key)
    return _finding(
        curve,
        max(0.5, confidence),
        {"best": best, "at_iteration": where, "last": now, "first": began, "share_lost": share},
        f"{curve.called(key)} went from {best:.4g} at report {where} to {now:.4g}; it began at {began:.4g}",
    )


def _calm(part: Array) -> float:
    """Noise of a stretch; of three reports from how far they lie apart."""
    return noise(part) if len(part) >= 4 else float(np.median(np.abs(np.diff(part)))) / NORMAL / 2**0.5


def _dead(curve: Curve) -> Finding | None:
    """First reports above the rest, then a classifier that guesses: what a blow-up in the first steps leaves.

    From the loss alone a training that is done after its first report looks the same.
    """
    _, train, val = curve.both()
    if len(train) < 4 or not _guesses(curve):
        return None
    level, high = float(np.median(train[len(train) // 2 :])), float(max(*train[:3], *val[:3]))
    if high < 1.15 * level:
        return None
    metric = curve.real("metric", end(known(curve.metric)))
    above = curve.peak_lr is not None and curve.good_lrs is not None and curve.peak_lr > curve.good_lrs[1]
    return _finding(
        curve,
        0.95 if above else 0.82 if len(train) >= GUESSED else 0.7,
        {"highest": high, "level": level, "metric": metric},
        f"the loss was {high:.4g} in the first reports, and {curve.called('train')} stands at {level:.4g}, "
        f"which is no better than guessing, as {curve.called('metric')} {metric:.3g} says",
    )


def _guesses(curve: Curve) -> bool:
    """Whether accuracy and loss are those of a guess by the classes' shares: exp(-loss) for equal ones."""
    losses, metric = known(curve.val), known(curve.metric)
    if "metric" not in curve.turned or "val" in curve.turned or len(losses) < 4 or len(metric) < 4:
        return False
    share = -end(metric)
    return 0 <= share < 0.55 and share < 1.3 * float(np.exp(-end(losses)))


def _finding(curve: Curve, confidence: float, evidence: dict[str, float], text: str) -> Finding:
    lr = curve.peak_lr
    if lr is not None:
        text, evidence = f"{text} (lr {lr:.3g})", evidence | {"lr": lr}
    clip = "--set clip=1" if "clip" in curve.config and curve.config["clip"] is None else None
    steps = knobs.either(knobs.lr(lr, 0.1), clip)
    if curve.good_lrs is not None and lr is not None and lr > curve.good_lrs[1]:
        steps = f"search {knobs.below(curve.good_lrs[0] / 3, curve.good_lrs[1])}; the better third lies there"
    return Finding(
        label="diverged", confidence=confidence, evidence=evidence, text=text + ".",
        next_step=f"The learning rate is too high: {steps}. `starling lr-range` shows where it begins.",
    )  # fmt: skip
