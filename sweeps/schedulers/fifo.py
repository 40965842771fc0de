"""Every trial to its end, in the order of its suggestion."""

from typing import Any

from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from sweeps.schedulers.scheduler import Scheduler


def make(**_: Any) -> TrialScheduler:
    """Ray's; it asks for nothing."""
    return FIFOScheduler()


SCHEDULER = Scheduler(make=make, parameters={})
