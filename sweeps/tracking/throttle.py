"""How many runs may be made in a minute."""

import os
import time
from collections import deque
from collections.abc import Callable

VARIABLE = "STARLING_WANDB_REQUESTS_PER_MINUTE"
FREE = 50
"""Requests that W&B allows to accounts that pay nothing; it allows 200 to others."""

REQUESTS = 4
"""That W&B's client (0.31) makes for a new run: its resume status, two upserts, the list of its files."""


class Throttle:
    """At most so many in any 60 seconds, the first of them at once.

    Args:
        per_minute: how many.
        clock: seconds.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._spent: deque[float] = deque(maxlen=per_minute)
        self._clock = clock

    def wait_s(self) -> float:
        """How long until the next is allowed; 0: now."""
        if len(self._spent) < (self._spent.maxlen or 1):
            return 0.0
        return max(0.0, self._spent[0] + 60.0 - self._clock())

    def spend(self) -> None:
        """One is made now."""
        self._spent.append(self._clock())


def runs_per_minute() -> int:
    """For as many requests as the environment says, else W&B allows to everybody; at least 1.

    Raises:
        ValueError: it says no whole number above 0.
    """
    given = os.environ.get(VARIABLE, str(FREE))
    if not given.isdigit() or int(given) < 1:
        raise ValueError(f"{VARIABLE} is {given!r}; give a whole number of requests, 1 or more.")
    return max(1, int(given) // REQUESTS)
