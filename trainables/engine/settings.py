"""The hyperparameters of the training loop, which every task has; a task's own `Config` extends them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from trainables.engine import parts
from trainables.engine.hparams import hyper
from trainables.engine.parts import Parts

EXTRA = ("schedule_free", "prodigy")
"""Update rules of the extra `optimizers`."""
OPTIMIZERS = ("sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw", "langevin", "psgld", *EXTRA)
SCHEDULES = ("constant", "linear", "cosine", "wsd")


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """How a task is trained. Lengths are in optimiser steps unless their name says otherwise.

    What is typed `Parts` may be one number, or a value for each part: `{"0": 0.1, "1": 0.01}`.
    """

    optimizer: str = hyper("momentum", "Update rule.", choices=OPTIMIZERS, group="optim")
    lr: Parts = hyper(
        0.03,
        "Peak learning rate; or one for each equal part of the run.",
        low=1e-4,
        high=1.0,
        log=True,
        group="optim",
        mutable=True,
    )
    momentum: Parts | None = hyper(
        None,
        "Momentum of sgd, rmsprop, momentum and nesterov, or one for each part of the run; None is 0 for the "
        "first two and 0.9 for the last two. Others ignore it.",
        low=0.0,
        high=0.99,
        group="optim",
        mutable=True,
    )
    beta1: Parts = hyper(
        0.9,
        "Decay of the first moment of adam, adamw, schedule_free and prodigy; or one for each part of the "
        "run.",
        low=0.5,
        high=0.99,
        group="optim",
        mutable=True,
    )
    beta2: Parts = hyper(
        0.999,
        "Decay of their second moment, and of rmsprop's and psgld's; or one for each part of the run.",
        low=0.9,
        high=0.9999,
        group="optim",
        mutable=True,
    )
    temperature: Parts = hyper(
        1.0,
        "T of langevin and psgld; 1 samples the posterior, 0 is plain SGD. Others ignore it.",
        low=0.01,
        high=1000.0,
        log=True,
        group="optim",
        mutable=True,
    )
    weight_decay: Parts = hyper(
        0.0,
        "L2 penalty, decoupled from the gradient for adamw, schedule_free and prodigy; or one for each run "
        "of layers.",
        low=1e-6,
        high=1e-1,
        log=True,
        group="reg",
        mutable=True,
    )
    batch_size: int = hyper(
        64,
        "Samples in one forward and backward pass over all ranks together.",
        low=16,
        high=512,
        log=True,
        group="optim",
        mutable=True,
    )
    accumulate: int = hyper(
        1, "Passes added up before one step, which then sees batch_size * accumulate samples.", group="optim"
    )
    epochs: float = hyper(9.0, "Passes over the training split until the trial is complete.", group="optim")
    schedule: str = hyper(
        "constant",
        "Learning rate over the run. Early-stopping schedulers compare trials in mid-run, where only "
        "constant and wsd are fair.",
        choices=SCHEDULES,
        group="optim",
    )
    warmup_steps: int = hyper(0, "Steps of linear rise to `lr`.", low=0, high=1000, group="optim")
    t_max: int | None = hyper(
        None, "Steps after which linear and cosine reach 0; None is the whole run.", group="optim"
    )
    decay_fraction: float = hyper(
        0.2, "Part of the run that wsd spends decaying to 0 at its end.", low=0.05, high=0.5, group="optim"
    )
    clip: float | None = hyper(
        None, "Largest norm of the gradient; None leaves it alone.", low=0.1, high=10.0, log=True, group="reg"
    )
    ema_decay: float = hyper(
        0.0, "Decay of the averaged weights that are evaluated; 0 is off.", low=0.9, high=0.9999, group="reg"
    )
    ema_every: int = hyper(1, "Steps between two updates of the average.", group="reg")
    precision: str = hyper(
        "fp32", "Arithmetic of the forward pass (autocast).", choices=("fp32", "bf16", "fp16"), group="optim"
    )
    compile: bool = hyper(
        False,
        "Whether the pass through the loss and back is compiled (torch.compile), once at a trial's start and "
        "again when a size changes: seconds to minutes, and it needs a C compiler.",
        group="optim",
    )
    patience: int | None = hyper(
        None, "Reports without improvement of the task's metric before the trial stops itself.", group="reg"
    )
    report_every: int | None = hyper(None, "Steps between two reports; None is one epoch.")
    noise_steps: int = hyper(
        0,
        "Steps of each report at which the gradient noise scale is measured, which the report then has; it "
        "needs accumulate above 1, or several ranks. 0: none.",
    )
    hypergrad: int = hyper(
        0,
        "Training seeds over which the derivatives of val_loss by hyperparameters are averaged, which the "
        "last report then has; 0: none are taken unless the search asks. A seed costs 3 to 4 trainings.",
    )
    seed: int = hyper(0, "Initial weights, order of samples, dropout, augmentation and noise follow from it.")

    def __post_init__(self) -> None:
        wrong = [
            f"`{name}` is {value}; it must be {rule}."
            for name, value, fine, rule in (
                ("lr", self.lr, _all(self.lr, lambda v: 0 <= v < float("inf")), "at least 0 and finite"),
                ("momentum", self.momentum, _all(self.momentum, lambda v: 0 <= v < 1), "in [0, 1)"),
                ("beta1", self.beta1, _all(self.beta1, lambda v: 0 <= v < 1), "in [0, 1)"),
                ("beta2", self.beta2, _all(self.beta2, lambda v: 0 <= v < 1), "in [0, 1)"),
                ("temperature", self.temperature, _all(self.temperature, lambda v: v >= 0), "at least 0"),
                ("weight_decay", self.weight_decay, _all(self.weight_decay, lambda v: v >= 0), "at least 0"),
                ("batch_size", self.batch_size, self.batch_size >= 1, "at least 1"),
                ("accumulate", self.accumulate, self.accumulate >= 1, "at least 1"),
                ("epochs", self.epochs, 0 < self.epochs < float("inf"), "above 0 and finite"),
                ("warmup_steps", self.warmup_steps, self.warmup_steps >= 0, "at least 0"),
                ("t_max", self.t_max, self.t_max is None or self.t_max >= 1, "at least 1, or None"),
                ("decay_fraction", self.decay_fraction, 0 < self.decay_fraction <= 1, "in (0, 1]"),
                ("clip", self.clip, self.clip is None or self.clip > 0, "above 0, or None"),
                ("ema_decay", self.ema_decay, 0 <= self.ema_decay < 1, "in [0, 1)"),
                ("ema_every", self.ema_every, self.ema_every >= 1, "at least 1"),
                (
                    "patience",
                    self.patience,
                    self.patience is None or self.patience >= 1,
                    "at least 1, or None",
                ),
                (
                    "report_every",
                    self.report_every,
                    self.report_every is None or self.report_every >= 1,
                    "at least 1, or None",
                ),
                ("seed", self.seed, self.seed >= 0, "at least 0"),
                (
                    "optimizer",
                    self.optimizer,
                    self.optimizer not in EXTRA or find_spec("pytorch_optimizer") is not None,
                    "installed: pip install 'starling-sweeps[optimizers]'",
                ),
                ("noise_steps", self.noise_steps, self.noise_steps >= 0, "at least 0"),
                ("hypergrad", self.hypergrad, self.hypergrad >= 0, "at least 0"),
            )
            if not fine
        ]
        if wrong:
            raise ValueError(" ".join(wrong))


def _all(given: Parts | None, fine: Callable[[float], bool]) -> bool:
    """Whether every part is fine; None is."""
    return given is None or all(map(fine, parts.values(given)))
