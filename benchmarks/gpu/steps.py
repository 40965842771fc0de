"""Images/s of training steps on a GPU: fp32, bf16 and fp16 with GradScaler, channels_last, torch.compile.

The engine with all that belongs to a trial except its evaluation, on CIFAR-10 or random images of its shape:
the documents' SimpleCNN, the ResNet of `accuracy.py`, and the U-Net of the recipe `ddpm_cifar10` without its
averaged weights. fp32 is PyTorch's default, in which convolutions run in TF32 from Ampere on.

The engine always keeps images and convolutions channels_last; "NCHW" takes that back, for comparison.
torch.compile is measured on top of channels_last, for the U-Net with one precision only, as that may take a
minute or two. It pays once a trial has more steps than the last column says: seconds of compiling, nothing
being cached, over seconds saved in a step.

Ways alternate; images/s are by the wall clock, and the ratios are medians of pairs.

    python -m benchmarks.gpu.steps [--repeats 5] [--seconds 0.5]
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

import trainables
from benchmarks.gpu import accuracy, device
from benchmarks.images import parquet
from benchmarks.table import markdown, spread
from sweeps.recipes import ddpm_cifar10
from trainables.engine import hparams
from trainables.engine.ddp import Ranks
from trainables.engine.loop import Loop

PRECISIONS = ("fp32", "bf16", "fp16")


class Way(NamedTuple):
    """One way to take the same steps."""

    precision: str
    channels_last: bool
    compiled: bool

    def __str__(self) -> str:
        scaled = " and GradScaler" * (self.precision == "fp16")
        layout = "channels_last" if self.channels_last else "NCHW"
        return f"{self.precision}{scaled}, {layout}" + ", compiled" * self.compiled


ENGINE = Way("fp32", True, False)
"""As a trial runs that asks for nothing; what the others are compared with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """What is trained."""

    trainable: str
    config: Mapping[str, Any]
    """On images of CIFAR-10's shape."""
    precisions: Sequence[str] = PRECISIONS
    """fp32 is always among them."""
    compiled: Sequence[str] = PRECISIONS
    """With which of them it is compiled too."""

    def ways(self) -> list[Way]:
        """All that are measured."""
        eager = [Way(precision, layout, False) for precision in self.precisions for layout in (False, True)]
        return eager + [Way(precision, True, True) for precision in self.compiled]


MODELS = {
    "simple_cnn": Model(
        trainable="classify",
        config={"dataset": "cifar10", "model": "simple_cnn", "batch_size": 256, "lr": 0.01},
    ),
    "resnet": Model(trainable="classify", config=accuracy.RECIPE),
    "ddpm": Model(
        trainable="ddpm",
        config={**ddpm_cifar10.sweep.fixed, "lr": 1e-4, "ema_decay": 0.0},
        compiled=("bf16",),
    ),
}


class Planar:
    """A split whose batches have no tensor in channels_last memory."""

    def __init__(self, split: Any) -> None:
        self.split = split

    def __len__(self) -> int:
        return len(self.split)

    def batch(self, indices: np.ndarray[Any, Any], bits: Any, device: torch.device) -> tuple[Any, ...]:
        """Those of the split."""
        return tuple(tensor.contiguous() for tensor in self.split.batch(indices, bits, device))


def engine(model: Model, way: Way, steps: int, data: Path, on: torch.device) -> Loop:
    """A trial that makes `steps` steps a report, not yet begun."""
    task_class = trainables.load(model.trainable).task  # type: ignore[attr-defined]  # these are tasks
    chosen = {"precision": way.precision, "compile": way.compiled}
    endless = {"epochs": 1e6, "report_every": steps, "schedule": "constant", "warmup_steps": 0}
    task = task_class(hparams.make(task_class.Config, {**model.config, "data": str(data)} | chosen | endless))
    task.setup()
    if not way.channels_last:
        task.train = Planar(task.train)
    loop = Loop(task, Ranks(0, 1, on))
    if not way.channels_last:
        loop.model.to(memory_format=torch.contiguous_format)
    return loop


def measure(
    model: Model, data: Path, on: torch.device, *, repeats: int, budget_s: float
) -> list[list[str]]:
    """Rows of the table: way, images/s, ratio to `ENGINE`, seconds of compiling, steps after which that pays.

    Args:
        budget_s: about how long a repeat of ENGINE takes; all ways make the same number of steps.
    """
    steps = _steps(model, data, on, budget_s)
    loops = {way: engine(model, way, steps, data, on) for way in model.ways()}
    runs: dict[Way, Callable[[], object]] = {way: loop.advance for way, loop in loops.items()}
    opening, took = device.in_turn(runs, repeats, on)
    images = steps * int(model.config["batch_size"])
    rows = []
    for way, found in took.items():
        ratio = statistics.median(a / b for a, b in zip(took[ENGINE], found, strict=True))
        row = [str(way), spread([images / s for s in found]), f"{ratio:.2f}", "", ""]
        if way.compiled:
            middle = statistics.median(found)
            compiling = max(0.0, opening[way] - middle)
            saved = (statistics.median(took[way._replace(compiled=False)]) - middle) / steps
            row[3:] = [f"{compiling:.0f}", f"{math.ceil(compiling / saved):,}" if saved > 0 else "never"]
        rows.append(row)
    return rows


def _steps(model: Model, data: Path, on: torch.device, budget_s: float) -> int:
    """How many of ENGINE take about so long."""
    probe = engine(model, ENGINE, 3, data, on)
    device.seconds(probe.advance, on)
    return max(3, round(3 * budget_s / device.seconds(probe.advance, on)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="about how long a repeat takes")
    given = parser.parse_args()
    on = device.first()
    made = Path(tempfile.mkdtemp(prefix="starling-bench-"))
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(made / "inductor")  # nothing compiled before counts
    try:
        data, what = parquet(made)
        print(f"Data: {what}.\n")
        rows = [
            [f"{name}, {row[0]}", *row[1:]]
            for name, model in MODELS.items()
            for row in measure(model, data, on, repeats=given.repeats, budget_s=given.seconds)
        ]
    finally:
        shutil.rmtree(made, ignore_errors=True)
    print(markdown(["model and way", "images/s", f"/ {ENGINE}", "s to compile", "pays after steps"], rows))


if __name__ == "__main__":
    main()
