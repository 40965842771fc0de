"""Seconds from one trial's end to the next trial's first report: 2 ranks, gloo DDP, one small model and step.

Three ways to train the same network on the same digits, one step of 64 images and an evaluation a report:
Starling, whose rank processes outlive a trial; the same trainable in plain Tune with new processes for each
trial; and Ray Train's TorchTrainer inside Tune, in the form that Ray documents. One trial at a time. Rounds
alternate, so that whoever else uses the machine disturbs all three.

    python -m benchmarks.trial_start [--rounds 2] [--reused 12] [--fresh 3]
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from ray import tune

import trainables
from benchmarks.own_ray import own_ray
from benchmarks.table import markdown, spread, verdict
from sweeps import Sweep, journal

CONFIG = {"dataset": "digits", "model": "conv", "width": 8, "batch_size": 64, "optimizer": "sgd"}
ONE_STEP = {"report_every": 1, "epochs": 0.01}


class Clock(tune.Callback):
    """When the driver received each trial's first and last report, and learned of its end."""

    def __init__(self) -> None:
        self.first: dict[str, float] = {}
        self.last: dict[str, float] = {}
        self.end: dict[str, float] = {}

    @classmethod
    def of(cls, folder: Path) -> Clock:
        """That of a finished sweep, by its journal."""
        clock = cls()
        for event in journal.read(folder):
            if event["event"] == "reported":
                clock.first.setdefault(event["trial"], event["t"])
                clock.last[event["trial"]] = event["t"]
            elif event["event"] == "ended":
                clock.end[event["trial"]] = event["t"]
        return clock

    def on_trial_result(
        self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """A report."""
        self.first.setdefault(trial.trial_id, time.time())
        self.last[trial.trial_id] = time.time()

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """The end."""
        self.end[trial.trial_id] = time.time()

    def gaps(self) -> tuple[list[float], list[float]]:
        """From each end, and from each last report, to the first report of the trial after it."""
        order = sorted(self.first, key=self.first.__getitem__)
        pairs = list(itertools.pairwise(order))
        return (
            [self.first[b] - self.end[a] for a, b in pairs],
            [self.first[b] - self.last[a] for a, b in pairs],
        )


def starling(where: Path, trials: int) -> Clock:
    """A sweep, all of it stored; times from its journal."""
    name = f"reuse-{time.time_ns()}"
    Sweep(
        trainable="classify",
        space={"lr": tune.loguniform(1e-3, 1e-1)},
        fixed=CONFIG | ONE_STEP,
        trials=trials,
        ranks=2,
        max_concurrent=1,
        storage=str(where),
        name=name,
        quiet=True,
    ).run()
    return Clock.of(where / name)


def fresh(where: Path, trials: int) -> Clock:
    """The same trainable in plain Tune, new processes for each trial."""
    return _tuned(trainables.load("classify").trainable(2), CONFIG | ONE_STEP, where, trials)


def ray_train(where: Path, trials: int) -> Clock:
    """A function trainable that calls `TorchTrainer.fit`, as Ray's documentation has it."""
    return _tuned(tune.with_resources(_torch_trainer, {"CPU": 1}), CONFIG, where, trials)


def _tuned(trainable: Any, config: dict[str, Any], where: Path, trials: int) -> Clock:
    clock = Clock()
    results = tune.Tuner(
        trainable,
        param_space={**config, "lr": tune.loguniform(1e-3, 1e-1)},
        tune_config=tune.TuneConfig(num_samples=trials, max_concurrent_trials=1, reuse_actors=False),
        run_config=tune.RunConfig(
            name=f"tuned-{time.time_ns()}", storage_path=str(where), verbose=0, callbacks=[clock]
        ),
    ).fit()
    if results.errors:
        raise RuntimeError(f"a trial failed: {results.errors[0]}")
    return clock


def _torch_trainer(config: dict[str, Any]) -> None:
    from ray import train
    from ray.train.torch import TorchConfig, TorchTrainer
    from ray.tune.integration.ray_train import TuneReportCallback

    TorchTrainer(
        _train_loop,
        train_loop_config=config,
        torch_config=TorchConfig(backend="gloo"),
        scaling_config=train.ScalingConfig(num_workers=2),
        run_config=train.RunConfig(
            name=f"train-{time.time_ns()}",
            storage_path=tempfile.mkdtemp(prefix="starling-bench-"),
            callbacks=[TuneReportCallback()],  # type: ignore[list-item]  # Ray's own example
        ),
    ).fit()


def _train_loop(config: dict[str, Any]) -> None:
    """What a user of Ray Train writes: this rank's half of one batch of 64, then the loss on held-out
    images."""
    import torch
    from ray import train
    from ray.train.torch import prepare_model
    from torch.nn.functional import cross_entropy

    from trainables import classify
    from trainables.engine.data import Arrays
    from trainables.nets.convolutional import conv
    from trainables.nets.layers import Style

    torch.set_num_threads(1)
    torch.manual_seed(0)
    images, held_out, *_ = classify._digits(None)
    assert isinstance(images, Arrays)
    assert isinstance(held_out, Arrays)
    model: Any = prepare_model(conv(1, config["width"], 1, 0.0, Style()))
    optimizer = torch.optim.SGD(model.parameters(), lr=config["lr"])
    rank = train.get_context().get_world_rank()
    x, y = (tensor[rank * 32 : rank * 32 + 32] for tensor in images.tensors)
    loss: Any = cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        x, y = held_out.tensors
        validation = cross_entropy(model(x), y)
    train.report({"train_loss": float(loss.detach()), "val_loss": float(validation)})


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--reused", type=int, default=12, help="trials of a round with reused processes")
    parser.add_argument("--fresh", type=int, default=3, help="trials of a round of the other two")
    given = parser.parse_args()
    os.environ |= {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_AIR_NEW_OUTPUT": "0"}  # Ray prints nothing
    where = Path(tempfile.mkdtemp(prefix="starling-bench-"))
    ways = {
        "Starling, processes reused": (starling, given.reused),
        "Starling's trainable, processes new": (fresh, given.fresh),
        "Ray Train's TorchTrainer inside Tune": (ray_train, given.fresh),
    }
    end: dict[str, list[float]] = {way: [] for way in ways}
    last: dict[str, list[float]] = {way: [] for way in ways}
    try:
        for _ in range(given.rounds):
            for way, (run, trials) in ways.items():
                with own_ray(4):  # more CPUs than a machine may have: Ray Train's own actors wait for none
                    from_end, from_last = run(where, trials).gaps()
                end[way] += from_end
                last[way] += from_last
    finally:
        shutil.rmtree(where, ignore_errors=True)
    rows = [[way, spread(end[way]), spread(last[way])] for way in ways]
    header = ["way", "end to first report, s", "last report to first report, s"]
    print(markdown(header, rows))
    middle = [statistics.median(end[way]) for way in ways]
    print()
    print(verdict("Ray Train / Starling with reuse", middle[2] / middle[0], 100))
    print(verdict("Ray Train / Starling without reuse", middle[2] / middle[1], 2))
    print(verdict("start with reuse, ms", 1e3 * middle[0], 50, at_most=True))


if __name__ == "__main__":
    main()
