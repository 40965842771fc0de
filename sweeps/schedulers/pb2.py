"""Population based bandits (Parker-Holder et al. 2020, arXiv:2002.02518): PBT whose values a GP proposes."""

from typing import Any

from ray.tune.schedulers import TrialScheduler

from sweeps.schedulers.parameter import EVERY, QUANTILE
from sweeps.schedulers.scheduler import Scheduler


def make(**values: Any) -> TrialScheduler:
    """Ray's, within the sweep's space."""
    from sweeps.loop import copying  # Ray's PB2 imports scikit-learn, a second that others need not wait

    return copying.build("pb2", **values)


SCHEDULER = Scheduler(
    make=make,
    parameters={"perturbation_interval": EVERY, "quantile_fraction": QUANTILE},
    copies=True,
    gathers=True,
)
