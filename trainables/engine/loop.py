"""Training by gradient descent. A step is a function of (state, samples seen): resuming is bit for bit equal.

The learning rate, the samples of a step, their augmentation, dropout and Langevin noise all derive from the
seed and the number of samples seen, so a checkpoint holds no generator states, and any number of ranks can
go on from it.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch

from trainables.engine import data, hparams, optimizers, pictures, schedule
from trainables.engine.ddp import Ranks, TrialFailed
from trainables.engine.ema import Average
from trainables.engine.noise_scale import NoiseScale, Passes
from trainables.engine.task import Task

DROPOUT, NOISE = 1, 2  # streams of random numbers
FORMAT = 1
AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Loop:
    """The engine of every task that has a differentiable loss."""

    def __init__(self, task: Task, ranks: Ranks) -> None:
        self.task, self.ranks = task, ranks
        config = task.config
        self.train = data.as_dataset(task.train, "train")
        self.order = data.Order(len(self.train), config.seed)
        torch.manual_seed(config.seed)
        model = task.build()
        if not isinstance(model, torch.nn.Module):
            raise ValueError(f"build() returned {type(model).__name__}; it must return a torch.nn.Module.")
        self.model = model.to(ranks.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        task.mutate(self.model)
        objective = _Objective(task, self.model)
        if config.compile:
            torch.compiler.reset()  # what earlier trials of this process compiled: it counts against a limit
            objective.compile()
        self.objective = ranks.wrap(objective, task.find_unused_parameters)
        self.optimizer = optimizers.make(config, self.model, len(self.train))
        self.params = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.average = Average(self.model, config.ema_decay) if config.ema_decay else None
        scaled = config.precision == "fp16" and ranks.device.type == "cuda"
        self.scaler = torch.amp.GradScaler(ranks.device.type, enabled=scaled)
        self.samples = 0
        self.steps = 0
        self.best: float | None = None
        self.stale = 0
        self._seconds = 0.0
        self._train_metrics: dict[str, float] = {}
        self._noise: NoiseScale | None = None  # measured by the step that comes
        self._check()

    @property
    def _step_samples(self) -> int:
        return int(self.task.config.batch_size * self.task.config.accumulate)

    @property
    def _end(self) -> int:
        """Samples after which training is complete."""
        return math.ceil(self.task.config.epochs * len(self.train))

    def _check(self) -> None:
        config = self.task.config
        if config.batch_size < self.ranks.size:
            raise ValueError(
                f"batch_size is {config.batch_size}, counted over all {self.ranks.size} ranks; each needs a "
                "sample."
            )
        if config.noise_steps and config.accumulate == self.ranks.size == 1:
            raise ValueError(
                f"noise_steps is {config.noise_steps}, and a step is one pass of one rank: the noise scale "
                "is read off gradients of two batch sizes. Use accumulate=2 and half the batch_size."
            )
        total, t_max = math.ceil(self._end / self._step_samples), config.t_max
        if t_max in (None, total) or config.schedule not in ("linear", "cosine") or self.ranks.rank != 0:
            return
        end = f"never falls below {self._factor(total - 1):.0%}" if t_max > total else "stays at 0"
        warnings.warn(
            f"t_max is {t_max} and the run has {total} steps: the learning rate {end}. Leave t_max out to "
            "fit the schedule to the run.",
            stacklevel=2,
        )

    def _factor(self, step: float) -> float:
        c = self.task.config
        total = self._end / self._step_samples
        return schedule.factor(c.schedule, step, total, c.warmup_steps, c.t_max, c.decay_fraction)

    def advance(self) -> dict[str, float]:
        """Steps up to the next report: the end of the epoch, or `report_every` of them."""
        start = time.perf_counter()
        config, first = self.task.config, self.samples
        if config.report_every is None:
            until = (first // len(self.train) + 1) * len(self.train)
        else:
            until = first + config.report_every * self._step_samples
        steps = max(1, math.ceil((min(until, max(self._end, first + 1)) - first) / self._step_samples))
        self.model.train()
        optimizers.evaluating(self.optimizer, False)
        sums: dict[str, torch.Tensor] = {}
        norm = torch.zeros(())
        measured, noise = min(config.noise_steps, steps), NoiseScale()
        for i in range(steps):
            due = (i + 1) * measured // steps > i * measured // steps  # so many of all, evenly spread
            self._noise = noise if due else None
            norm = self._step(sums, measure=i == steps - 1)
            self.ranks.beats += 1
        self._noise = None
        self.ranks.average_buffers(self.model)
        names = sorted(sums)
        means = self.ranks.sum(torch.stack([sums[name] for name in names]).double()) / steps
        metrics = dict(zip(names, means.tolist(), strict=True))
        self._seconds = time.perf_counter() - start
        self._train_metrics = metrics
        return metrics | {
            "lr": self.optimizer.param_groups[0]["lr"],
            "grad_norm": float(norm),
            "images_per_s": (self.samples - first) / self._seconds,
            "steps": self.steps,
            "epoch": round(self.samples / len(self.train), 6),
            **noise.report(),
        }

    def one_step(self) -> float:
        """One optimiser step; the mean loss over its samples, of all ranks."""
        sums: dict[str, torch.Tensor] = {}
        self._step(sums, measure=False)
        return float(self.ranks.sum(sums["train_loss"].double()))

    def _step(self, sums: dict[str, torch.Tensor], measure: bool) -> torch.Tensor:
        """One optimiser step; adds this rank's part of each metric's mean to `sums`."""
        config, ranks = self.task.config, self.ranks
        optimizers.steer(
            config, self.optimizer, self.samples / self._end, self._factor(self.samples / self._step_samples)
        )
        noise, passes = self._noise, None
        if noise is not None:
            passes = Passes(self.params, ranks, self._step_samples, self.scaler.get_scale())
        for k in range(config.accumulate):
            batch, weight = self._batch(self.samples + k * config.batch_size)
            last = k == config.accumulate - 1 and noise is None
            with nullcontext() if last else ranks.quiet(self.objective):
                with self._autocast():
                    loss, others = self.objective(batch)
                # DDP averages over ranks; the weight makes that the mean over samples, whatever the shares.
                self.scaler.scale(loss * (weight * ranks.size)).backward()
            for name, value in {"train_loss": loss, **others}.items():
                value = value.detach() * weight
                sums[name] = sums[name] + value if name in sums else value
            if passes is not None:
                passes.keep(weight)
        if passes is not None and noise is not None:
            passes.put_back(noise)
        norm = torch.zeros(())
        if measure or config.clip is not None:
            self.scaler.unscale_(self.optimizer)
            norm = torch.nn.utils.get_total_norm([p.grad for p in self.params if p.grad is not None])
            if config.clip is not None:
                torch.nn.utils.clip_grads_with_norm_(self.params, config.clip, norm)
        if isinstance(self.optimizer, optimizers.Langevin):
            self.optimizer.noise_seed = noise_seed(config.seed, self.samples)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.samples += self._step_samples
        self.steps += 1
        if self.average is not None and self.steps % config.ema_every == 0:
            self.average.update()
        return norm

    def _batch(self, start: int) -> tuple[Any, float]:
        """This rank's part of the pass that begins at sample `start`, and its weight in the step's mean loss.

        Random numbers are seeded, so that a pass at the same place is the same again.
        """
        config, ranks = self.task.config, self.ranks
        part = data.share(config.batch_size, ranks.rank, ranks.size)
        rows = self.order.take(start, config.batch_size)[part]
        noise = data.bits(config.seed, start + part.start, len(rows))
        torch.manual_seed(_seed(config.seed, DROPOUT, start, ranks.rank))
        weight = len(rows) / config.batch_size / config.accumulate
        return self.train.batch(rows, noise, ranks.device), weight

    def _autocast(self) -> Any:
        dtype = AUTOCAST.get(self.task.config.precision)
        return nullcontext() if dtype is None else torch.autocast(self.ranks.device.type, dtype)

    def evaluate(self) -> dict[str, Any]:
        """The task's metrics, of the averaged weights where they are kept, and whether training is done.

        A metric that is not finite ends the trial: `done`, and the reason as `fault`.
        """
        start = time.perf_counter()
        self.model.eval()
        optimizers.evaluating(self.optimizer, True)
        with torch.no_grad(), self._autocast(), self.average.in_place() if self.average else nullcontext():
            metrics = self.task.evaluate(self.model, self.ranks)
            done = self.samples >= self._end or self._impatient(metrics)
            if done:
                metrics |= self.task.test(self.model, self.ranks)
        self._refuse_incomplete(metrics)
        report: dict[str, Any] = {
            **metrics,
            "seconds": self._seconds + time.perf_counter() - start,
            "done": bool(done),
        }
        fault = self._divergence(metrics)
        return report if fault is None else report | {"done": True, "fault": fault}

    def pictures(self) -> dict[str, bytes]:
        """The task's pictures as PNG, of the averaged weights where they are kept."""
        self.model.eval()
        with torch.no_grad(), self._autocast(), self.average.in_place() if self.average else nullcontext():
            found = self.task.pictures(self.model, self.ranks)
        return {name: pictures.grid(images) for name, images in found.items()}

    def _impatient(self, metrics: Mapping[str, float]) -> bool:
        """Count reports without improvement; True once there are `patience` of them."""
        patience = self.task.config.patience
        if patience is None:
            return False
        name, mode = self.task.metric
        if name not in metrics:
            return False  # _refuse_incomplete says so
        value = metrics[name] if mode == "min" else -metrics[name]
        if self.best is None or value < self.best:
            self.best, self.stale = value, 0
        else:
            self.stale += 1
        return self.stale >= patience

    def _divergence(self, metrics: Mapping[str, float]) -> str | None:
        """Why training cannot go on, where a metric is not finite (grad_norm may be inf under fp16)."""
        everything = {**self._train_metrics, **metrics}
        broken = [f"{name} is {value}" for name, value in everything.items() if not math.isfinite(value)]
        if not broken:
            return None
        c = self.task.config
        return (
            f"{', '.join(broken)} {self._place()}: training diverged with optimizer {c.optimizer}, "
            f"lr {self.optimizer.param_groups[0]['lr']:g}, precision {c.precision}. "
            "A lower lr or a `clip` may help."
        )

    def _refuse_incomplete(self, metrics: Mapping[str, float]) -> None:
        """A report has everything that the class declares."""
        everything = {**self._train_metrics, **metrics}
        wanted = {*self.task.reported(), *([self.task.metric[0]] if self.task.config.patience else [])}
        missing = sorted(wanted - everything.keys())
        if missing:
            raise TrialFailed(
                f"the report {self._place()} lacks {', '.join(missing)}; it has "
                f"{', '.join(sorted(everything))}. evaluate() must return what the class declares in "
                "`metrics` and `metric`."
            )

    def _place(self) -> str:
        return f"at step {self.steps} (epoch {self.samples / len(self.train):.2f})"

    def state_dict(self) -> dict[str, Any]:
        """Equal on every rank."""
        return {
            "format": FORMAT,
            "optimizer_name": self.task.config.optimizer,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state_dict() if self.average else None,
            "scaler": self.scaler.state_dict(),
            "samples": self.samples,
            "steps": self.steps,
            "best": self.best,
            "stale": self.stale,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Weights, moments and counters of the checkpoint; hyperparameters of this trial's own config."""
        config = self.task.config
        if state["optimizer_name"] != config.optimizer:
            raise ValueError(
                f"the checkpoint was made with optimizer {state['optimizer_name']!r}, the config asks for "
                f"{config.optimizer!r}; moments do not carry over. Keep the optimizer fixed where trials "
                "copy others."
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        optimizers.apply(config, self.optimizer)
        if self.average is not None and state["average"] is not None:
            self.average.load_state_dict(state["average"])
        if state["scaler"]:  # empty where none was needed: made on a CPU, or with another precision
            self.scaler.load_state_dict(state["scaler"])
        self.samples, self.steps = state["samples"], state["steps"]
        self.best, self.stale = state["best"], state["stale"]

    def mutate(self, config: Mapping[str, Any]) -> None:
        """Take over a config that differs in mutable hyperparameters only."""
        new = hparams.mutated(self.task.config, config)
        self.task.config = new
        self._check()
        optimizers.apply(new, self.optimizer)
        self.task.mutate(self.model)


class _Objective(torch.nn.Module):
    """The task's loss as a module's forward pass, which is what DDP wraps."""

    def __init__(self, task: Task, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model
        self._task = task

    def forward(self, batch: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        result = self._task.loss(self.model, batch)
        loss, others = result if isinstance(result, tuple) else (result, {})
        if loss.ndim != 0:
            raise ValueError(
                f"loss() returned shape {tuple(loss.shape)}; it must be a scalar: the mean over the batch."
            )
        return loss, {name: value.detach() for name, value in others.items()}


def _seed(seed: int, stream: int, position: int, rank: int) -> int:
    """A seed for torch from (seed, stream, position, rank), well mixed."""
    return int(
        np.random.SeedSequence((seed, stream, position, rank)).generate_state(1, np.uint64)[0] >> np.uint64(1)
    )


def noise_seed(seed: int, samples: int) -> int:
    """Of the Langevin noise of the step that begins after so many samples; equal on every rank."""
    return _seed(seed, NOISE, samples, 0)
