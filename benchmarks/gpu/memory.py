"""Memory of a rank's process over 50 trials that reuse it: none of it may grow from the fifth trial on.

A real sweep on one GPU, one trial at a time. Each trains a ResNet on scikit-learn's digits, of one of two
widths at random, so that what a trial frees does not just fit the next, and says at its last report what the
process holds. Compared are the first trial of each width from the fifth on and the last one of that width.
The model of the larger width takes 14 MiB with gradients and momentum: kept by mistake, 45 trials would leave
more than 300 MiB.

    python -m benchmarks.gpu.memory [--trials 50]
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from ray import tune

from benchmarks.gpu import device
from benchmarks.table import markdown, verdict
from sweeps import Sweep, journal
from trainables.classify import Classify
from trainables.engine.ddp import Ranks

TRIAL: dict[str, Any] = {"dataset": "digits", "model": "resnet", "batch_size": 128, "epochs": 1}
WIDTHS = (32, 64)
SETTLED = 5
"""The trial from which on nothing may grow: libraries have made their workspaces by then."""
TOLERANCES = {"allocated": 1.0, "reserved": 20.0, "resident": 50.0}
"""MiB. Nothing should be left on the device; PyTorch's allocator asks for up to 20 MiB at a time; the host's
memory has caches that fill."""


class Weighed(Classify):
    """Image classification that also reports what its process holds."""

    metrics: ClassVar[tuple[str, ...]] = (*Classify.metrics, "process", "resident")

    def evaluate(self, model: torch.nn.Module, ranks: Ranks) -> dict[str, float]:
        """The metrics of `classify`, the process, and `device.held`."""
        return super().evaluate(model, ranks) | {"process": os.getpid()} | device.held(ranks.device)


def trials(where: Path, count: int, gpus: float, config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The config and last report of each trial of a sweep, in the order of their ends.

    Raises:
        RuntimeError: they did not all run in one process, so that nothing was reused.
    """
    Sweep(
        trainable=Weighed,
        space={"width": tune.choice(list(WIDTHS)), "lr": tune.loguniform(1e-3, 1e-1)},
        fixed=config,
        trials=count,
        max_concurrent=1,
        gpus_per_rank=gpus,
        storage=str(where),
        name="memory",
        quiet=True,
    ).run()
    configs, reports, order = {}, {}, []
    for event in journal.read(where / "memory"):
        if event["event"] == "suggested":
            configs[event["trial"]] = event["config"]
        elif event["event"] == "reported":
            reports[event["trial"]] = event["metrics"]
        elif event["event"] == "ended":
            order.append(event["trial"])
    found = [configs[trial] | reports[trial] for trial in order]
    processes = {one["process"] for one in found}
    if len(processes) != 1:
        raise RuntimeError(f"{len(found)} trials ran in {len(processes)} processes; one was to be reused.")
    return found


def growth(found: list[dict[str, Any]], kind: str) -> list[tuple[int, float, float]]:
    """Of each width: itself, MiB at its first trial from the `SETTLED`th on, and at its last."""
    late = found[SETTLED - 1 :]
    held = {width: [one[kind] for one in late if one["width"] == width] for width in WIDTHS}
    return [(width, values[0], values[-1]) for width, values in held.items() if values]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=50)
    given = parser.parse_args()
    device.first()
    where = Path(tempfile.mkdtemp(prefix="starling-bench-"))
    try:
        with device.ray_with(gpus=1):
            found = trials(where, given.trials, 1, TRIAL)
    finally:
        shutil.rmtree(where, ignore_errors=True)
    print(table(found, [*TOLERANCES, "used"]))


def table(found: list[dict[str, Any]], kinds: list[str]) -> str:
    """MiB by kind and width, and whether any of it grew."""
    rows, verdicts = [], []
    for kind in kinds:
        grown = growth(found, kind)
        rows += [[f"{kind}, width {width}", f"{a:.1f}", f"{b:.1f}", f"{b - a:+.1f}"] for width, a, b in grown]
        if kind in TOLERANCES:
            most = max(b - a for _, a, b in grown)
            verdicts.append(verdict(f"{kind} memory grew by, MiB", most, TOLERANCES[kind], at_most=True))
    header = ["memory of the process, MiB", f"from trial {SETTLED}", f"at trial {len(found)}", "growth"]
    return markdown(header, rows) + "\n\n" + "\n".join(verdicts)


if __name__ == "__main__":
    main()
