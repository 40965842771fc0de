"""The held-out loss fell and now rises, while the training loss goes on falling."""

from __future__ import annotations

import numpy as np

from sweeps.diagnosis import knobs
from sweeps.diagnosis.curve import Curve, known
from sweeps.diagnosis.finding import Finding, certainty
from sweeps.diagnosis.levels import Array, noise, reach_of, smooth

ABOUT = "overfitting: the held-out loss falls, then rises, and the training loss goes on falling"
STOPS = True
HIDES = ("plateau", "capacity", "lr_too_low")

CERTAIN = 4.0
"""Standard errors that the rise must have."""
MUCH = 0.05
"""Share of the held-out loss's fall that it must have risen by again."""
STILL_BETTER = 0.6
"""Largest confidence where the sweep's metric still improves: a loss may rise by overconfidence alone."""


def find(curve: Curve) -> Finding | None:
    """The end of the held-out loss against its lowest smoothed level."""
    at, train, val = curve.both()
    n = len(val)
    if n < 5:
        return None
    reach = reach_of(n)
    smoothed = smooth(val, reach)
    k = int(smoothed.argmin())
    after = n - 1 - k
    if after < max(2, n // 20):
        return None
    last = min(max(2, after // 3), 20)
    rise = float(val[-last:].mean() - smoothed[k])
    deviation = max(noise(val), 1e-9 * float(np.abs(val).max()))
    error = deviation * (1 / last + 1 / (2 * reach + 1)) ** 0.5
    scale = max(float(smoothed[0] - smoothed[k]), 0.05 * abs(float(smoothed[k])))
    # The lowest of many noisy values lies below the true lowest: counted as one more standard error.
    if rise < CERTAIN * error + deviation or rise < MUCH * scale or not _rising(val[k:]):
        return None
    going_on = float(train[max(0, k - 1) : k + 2].mean() - train[-last:].mean())
    if going_on < 2 * noise(train) * (1 / last + 1 / 3) ** 0.5 or going_on <= 0:
        return None
    confidence = min(certainty(rise / error, CERTAIN, 12), certainty(rise / scale, MUCH, 0.15))
    best, now = curve.real("val", smoothed[k]), curve.real("val", val[-last:].mean())
    evidence = {
        "best": best, "at_iteration": float(at[k]), "last": now, "lost": rise,
        "standard_errors": rise / error, "train_fell_by": going_on,
    }  # fmt: skip
    since = _metric_since(curve, int(at[k]))
    more = ""
    if since is not None and since > 0:
        confidence = min(confidence, STILL_BETTER)
        evidence["metric_gained_since"] = since
        more = f"; {curve.called('metric')} has still gained {since:.3g}"
    name, first = curve.called("val"), int(at[k])
    return Finding(
        label="overfit",
        confidence=confidence,
        evidence=evidence,
        text=f"{name} went from {best:.4g} at report {first} to {now:.4g}, while "
        f"{curve.called('train')} fell by {going_on:.3g}{more}.",
        next_step=f"It overfits after report {first}: {_steps(curve, first)}.",
    )


def _rising(since: Array) -> bool:
    """Whether the last third lies above the first third: a single wave does not."""
    third = max(1, len(since) // 3)
    return float(since[-third:].mean()) > float(since[:third].mean())


def _metric_since(curve: Curve, iteration: int) -> float | None:
    """By how much the sweep's metric has improved since then; 0 where not by more than its noise."""
    if curve.metric is None or curve.called("metric") == curve.called("val"):
        return None
    there = np.isfinite(curve.metric)
    before = known(curve.metric[there & (curve.iteration <= iteration)])
    after = known(curve.metric[there & (curve.iteration > iteration)])
    if len(before) < 2 or len(after) < 2:
        return None
    few = min(3, len(before), len(after))
    gain = float(before[-few:].mean() - after[-few:].mean())
    return gain if gain > 2 * noise(known(curve.metric)) else 0.0


def _steps(curve: Curve, first: int) -> str:
    config = curve.config
    decay = knobs.larger(config, ("weight_decay",), 10)
    if decay is None and "weight_decay" in config:
        decay = "--set weight_decay=1e-3"
    dropout = None
    if isinstance(config.get("dropout"), int | float):
        dropout = f"--set dropout={min(0.5, config['dropout'] + 0.2):g}"
    return knobs.either(
        decay, dropout, f"--max-iterations {first}", None if decay else "more data or a smaller model"
    )
