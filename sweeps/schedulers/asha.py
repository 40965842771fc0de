"""Asynchronous successive halving (Li et al. 2020, arXiv:1810.05934): a rung judges by who came there yet."""

from ray.tune.schedulers import AsyncHyperBandScheduler

from sweeps.schedulers.parameter import ETA, GRACE, MAX_T, Parameter, whole
from sweeps.schedulers.scheduler import Scheduler

SCHEDULER = Scheduler(
    make=AsyncHyperBandScheduler,
    parameters={
        "max_t": MAX_T,
        "grace_period": GRACE,
        "reduction_factor": ETA,
        "brackets": Parameter(1, "brackets, each with a later first rung than the one before", whole(1)),
    },
    stops=True,
)
