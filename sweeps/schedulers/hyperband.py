"""HyperBand (Li et al. 2018, arXiv:1603.06560): halving in brackets whose trials wait for one another."""

from ray.tune.schedulers import HyperBandScheduler

from sweeps.schedulers.parameter import ETA, MAX_T
from sweeps.schedulers.scheduler import Scheduler

SCHEDULER = Scheduler(
    make=HyperBandScheduler,
    parameters={"max_t": MAX_T, "reduction_factor": ETA},
    stops=True,
    gathers=True,
)
