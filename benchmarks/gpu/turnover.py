"""Trials an hour on one GPU, one rank a trial: one, two and four at a time by fractions of the device.

Real sweeps with everything stored, whose processes outlive a trial. A trial trains a small ResNet for three
epochs of scikit-learn's digits, some 60 steps: too little work for a GPU, which is where sharing it pays. The
rate is that of the sweep's middle: the first two ends of every worker (processes start, kernels are chosen)
and the last one of each (others are idle) are left out. Turn-over is from one trial's end to the next trial's
first report, its first epoch included, where one runs at a time.

    python -m benchmarks.gpu.turnover [--trials 16]
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ray import tune

from benchmarks.gpu import device
from benchmarks.table import markdown, spread
from benchmarks.trial_start import Clock
from sweeps import Sweep

TRIAL: dict[str, Any] = {"dataset": "digits", "model": "resnet", "batch_size": 64, "epochs": 3}
AT_ONCE = (1, 2, 4)


def sweep(where: Path, trials: int, at_once: int, gpus: float, config: Mapping[str, Any]) -> Clock:
    """When the reports and ends of a random search's trials came, by its journal.

    Args:
        gpus: of a trial; 0: it runs on the CPU.
    """
    name = f"turnover-{time.time_ns()}"
    Sweep(
        trainable="classify",
        space={"lr": tune.loguniform(1e-3, 1e-1)},
        fixed=config,
        trials=trials,
        max_concurrent=at_once,
        gpus_per_rank=gpus,
        storage=str(where),
        name=name,
        quiet=True,
    ).run()
    return Clock.of(where / name)


def per_hour(ends: Sequence[float], at_once: int) -> float:
    """Trials an hour in the middle of a sweep.

    Args:
        ends: of its trials, in seconds, at least 3 * at_once + 2 of them.
    """
    middle = sorted(ends)[2 * at_once : len(ends) - at_once]
    return 3600 * (len(middle) - 1) / (middle[-1] - middle[0])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=16, help="of a sweep, for each that runs at once")
    given = parser.parse_args()
    device.first()
    where = Path(tempfile.mkdtemp(prefix="starling-bench-"))
    rows, gaps, alone = [], [], 0.0
    try:
        for at_once in AT_ONCE:
            with device.ray_with(gpus=1):
                clock = sweep(where, given.trials * at_once, at_once, 1 / at_once, TRIAL)
            rate = per_hour(list(clock.end.values()), at_once)
            if at_once == 1:
                alone, gaps = rate, clock.gaps()[0]
            rows.append([f"{at_once} of {1 / at_once:g} GPU", f"{rate:,.0f}", f"{rate / alone:.2f}"])
    finally:
        shutil.rmtree(where, ignore_errors=True)
    print(markdown(["trials at a time", "trials/hour", "/ one at a time"], rows))
    print(f"\n- turn-over, one at a time, s: {spread(gaps)}")


if __name__ == "__main__":
    main()
