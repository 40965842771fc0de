"""NCCL: a group of one rank on one GPU; where there are two devices, two ranks beside one.

The engine makes no process group for a trial of one rank, so that on one device only this is shown: the group
that the engine opens for GPUs works with this PyTorch, and what it adds up is right. On two devices real
sweeps train the ResNet of `accuracy.py`, with group normalisation, which is the same for any number of ranks:
one rank, two on the same batches, whose loss must be the same, and two on batches twice as large. Images/s
are the engine's own, of reports after the first.

    python -m benchmarks.gpu.nccl [--epochs 4]
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import distributed as dist

from benchmarks.gpu import accuracy, device
from benchmarks.images import parquet
from benchmarks.table import markdown, verdict
from sweeps import Sweep, journal
from trainables.engine.ddp import Plan, connect

GOAL = 1.8
"""Images/s of two ranks over those of one, each with batches of the same size."""
CLOSE = 1e-2
"""Largest relative difference of the first epoch's loss: TF32, and sums in another order."""


def alone(folder: Path, on: torch.device) -> str:
    """What exchanges tensors of the device in a group of one rank, once a sum over it was right.

    Raises:
        RuntimeError: the sum was wrong.
    """
    plan = Plan(name="alone", task=b"", ranks=1, cpus_per_rank=1, gpus_per_rank=float(on.type == "cuda"))
    connect(plan, f"file://{folder}/store", 0)
    try:
        tensor = torch.arange(1024.0, device=on)
        dist.all_reduce(tensor)
        if not torch.equal(tensor.cpu(), torch.arange(1024.0)):
            raise RuntimeError("the sum over one rank differs from what was put in.")
        backends = dist.get_backend_config().split(",")  # cpu:gloo,cuda:nccl
        return dict(one.split(":") for one in backends)[on.type]
    finally:
        dist.destroy_process_group()


def trained(where: Path, ranks: int, gpus: float, config: Mapping[str, Any]) -> tuple[float, float]:
    """(images/s, train_loss of the first epoch) of one trial with so many ranks."""
    name = f"{ranks}-ranks-of-{config['batch_size']}"
    Sweep(
        trainable="classify", space={}, fixed=config, trials=1, search="random", ranks=ranks,
        gpus_per_rank=gpus, storage=str(where), name=name, quiet=True,
    ).run()  # fmt: skip
    reports = [event["metrics"] for event in journal.read(where / name) if event["event"] == "reported"]
    rates = [report["images_per_s"] for report in reports[1:]]
    return statistics.median(rates), float(reports[0]["train_loss"])


def compared(where: Path, gpus: float, config: Mapping[str, Any]) -> tuple[list[list[str]], list[str]]:
    """Rows and verdicts of one rank and of two.

    Args:
        gpus: of a rank; 0: gloo on the CPU.
    """
    size = int(config["batch_size"])
    ways = {"1 rank": (1, size), "2 ranks, same batch": (2, size), "2 ranks, twice the batch": (2, 2 * size)}
    found = {
        way: trained(where, ranks, gpus, {**config, "batch_size": batch})
        for way, (ranks, batch) in ways.items()
    }
    (one, loss), (_, same), (two, _) = found.values()
    rows = [[way, f"{rate:,.0f}", f"{rate / one:.2f}", f"{loss:.5f}"] for way, (rate, loss) in found.items()]
    apart = abs(same / loss - 1)
    return rows, [
        verdict("images/s, 2 ranks with twice the batch / 1 rank", two / one, GOAL),
        verdict("loss of 2 ranks beside 1, relative difference", apart, CLOSE, at_most=True),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=4)
    given = parser.parse_args()
    on = device.first()
    made = Path(tempfile.mkdtemp(prefix="starling-bench-"))
    try:
        print(f"- a group of one rank by {alone(made, on)}: its sums are right")
        devices = torch.cuda.device_count()
        if devices < 2:
            print(f"- two ranks: not measured, as NCCL needs a device for each and there is {devices}")
            return
        data, what = parquet(made)
        config = accuracy.RECIPE | {"data": str(data), "norm": "group", "epochs": given.epochs, "lr": 0.1}
        with device.ray_with(gpus=devices):
            rows, verdicts = compared(made / "sweeps", 1, config)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    print(f"\nData: {what}.\n")
    print(markdown(["ranks", "images/s", "/ 1 rank", "loss of the first epoch"], rows), end="\n\n")
    print("\n".join(verdicts))


if __name__ == "__main__":
    main()
