"""The held-out loss jumps, and the training loss does not: each evaluation draws other random numbers.

Weights that jump do the same to a curve, since the training loss is a mean over many steps. The norm of the
gradient, which jumps with them, tells the two apart where it is reported.
"""

from __future__ import annotations

import numpy as np

from sweeps.diagnosis.curve import Curve
from sweeps.diagnosis.finding import Finding, certainty
from sweeps.diagnosis.levels import end, fall, noise

ABOUT = "validation noise, as of diffusion losses: the held-out loss is another draw at each evaluation"
STOPS = False
HIDES: tuple[str, ...] = ("plateau", "capacity")  # nobody can tell, so loud

LOUD = 0.06
"""Noise of an evaluation as a share of the held-out loss's fall."""
MORE = 3.0
"""Times the training loss's noise, each as a share of its fall."""
REPORTS = 10
UNTOLD = 0.75
"""Largest confidence where no norm of the gradient is reported, or too few are to go by."""
CERTAIN = 20
LITTLE, OF_ALL = 0.05, 0.03
"""Least share of the first loss that training won, and of the held-out loss above 0 that its noise has."""


def find(curve: Curve) -> Finding | None:
    """Noise of the one against noise of the other."""
    if "val" in curve.turned:
        return None  # an accuracy has noise of its own: it is counted in whole samples
    _, train, val = curve.both()
    if len(val) < REPORTS:
        return None
    deviation, calm = noise(val), noise(train)
    trained = fall(train)
    whole = max(fall(val), trained / 2)  # its first value is noise as well
    if trained < LITTLE * abs(float(train[0])):
        return None  # all is loud beside no fall
    share, ratio = deviation / whole, (deviation / whole) / max(calm / trained, 1e-9)
    if share < LOUD / 2 or ratio < MORE / 2 or (val.min() > 0 and deviation < OF_ALL * end(val)):
        return None
    together = _correlation(np.diff(train, 2), np.diff(val, 2))
    confidence = min(certainty(share, LOUD, 2.5 * LOUD), certainty(ratio, MORE, 3 * MORE))
    if together > 0.5 + 1 / len(val) ** 0.5:
        confidence = min(confidence, 0.3)  # both jump at once: the weights do
    jumps = _with_the_gradient(curve)
    if jumps is None or len(val) < CERTAIN:
        confidence = min(confidence, UNTOLD)
    elif jumps > 0.35 + 1 / len(val) ** 0.5:
        confidence = min(confidence, 0.3)
    repeats = int(np.ceil((deviation / (0.01 * whole)) ** 2))
    return Finding(
        label="validation_noise",
        confidence=confidence,
        evidence={
            "noise": deviation,
            "train_noise": calm,
            "share": share,
            "ratio": ratio,
            "correlation": together,
            "evaluations_for_1_percent": repeats,
        },
        text=f"{curve.called('val')} jumps by {deviation:.3g} from report to report, {share:.0%} of its "
        f"fall, and {curve.called('train')} by {calm:.3g}.",
        next_step="Evaluate one checkpoint twice. If the values differ, draw the evaluation's noise and "
        "times once and use them each time (`ranks.mean` seeds them; stratified times help): a mean over "
        f"evaluations would need {repeats} of them for 1 % of the fall. If not, the weights jump: --set "
        "ema_decay=0.99, or a lower learning rate.",
    )


def _with_the_gradient(curve: Curve) -> float | None:
    """Correlation of the held-out loss's jumps with the gradient norm's; None: it is not reported."""
    if curve.grad_norm is None or curve.val is None:
        return None
    there = np.isfinite(curve.val) & np.isfinite(curve.grad_norm) & (curve.grad_norm > 0)
    if there.sum() < REPORTS:
        return None
    norms = np.log(curve.grad_norm[there])
    return _correlation(np.diff(norms, 2), np.diff(curve.val[there], 2))


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    if len(a) < 3 or not a.std() or not b.std():
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])
