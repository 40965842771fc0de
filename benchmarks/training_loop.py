"""Images/s of the engine beside a training loop written by hand, on CIFAR-10 with one rank and one thread.

Both train the same network with the same optimiser (SGD, momentum 0.9), batch size and learning rate. The
hand-written loop has everything in its favour: the images lie in memory as normalised float tensors, it does
nothing but shuffle, slice, forward, backward and step, and of the two memory formats the better one counts.
The engine gathers bytes from its memory-mapped cache, normalises them, seeds dropout for every step, adds up
its metrics and measures the gradient norm, as in any trial.

Repeats alternate. Times are CPU time of the one thread that does all the work: on an idle machine that is the
wall clock, on a busy one it is what the wall clock would have been.

    python -m benchmarks.training_loop [--repeats 7] [--seconds 3]
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.alternate import cpu_seconds
from benchmarks.images import parquet
from benchmarks.table import markdown, spread, verdict
from trainables.classify import Classification, Classify
from trainables.engine.ddp import Ranks
from trainables.engine.images import Images
from trainables.engine.loop import Loop

MODELS: dict[str, tuple[dict[str, Any], float]] = {
    "simple_cnn": ({"model": "simple_cnn", "batch_size": 100}, 0.85),
    "resnet": ({"model": "resnet", "width": 16, "depth": 1, "batch_size": 128}, 0.95),
}
RATE: dict[str, Any] = {"optimizer": "momentum", "lr": 0.01}


def engine(config: dict[str, Any], steps: int, data: Path) -> Callable[[], None]:
    """`steps` steps of the engine: one report, without its evaluation."""
    settings = Classification(
        dataset="cifar10", data=str(data), report_every=steps, epochs=100, **RATE, **config
    )
    task = Classify(settings)
    task.setup()
    loop = Loop(task, Ranks(0, 1, torch.device("cpu")))

    def advance() -> None:
        loop.advance()

    return advance


def by_hand(config: dict[str, Any], steps: int, data: Path, *, channels_last: bool) -> Callable[[], None]:
    """`steps` steps of what a user would write, on tensors in memory."""
    task = Classify(Classification(dataset="cifar10", data=str(data), **RATE, **config))
    task.setup()
    assert isinstance(task.train, Images)
    x, y = task.train.batch(np.arange(len(task.train)), None, torch.device("cpu"))
    form = torch.channels_last if channels_last else torch.contiguous_format
    x = x.contiguous(memory_format=form)
    model = task.build().to(memory_format=form)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    size, order, at = int(config["batch_size"]), torch.randperm(len(x)), 0

    def advance() -> None:
        nonlocal order, at
        model.train()
        total = torch.zeros(())
        for _ in range(steps):
            if at + size > len(order):
                order, at = torch.randperm(len(x)), 0
            rows, at = order[at : at + size], at + size
            optimizer.zero_grad()
            loss: Any = F.cross_entropy(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            total += loss.detach()
        float(total)

    return advance


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0, help="about how long a repeat of one way takes")
    given = parser.parse_args()
    torch.set_num_threads(1)
    made = Path(tempfile.mkdtemp(prefix="starling-bench-"))
    try:
        data, what = parquet(made)
        print(f"Data: {what}.\n")
        rows, verdicts = [], []
        for name, (config, goal) in MODELS.items():
            steps = _steps(config, data, given.seconds)
            ways = {
                "engine": engine(config, steps, data),
                "by hand": by_hand(config, steps, data, channels_last=False),
                "by hand, channels_last": by_hand(config, steps, data, channels_last=True),
            }
            images = steps * config["batch_size"]
            took = cpu_seconds(ways, given.repeats)
            rates = {way: [images / seconds for seconds in found] for way, found in took.items()}
            best = max(list(ways)[1:], key=lambda way: statistics.median(rates[way]))
            ratios = [a / b for a, b in zip(rates["engine"], rates[best], strict=True)]
            step_ms = 1e3 * config["batch_size"] / statistics.median(rates[best])
            rows += [[f"{name}, {way}", spread(rates[way])] for way in ways]
            verdicts.append(
                verdict(
                    f"{name}, engine / {best} ({step_ms:.1f} ms a step of {config['batch_size']}), "
                    f"median of {len(ratios)} pairs",
                    statistics.median(ratios),
                    goal,
                )
            )
    finally:
        shutil.rmtree(made, ignore_errors=True)
    print(markdown(["model and way", "images per CPU second"], rows), end="\n\n")
    print("\n".join(verdicts))


def _steps(config: dict[str, Any], data: Path, seconds: float) -> int:
    """How many steps take about so long."""
    advance = by_hand(config, 5, data, channels_last=False)
    advance()
    cpu = time.process_time()
    advance()
    return max(5, round(5 * seconds / (time.process_time() - cpu)))


if __name__ == "__main__":
    main()
