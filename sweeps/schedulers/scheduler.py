"""What a file of this folder defines: one `SCHEDULER`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ray.tune.schedulers import TrialScheduler

from sweeps.schedulers.parameter import Parameter


@dataclass(frozen=True, kw_only=True, slots=True)
class Scheduler:
    """How one scheduler is set, what it does to trials, and how Ray's own is made."""

    make: Callable[..., TrialScheduler]
    """Called with time_attr, metric, mode and its parameters; with `space` and `mutable` too if it copies."""

    parameters: Mapping[str, Parameter]

    stops: bool = False
    """Ends trials before their time."""

    copies: bool = False
    """Copies one trial's weights and configuration over another's."""

    gathers: bool = False
    """Compares trials that wait for one another: all trials take part from the start."""

