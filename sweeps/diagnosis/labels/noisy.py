"""The training loss jumps from report to report: the batch is small for the gradient's noise."""

from __future__ import annotations

import numpy as np

from sweeps.diagnosis.curve import Curve, known
from sweeps.diagnosis.finding import Finding, certainty
from sweeps.diagnosis.levels import fall, noise, reach_of, smooth

ABOUT = "noisy because the batch is small: the training loss jumps, and its gradient is mostly noise"
STOPS = False
HIDES: tuple[str, ...] = ("plateau", "capacity", "escape")  # nobody can tell, so loud

LOUD = 0.09
"""Noise of a report as a share of the whole fall."""
REPORTS = 8
LITTLE = 0.05


def find(curve: Curve) -> Finding | None:
    """Noise against fall; with the gradient noise scale, where it is reported, for or against the batch."""
    y = known(curve.train)
    if len(y) < REPORTS:
        return None
    deviation, whole = noise(y), fall(y)
    if whole < LITTLE * abs(float(y[0])):
        return None  # all is loud beside no fall
    share = deviation / whole
    if share < LOUD / 2:
        return None
    rest = y - smooth(y, max(2, reach_of(len(y))))
    turns = float(np.mean(np.diff(np.sign(np.diff(rest))) != 0))  # 2/3 for white noise
    if turns < 0.5:
        return None
    confidence = certainty(share, LOUD, 2.5 * LOUD)
    evidence = {"noise": deviation, "fall": whole, "share": share}
    scale, size = curve.noise_scale, curve.step_samples
    text = (
        f"{curve.called('train')} jumps by {deviation:.3g} from report to report, {share:.0%} of the "
        f"{whole:.3g} it fell by"
    )
    factor = 4
    if scale is not None:
        evidence["noise_scale"] = scale
        text += f"; the gradient noise scale is {scale:.3g} samples"
        if size is not None:
            evidence["step_samples"] = size
            text += f", a step has {size}"
            ratio = scale / size
            if ratio > 2:
                confidence = min(0.97, confidence + 0.15)
            elif ratio < 0.5:
                confidence = min(confidence, 0.3)  # the gradient is clear: it is not the batch
            factor = int(min(64, max(2, 2 ** round(np.log2(max(ratio, 1))))))
    return Finding(
        label="noisy",
        confidence=confidence,
        evidence=evidence,
        text=text + ".",
        next_step=f"Take more samples a step: {_more(curve, factor)}; or average the weights that are "
        "evaluated (--set ema_decay=0.99).",
    )


def _more(curve: Curve, factor: int) -> str:
    times = curve.config.get("accumulate", 1)
    grown = f"--set accumulate={int(times) * factor}" if isinstance(times, int) else "gradient accumulation"
    size = curve.config.get("batch_size")
    return f"--set batch_size={size * factor} or {grown}" if isinstance(size, int) else grown
