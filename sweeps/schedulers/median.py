"""The median rule (Golovin et al. 2017, Vizier): what is below the median of others' means ends."""

from ray.tune.schedulers import MedianStoppingRule

from sweeps.schedulers.parameter import Parameter, whole
from sweeps.schedulers.scheduler import Scheduler

SCHEDULER = Scheduler(
    make=MedianStoppingRule,
    parameters={
        "grace_period": Parameter(1, "no trial is stopped before this many reports", whole(0)),
        "min_samples_required": Parameter(
            3, "trials that must have come as far before one is stopped", whole(1)
        ),
        "min_time_slice": Parameter(0, "reports a trial makes before it yields to waiting ones", whole(0)),
    },
    stops=True,
)
