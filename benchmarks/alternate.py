"""Times of several ways to do the same, taken in turn, so that a busy moment of the machine meets all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

Way = TypeVar("Way")


def cpu_seconds(ways: Mapping[Way, Callable[[], None]], repeats: int) -> dict[Way, list[float]]:
    """CPU seconds of this process for each call of each way; a first one of each warms and is not counted."""
    took: dict[Way, list[float]] = {way: [] for way in ways}
    for repeat in range(repeats + 1):
        for way, run in ways.items():
            began = time.process_time()
            run()
            if repeat:
                took[way].append(time.process_time() - began)
    return took
