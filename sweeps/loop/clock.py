"""What is done at every turn of Ray's loop: the console's line, the nodes' bill, the end of time or money,
what other terminals ask."""

import time
from collections.abc import Callable

from sweeps.console import Console
from sweeps.loop.by_hand import ByHand
from sweeps.loop.conductor import Conductor
from sweeps.loop.meter import Meter


def clock(
    conductor: Conductor,
    console: Console,
    meter: Meter | None,
    by_hand: ByHand,
    left_s: float | None,
    max_cost: float | None,
) -> Callable[[], None]:
    """A function to be called at every turn.

    Args:
        conductor: stopped when an end is reached, for `time_budget` or `max_cost`.
        console: redrawn.
        meter: of the nodes' bill, if they have prices.
        by_hand: hears who wants something stopped.
        left_s: seconds that the sweep still has; None: no such end.
        max_cost: dollars of the whole sweep; None: no such end.
    """
    end = time.monotonic() + left_s if left_s is not None else None

    def turn() -> None:
        now = time.monotonic()
        if end is not None and now >= end:
            conductor.stop("time_budget")
        if meter is not None and meter.look(now) and max_cost is not None and meter.spent() >= max_cost:
            conductor.stop("max_cost")
        by_hand.look()
        console.tick(now, conductor)

    return turn
