"""Confidence intervals for what was chosen because it looked best.

An ordinary t interval takes no account of the choice: of K equally good configurations the one with the
lowest mean is chosen, and its mean is too low. So the side that the choice pushes to is made safe for all
candidates at once (Dunnett 1955: comparisons of several treatments with a control): with probability 1 -
alpha/2 no candidate's mean lies further on its good side of the truth than the margin, whichever is chosen.
The other side needs nothing: the chosen mean is at least as good as that of the truly best, whose own
margin there is an ordinary one.

Only trials of the race count, never the value for which the sweep put a configuration forward.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from sweeps.certify.arm import Arm, noise

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(48)
_SHARES = _WEIGHTS / _WEIGHTS.sum()
_QUANTILES = (np.arange(96) + 0.5) / 96


def of_loss(chosen: Arm, candidates: Sequence[Arm], confidence: float) -> tuple[float, float] | None:
    """Of the chosen candidate's true loss; None while the noise is unknown.

    Args:
        candidates: those it was chosen from, itself among them, each with a loss; all have the same noise.
    """
    variance, degrees = noise(candidates)
    if not degrees or variance == 0.0:
        return None
    flattered, other = _margins(chosen, candidates, None, degrees, confidence)
    scale = math.sqrt(variance)
    return chosen.mean - other * scale, chosen.mean + flattered * scale


def of_difference(
    chosen: Arm, candidates: Sequence[Arm], default: Arm, confidence: float
) -> tuple[float, float] | None:
    """Of the chosen candidate's true loss less the default configuration's; None while the noise is unknown.

    The default may well be noisier than what was found: it has a variance of its own, and the degrees of
    freedom are Welch's (1947). Where either side's repeats agree to the last digit, or there are none, the
    noise of both is taken to be one.
    """
    variance, degrees = noise(candidates)
    own, own_degrees = noise([default])
    control, freedom = float(len(default.losses)), float(degrees)
    if variance == 0.0 or own == 0.0:
        variance, pooled_degrees = noise([*candidates, default])
        freedom = float(pooled_degrees)
        if variance == 0.0:
            return None
    else:
        a, b = variance / len(chosen.losses), own / control
        freedom = (a + b) ** 2 / (a**2 / degrees + b**2 / own_degrees)
        control *= variance / own  # as many trials of a candidate's noise tell as much
    flattered, other = _margins(chosen, candidates, control, freedom, confidence)
    estimate, scale = chosen.mean - default.mean, math.sqrt(variance)
    return estimate - other * scale, estimate + flattered * scale


def _margins(
    chosen: Arm, candidates: Sequence[Arm], control: float | None, degrees: float, confidence: float
) -> tuple[float, float]:
    """(on the side that choosing flatters, on the other), in standard deviations of one trial."""
    tail = (1 - confidence) / 2
    error = math.sqrt(1 / len(chosen.losses) + (1 / control if control is not None else 0.0))
    other = float(stats.t.ppf(1 - tail, degrees)) * error
    trials = [len(arm.losses) for arm in candidates]
    return error * critical(trials, control, degrees, tail), other


def critical(trials: Sequence[int], control: float | None, degrees: float, tail: float) -> float:
    """c such that P(max over candidates of T[a] > c) = tail, T[a] Student's t, all with one noise estimate.

    With a control its mean is in every T[a], so that they hang together. The integral is over the control's
    mean (Gauss and Hermite) and over the noise estimate (at its quantiles' midpoints).

    Args:
        trials: of each candidate.
        control: trials of the control, not necessarily a whole number; None: there is none.
        degrees: of freedom of the noise estimate.
    """
    if len(trials) == 1:
        return float(stats.t.ppf(1 - tail, degrees))
    n = np.array(trials, dtype=float)
    s = np.sqrt(stats.chi2.ppf(_QUANTILES, degrees) / degrees)

    def beyond(c: float) -> float:
        if control is None:
            inside = special.ndtr(c * s) ** len(n)
            return float(1 - inside.mean() - tail)
        within = _all_below(c * s, n, control)
        return float(1 - within.mean() - tail)

    low = float(stats.t.ppf(1 - tail, degrees))
    high = float(stats.t.ppf(1 - tail / (2 * len(n)), degrees))
    return float(optimize.brentq(beyond, 0.5 * low, 2 * high, xtol=1e-4))


def _all_below(limit: NDArray[np.float64], n: NDArray[np.float64], control: float) -> NDArray[np.float64]:
    """P(no candidate's difference to the control exceeds `limit` of its standard errors), for each limit."""
    errors = np.sqrt(1 / n + 1 / control)
    reach = (limit[:, None, None] * errors + _NODES[:, None] / math.sqrt(control)) * np.sqrt(n)
    return special.ndtr(reach).prod(axis=2) @ _SHARES
