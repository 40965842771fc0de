"""HyperBand as in BOHB (Falkner et al. 2018, arXiv:1807.01774): brackets fill as the search suggests."""

from ray.tune.schedulers import HyperBandForBOHB

from sweeps.schedulers.parameter import ETA, MAX_T
from sweeps.schedulers.scheduler import Scheduler

SCHEDULER = Scheduler(
    make=HyperBandForBOHB, parameters={"max_t": MAX_T, "reduction_factor": ETA}, stops=True
)
