"""Population based training (Jaderberg et al. 2017, arXiv:1711.09846)."""

from typing import Any

from ray.tune.schedulers import TrialScheduler

from sweeps.schedulers.parameter import EVERY, QUANTILE, Parameter, between, number
from sweeps.schedulers.scheduler import Scheduler


def make(**values: Any) -> TrialScheduler:
    """Ray's, within the sweep's space."""
    from sweeps.loop import copying

    return copying.build("pbt", **values)


def _factors(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(number(f) and f > 0 for f in value)


SCHEDULER = Scheduler(
    make=make,
    parameters={
        "perturbation_interval": EVERY,
        "quantile_fraction": QUANTILE,
        "resample_probability": Parameter(
            0.25, "chance that a value is drawn anew, not perturbed", between(0, 1)
        ),
        "perturbation_factors": Parameter(
            (1.2, 0.8), "a perturbed number is multiplied by one of these", ("two positive numbers", _factors)
        ),
    },
    copies=True,
    gathers=True,
)
