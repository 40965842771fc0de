"""Seconds of training on a GPU until a ResNet classifies 90 % of CIFAR-10's held-out images, three seeds.

The clock runs while the engine trains. Evaluations, which come after every epoch, decoding the data set and
the start of the process are not counted; what the first step takes to choose kernels is. Training ends at the
first evaluation that reaches the bar on the 5,000 images that are held out of the training split; the test
split is looked at once, then. The schedule falls to 0 at `epochs`, so that the bar is met late in it.

Half precision is bf16, or fp16 with GradScaler where the hardware has no bf16.

    python -m benchmarks.gpu.accuracy [--bar 0.9] [--seeds 3]
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.gpu import device
from benchmarks.table import markdown, spread
from trainables.classify import Classification, Classify
from trainables.engine import cifar10
from trainables.engine.ddp import Ranks
from trainables.engine.loop import Loop

BAR = 0.9
RECIPE: dict[str, Any] = {
    "dataset": "cifar10", "model": "resnet", "width": 64, "depth": 1, "crop": 4, "flip": True,
    "optimizer": "nesterov", "lr": 0.4, "weight_decay": 5e-4, "batch_size": 512,
    "epochs": 20, "schedule": "linear", "warmup_steps": 300,
}  # fmt: skip
"""1.2 million weights; 88 steps an epoch."""


class Reached(NamedTuple):
    """How one training went."""

    training_s: float
    """Until the bar or the end."""
    epochs: float
    held_out: float
    """Accuracy at the last evaluation."""
    test: float


def train(config: Mapping[str, Any], bar: float, on: torch.device) -> Reached:
    """One training, up to the bar or to its end."""
    task = Classify(Classification(**config))
    task.setup()
    loop = Loop(task, Ranks(0, 1, on))
    spent, report = 0.0, {"done": False, "val_accuracy": 0.0}
    while not report["done"] and report["val_accuracy"] < bar:
        spent += device.seconds(loop.advance, on)
        report = loop.evaluate()
    with torch.no_grad():
        test = task.test(loop.model.eval(), loop.ranks)["test_accuracy"]
    return Reached(spent, loop.samples / len(loop.train), report["val_accuracy"], test)


def row(precision: str, found: list[Reached], bar: float) -> list[str]:
    """Of the table; seconds only where every seed reached the bar."""
    missed = sum(one.held_out < bar for one in found)
    time = spread([one.training_s for one in found])
    rest = [[one.epochs for one in found], [one.held_out for one in found], [one.test for one in found]]
    return [precision, f"missed by {missed} of {len(found)} seeds" if missed else time, *map(spread, rest)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bar", type=float, default=BAR)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    on = device.first()
    try:
        folder: Path = cifar10.locate(os.environ.get("STARLING_TEST_DATA"))
    except ValueError as error:
        print(f"Not measured, as it takes CIFAR-10 itself: {error}")
        return
    precision = device.half(on)
    recipe = RECIPE | {"data": str(folder), "precision": precision}
    found = [train(recipe | {"seed": seed}, given.bar, on) for seed in range(given.seeds)]
    header = [f"s of training to {given.bar:.0%}", "epochs", "held-out accuracy", "test accuracy"]
    print(markdown(["precision", *header], [row(precision, found, given.bar)]))


if __name__ == "__main__":
    main()
