"""The training loop that also says how its hyperparameters should have been: derivatives, at its end.

While it trains it keeps every sqrt(T)-th state; nothing else changes. With its last report it goes all the
way back (`unrolled.rewind`), 3 to 4 training runs' time for any number of hyperparameters, and reports

    hypergrad/<name>      d val_loss / d <name>, by the value as it stands in the configuration
    hypergrad/_norm       Euclidean norm of all of them
    hypergrad/_horizon    steps that were differentiated: derivatives of different horizons are not comparable
    hypergrad/_growth     log10 of how far a disturbance grew on the way: chaos (see `trust`)
    hypergrad/_agreement  with several seeds: how far their derivatives point the same way, from -1 to 1
    hypergrad/_trusted    1, or 0 where one of the above forbids to follow them

By these it is differentiated: `lr`, `weight_decay`, `clip`, `momentum` or `beta1` and `beta2` or
`temperature` as the optimiser has them, with a value for each part where the configuration gives parts; and
what the task declares in `differentiable`. In the task's `loss` those are tensors on the way back.

A search asks for derivatives by `_hypergrad_of`, also where the configuration does not; and where `val_loss`
is not below its `_hypergrad_if_below` the way back is spared.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from trainables.engine import data, optimizers, parts
from trainables.engine.ddp import Ranks
from trainables.engine.loop import Loop, noise_seed
from trainables.engine.settings import Training
from trainables.engine.task import Task
from trainables.hypergrad.trust import trusted
from trainables.hypergrad.unrolled import Hyper, Hypergradient, Run, Tape, record, rewind
from trainables.hypergrad.updates import AdamW, Clipped, Langevin, Settings, Sgd, Tensors, Update

LOSS = "val_loss"
OF_OPTIMIZER = {
    "sgd": ("momentum",),
    "momentum": ("momentum",),
    "adam": ("beta1", "beta2"),
    "adamw": ("beta1", "beta2"),
    "langevin": ("temperature",),
}


def obstacle(config: Training, model: torch.nn.Module) -> str | None:
    """What keeps this training from being differentiated, and what to do; None if nothing does."""
    if any(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in model.modules()):
        return (
            "batch normalisation in the model: no derivative goes through its running statistics. Use "
            "another normalisation (`norm: group`)."
        )
    if config.optimizer not in OF_OPTIMIZER:
        return f"no derivative by the update of {config.optimizer}; there is by {', '.join(OF_OPTIMIZER)}."
    if config.ema_decay:
        return "an average of the weights (`ema_decay`), while the last weights' loss is differentiated."
    return "arithmetic other than fp32 (`precision`)." if config.precision != "fp32" else None


class Differentiated(Loop):
    """The engine of a task whose configuration has `hypergrad`, or whose search asks for derivatives."""

    def __init__(self, task: Task, ranks: Ranks) -> None:
        super().__init__(task, ranks)
        names = {id(p): f"model.{name}" for name, p in self.model.named_parameters()}
        self._names = [names[id(p)] for p in self.params]
        sizes = [len(layer) for layer in optimizers.trained(self.model)]
        self._layer = torch.tensor([i for i, size in enumerate(sizes) for _ in range(size)])
        self._every = max(1, round(math.sqrt(self._end / self._step_samples)))
        self._kept: dict[int, tuple[Tensors, Tensors]] = {}
        self._mixed = False

    def _step(self, sums: dict[str, Tensor], measure: bool) -> Tensor:
        if self.steps % self._every == 0:
            self._kept[self.steps] = self._state()
        return super()._step(sums, measure)

    def evaluate(self) -> dict[str, Any]:
        """The loop's report; the last one with derivatives, if they are wanted and there are any."""
        report = super().evaluate()
        if report["done"] and "fault" not in report and not self._mixed:
            below = self.task.asides.get("_hypergrad_if_below")
            if below is None or report[LOSS] < below:
                report |= self._derivatives()
            self._kept.clear()
        return report

    def state_dict(self) -> dict[str, Any]:
        """The loop's, and which configuration trained it."""
        own = {"config": repr(self.task.config), "mixed": self._mixed}
        return super().state_dict() | {"hypergrad": own}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The loop's; the states on the way to it are computed again where the way back needs them."""
        super().load_state_dict(state)
        own = state.get("hypergrad", {"mixed": True})
        self._mixed = own["mixed"] or own["config"] != repr(self.task.config)
        self._kept = {}

    def mutate(self, config: Mapping[str, Any]) -> None:
        """The loop's; a run under several configurations has no derivative by one."""
        super().mutate(config)
        self._mixed = True

    def _derivatives(self) -> dict[str, float]:
        config = self.task.config
        self.model.train()
        seeds = [config.seed + 1_000_003 * i for i in range(max(1, config.hypergrad))]
        found = [self._rewound(seed) for seed in seeds]
        flat = torch.stack([torch.cat([g.reshape(-1) for g in one.gradient.values()]) for one in found])
        growth, agreement = max(one.growth for one in found), _agreement(flat)
        names = [
            name if value.ndim == 0 else f"{name}.{i}"
            for name, value in self._hyper().items()
            for i in range(value.numel())
        ]
        slopes = dict(zip(names, flat.mean(0).tolist(), strict=True))
        finite = all(map(math.isfinite, slopes.values()))
        norm = float(flat.mean(0).norm())
        return {
            **({f"hypergrad/{name}": slope for name, slope in slopes.items()} if finite else {}),
            **({"hypergrad/_norm": norm} if math.isfinite(norm) else {}),
            **({"hypergrad/_growth": growth} if math.isfinite(growth) else {}),
            **({} if agreement is None else {"hypergrad/_agreement": agreement}),
            "hypergrad/_horizon": self.steps,
            "hypergrad/_trusted": int(finite and trusted(growth, agreement)),
        }

    def _rewound(self, seed: int) -> Hypergradient:
        """The derivatives of this run, or of its like with another seed."""
        hyper = self._hyper()
        run = self._run(seed)
        if seed == self.task.config.seed and 0 in self._kept:
            return rewind(run, Tape(self._kept, self._state()), hyper)
        torch.manual_seed(seed)
        model = self.task.build().to(self.ranks.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        start = tuple(p for layer in optimizers.trained(model) for p in layer)
        return rewind(run, record(run, start, hyper), hyper)

    def _hyper(self) -> dict[str, Tensor]:
        """Where the derivative is taken: by name the value, shape (), or those of its parts, shape (n,)."""
        config = self.task.config
        values = {name: getattr(config, name) for name in ("lr", "weight_decay", "clip")}
        values |= {name: getattr(config, name) for name in OF_OPTIMIZER[config.optimizer]}
        if "momentum" in values:
            values["momentum"] = optimizers.momentum(config)
        values |= {name: getattr(config, name) for name in self.task.differentiable}
        found = {}
        for name, value in values.items():
            if value is None or (name in ("momentum", "temperature") and 0 in parts.values(value)):
                continue  # plain SGD keeps no velocity, and a square root has no slope at 0
            several = isinstance(value, Mapping)
            plain = parts.values(value) if several else float(value)
            found[name] = torch.tensor(plain, dtype=self.params[0].dtype, device=self.ranks.device)
        return found

    def _run(self, seed: int) -> Run:
        return Run(
            loss=lambda params, hyper, step: self._loss(params, hyper, step, seed),
            update=self._update(seed),
            settings=self._settings,
            validation=self._validation,
            steps=self.steps,
            average=self.ranks.average,
        )

    def _loss(self, params: Tensors, hyper: Hyper, step: int, seed: int) -> Tensor:
        """This rank's part of the mean loss of a step."""
        self.ranks.beats += 1
        total = torch.zeros((), device=self.ranks.device)
        with self._seen(hyper, seed):
            config, first = self.task.config, step * self._step_samples
            for k in range(config.accumulate):
                batch, weight = self._batch(first + k * config.batch_size)
                loss = self._call(self.task.loss, params, batch)
                loss = loss[0] if isinstance(loss, tuple) else loss
                total = total + loss * (weight * self.ranks.size)
        return total

    def _validation(self, params: Tensors, hyper: Hyper) -> Tensor:
        """This rank's part of the mean loss on held-out data."""
        total = torch.zeros((), device=self.ranks.device)
        self.model.eval()
        with self._seen(hyper, self.task.config.seed):
            for batch, weight in self.ranks.deal(self.task.val):
                total = total + self._call(self.task.held_out, params, batch) * (weight * self.ranks.size)
        self.model.train()
        return total

    def _call(self, loss: Callable[[Any, Any], Any], params: Tensors, batch: Any) -> Any:
        """A loss of the model with other parameters."""
        function = _Function(loss, self.model)
        return torch.func.functional_call(function, dict(zip(self._names, params, strict=True)), (batch,))

    @contextmanager
    def _seen(self, hyper: Hyper, seed: int) -> Iterator[None]:
        """Within, the task's configuration has these values, and samples come in the order of that seed."""
        config, order = self.task.config, self.order
        self.task.config = _View(config, {**hyper, "seed": seed})
        if seed != config.seed:
            self.order = data.Order(len(self.train), seed)
        try:
            yield
        finally:
            self.task.config, self.order = config, order

    def _update(self, seed: int) -> Update:
        config = self.task.config
        update: Update
        match config.optimizer:
            case "sgd" | "momentum":
                update = Sgd()
            case "adam" | "adamw":
                update = AdamW(decoupled=config.optimizer == "adamw")
            case _:
                update = Langevin(len(self.train), lambda step: noise_seed(seed, step * self._step_samples))
        return Clipped(update) if config.clip is not None else update

    def _settings(self, hyper: Hyper, step: int) -> Settings:
        """What the optimiser reads at a step."""
        done = step * self._step_samples / self._end
        now = {"momentum": torch.zeros(()), "temperature": torch.zeros(())}
        for name, value in hyper.items():
            if name == "weight_decay":
                layers = int(self._layer[-1]) + 1
                now[name] = parts.spread(value, layers)[self._layer] if value.ndim else value
            else:
                now[name] = value[parts.place(done, len(value))] if value.ndim else value
        return now | {"lr": now["lr"] * self._factor(step)}

    def _state(self) -> tuple[Tensors, Tensors]:
        """Copies of the parameters and of what the update calls its state."""
        held = self.optimizer.state
        match self.task.config.optimizer:
            case "sgd" | "momentum":
                fields = ["momentum_buffer"]
            case "adam" | "adamw":
                fields = ["exp_avg", "exp_avg_sq"]
            case _:
                fields = []
        state = []
        for field, p in itertools.product(fields, self.params):
            value = held[p].get(field) if p in held else None
            state.append(torch.zeros_like(p) if value is None else value.detach().clone())
        return tuple(p.detach().clone() for p in self.params), tuple(state)


class _Function(torch.nn.Module):
    """A loss as a module, so that PyTorch can call it with other parameters of the model."""

    def __init__(self, loss: Callable[[Any, Any], Any], model: torch.nn.Module) -> None:
        super().__init__()
        self._loss, self.model = loss, model

    def forward(self, batch: Any) -> Any:
        return self._loss(self.model, batch)


class _View:
    """A configuration with some values in the place of its own."""

    def __init__(self, config: Any, values: Mapping[str, Any]) -> None:
        self._config, self._values = config, values

    def __getattr__(self, name: str) -> Any:
        return self._values[name] if name in self._values else getattr(self._config, name)


def _agreement(flat: Tensor) -> float | None:
    """Mean cosine between the derivatives of pairs of seeds, rows of (seeds, K); None of one seed."""
    if len(flat) < 2:
        return None
    unit = flat / flat.norm(dim=1, keepdim=True).clamp_min(1e-30)
    cosines = unit @ unit.T
    n = len(flat)
    return float((cosines.sum() - cosines.diagonal().sum()) / (n * (n - 1)))
