"""Who gets the next trial of a race: successive elimination, asynchronous, the same at any budget.

All get a trial in turn; who is hardly the best any more is out (its probability to be the best among the
candidates is below `OUT`). The default configuration takes its turns to the end, since the gain over it is
to be stated; it neither wins nor drops out. The rule knows no budget, so that a race goes on with a greater
one as if it had had it from the start. Trials under way count as given; an idle worker waits only while a
configuration has two of them.

Even-Dar, Mannor and Mansour (2006) eliminate by bounds that hold for any bounded noise; with three trials a
configuration these never part anybody, so that the criterion here is the posterior of `certify.posterior`.
"""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.certify.arm import Arm, noise
from sweeps.certify.posterior import posterior

OUT = 0.05
"""A candidate that is the best with a smaller probability gets no further trial."""
KNOWN = 3
"""Degrees of freedom of the noise before anybody is out."""
AT_ONCE = 2
"""Trials of one configuration under way: more would be given before anything is known."""


def still_in(candidates: Sequence[Arm]) -> list[Arm]:
    """The candidates that may yet be the best, the best mean first."""
    fit = [arm for arm in candidates if not arm.unreliable]
    seen = [arm for arm in fit if arm.losses]
    order = sorted(seen, key=lambda arm: arm.mean)
    variance, degrees = noise(seen)
    if degrees < KNOWN or variance == 0.0:
        return order + [arm for arm in fit if not arm.losses]
    chances = dict(zip([arm.name for arm in seen], posterior(seen).best, strict=True))
    kept = [arm for arm in order if arm is order[0] or chances[arm.name] >= OUT]
    return kept + [arm for arm in fit if not arm.losses]


def decided(candidates: Sequence[Arm], default: Arm | None) -> bool:
    """Whether a further trial can say nothing new: everybody's repeats agree to the last digit."""
    arms = [arm for arm in (*candidates, default) if arm is not None and not arm.unreliable]
    if not arms:
        return True
    return all(len(arm.losses) >= 2 and arm.squares == 0.0 for arm in arms)


def next_arm(candidates: Sequence[Arm], default: Arm | None) -> Arm | None:
    """Who gets the next trial; None: nobody, or nobody before a trial under way has ended.

    The one with the fewest; of those with equally many the best so far, then the default, then the others.
    """
    if decided(candidates, default):
        return None
    order = still_in(candidates)
    if default is not None and not default.unreliable:
        order.insert(1, default)
    chosen = min(order, key=lambda arm: arm.trials, default=None)
    return None if chosen is None or chosen.running >= AT_ONCE else chosen


def winner(candidates: Sequence[Arm]) -> Arm | None:
    """The candidate that is chosen: the least expected loss of those still in; None without any."""
    seen = [arm for arm in still_in(candidates) if arm.losses]
    if not seen:
        return None
    expected = posterior(seen).means
    return seen[int(expected.argmin())]
