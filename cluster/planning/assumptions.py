"""What a plan takes for granted about the cloud and about Ray."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True, kw_only=True, slots=True)
class Assumptions:
    """Times in seconds of the simulated world."""

    boot_s: float = 150.0
    """Median time from a node's launch until Ray runs on it; log-normal."""
    boot_sigma: float = 0.25
    """Standard deviation of the boot time's logarithm: 10 % of nodes take 1.38 times the median or longer."""
    refused: float = 0.05
    """Chance that a launch of spot nodes is refused for lack of capacity. No measurement: set your own."""
    preemptions_per_h: float = 0.05
    """How often an hour a spot node is taken away. No measurement: set your own."""
    start_s: float = 7.4
    """From resources to training in new processes (benchmarks/README.md, `trial_start`)."""
    switch_s: float = 0.045
    """The same where a trial takes over the processes of one that ended."""
    update_s: float = 5.0
    """Between two updates of the autoscaler (AUTOSCALER_UPDATE_INTERVAL_S)."""
    request_s: float = 4.0
    """How long the cloud takes to answer a launch, which counts against the cap of launches until then."""
    packing_s: float = 8e-5
    """What the autoscaler computes for each pair of waiting trial and node, which makes its update longer:
    measured on Ray 2.60's ResourceDemandScheduler, 100 to 400 nodes, AMD EPYC (`benchmarks/plan.py`)."""
    visible: int = 1_000
    """Waiting placement groups that Ray shows its autoscaler (RAY_max_placement_group_load_report_size)."""
    recovery_s: float = 600.0
    """A refused node type ranks behind the others for so long (RAY_AUTOSCALER_AVAILABILITY_RECOVERY_S)."""

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{one.name} is {value}; it must be a number >= 0")
        if self.refused > 1:
            raise ValueError(f"refused is {self.refused}; a chance lies in [0, 1]")
        if self.update_s == 0 or self.boot_s == 0:
            raise ValueError("update_s and boot_s must be above 0")

    def boot(self, rng: np.random.Generator) -> float:
        """One boot time."""
        return float(self.boot_s * math.exp(self.boot_sigma * rng.standard_normal()))

    def lifetime(self, rng: np.random.Generator) -> float:
        """How long one spot node is left to us after it came up; inf: for ever."""
        return float(rng.exponential(3600 / self.preemptions_per_h)) if self.preemptions_per_h else math.inf
