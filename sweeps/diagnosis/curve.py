"""One training as its reports tell it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sweeps.diagnosis.levels import Array

Values = Sequence[float | None] | Array

TRAIN = ("train_loss", "train/loss", "training_loss", "loss/train", "loss_train", "loss")
VAL = (
    "val_loss", "val/loss", "valid_loss", "validation_loss", "eval_loss", "eval/loss", "loss/val", "loss_val",
    "test_loss",
)  # fmt: skip
"""Names under which people report a loss, the first that is there counts."""
BESIDE = ("lr", "grad_norm", "grad_variance", "grad_square")


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """The reports of one training, in their order: arrays of shape (n,), NaN where a report lacks a value.

    Losses are to be minimised; a metric to be maximised is here with its sign turned.
    """

    iteration: Array
    train: Array | None = None
    """Loss on the data that are trained on."""
    val: Array | None = None
    """Loss on data held out, else the metric."""
    metric: Array | None = None
    """What the sweep improves, where that is not one of the two."""
    lr: Array | None = None
    grad_norm: Array | None = None
    grad_variance: Array | None = None
    """Trace of the covariance of one sample's gradient."""
    grad_square: Array | None = None
    """Squared norm of the gradient of all samples."""

    names: Mapping[str, str] = field(default_factory=dict)
    """What `train`, `val` and `metric` are called where they were reported."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """Hyperparameters, by dotted name."""
    searched: frozenset[str] = frozenset()
    """Those that the sweep searches; others are fixed."""
    turned: frozenset[str] = frozenset()
    """Those of `val` and `metric` whose sign is turned, since more of them is better."""
    broken: tuple[str, float, int] | None = None
    """The first value that is not finite: its name, itself, the iteration."""
    floor: float | None = None
    """The lowest training loss that any trial of the sweep ended at; None: not known."""
    val_floor: float | None = None
    """The lowest held-out loss, likewise."""
    good_lrs: tuple[float, float] | None = None
    """Least and largest learning rate of the sweep's better third; None: not known."""

    @classmethod
    def of(
        cls,
        *,
        iteration: Sequence[int] | Array | None = None,
        train_loss: Values | None = None,
        val_loss: Values | None = None,
        metric: Values | None = None,
        mode: str = "min",
        names: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Curve:
        """From plain sequences, None where a report lacks a value; NaN and infinity are values that broke.

        Args:
            metric, mode: what is improved, and whether "min" or "max" is better.
            names: what `train`, `val` and `metric` are called; None: train_loss, val_loss, metric.
            more: the other fields.
        """
        given = {"train": train_loss, "val": val_loss, "metric": metric}
        called = {"train": "train_loss", "val": "val_loss", "metric": "metric"} | dict(names or {})
        beside = {name: more.pop(name) for name in BESIDE if more.get(name) is not None}
        lengths = {len(v) for v in (*given.values(), *beside.values(), iteration) if v is not None}
        if len(lengths) != 1:
            raise ValueError(f"the values have lengths {sorted(lengths)}; give one value a report in each.")
        at = np.arange(1, lengths.pop() + 1) if iteration is None else np.asarray(iteration)
        broken: tuple[str, float, int] | None = None
        arrays: dict[str, Any] = {}
        for key, values in given.items():
            if values is None:
                continue
            for i, value in enumerate(values):
                if value is not None and not math.isfinite(value):
                    if broken is None or at[i] < broken[2]:
                        broken = (called[key], float(value), int(at[i]))
                    break
            arrays[key] = _plain(values)
        turned = set()
        if mode == "max" and "metric" in arrays:
            arrays["metric"] = -arrays["metric"]
            turned.add("metric")
        if "val" not in arrays and "metric" in arrays:
            arrays["val"], called["val"] = arrays["metric"], called["metric"]
            turned |= {"val"} if turned else set()
        arrays |= {name: _plain(values) for name, values in beside.items()}
        return cls(
            iteration=at.astype(np.float64), names=called, turned=frozenset(turned), broken=broken,
            **arrays, **more,
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.iteration)

    @property
    def main_key(self) -> str:
        """Which of `train` and `val` the optimiser works on, as far as known: the training loss if there."""
        return "train" if has(self.train) else "val"

    @property
    def main(self) -> Array:
        """Its values, without gaps."""
        return known(getattr(self, self.main_key))

    @property
    def judged_key(self) -> str:
        """Which of `train` and `val` counts: the held-out loss, if there."""
        return "val" if has(self.val) else "train"

    @property
    def judged(self) -> Array:
        """Its values, without gaps."""
        return known(getattr(self, self.judged_key))

    def real(self, key: str, value: float) -> float:
        """A value of `train`, `val` or `metric` with the sign that it was reported with."""
        return -float(value) if key in self.turned else float(value)

    def called(self, key: str) -> str:
        """The reported name of `train`, `val` or `metric`."""
        return self.names.get(key, key)

    def both(self) -> tuple[Array, Array, Array]:
        """Iteration, training loss and held-out loss of the reports that have both; may be empty."""
        if self.train is None or self.val is None:
            return (np.empty(0),) * 3
        there = np.isfinite(self.train) & np.isfinite(self.val)
        return self.iteration[there], self.train[there], self.val[there]

    def at(self, index: int, series: str) -> int:
        """The iteration of the index-th value of `train` or `val` without its gaps."""
        values = getattr(self, series)
        return int(self.iteration[np.isfinite(values)][index])

    @property
    def peak_lr(self) -> float | None:
        """The learning rate that it was trained with: the configured one, else the largest reported."""
        given = self.config.get("lr", self.config.get("learning_rate"))
        if isinstance(given, int | float):
            return float(given)
        seen = known(self.lr)
        return float(seen.max()) if len(seen) else None

    @property
    def step_samples(self) -> int | None:
        """Samples of a step."""
        size, times = self.config.get("batch_size"), self.config.get("accumulate", 1)
        return int(size * times) if isinstance(size, int) and isinstance(times, int) else None

    @property
    def noise_scale(self) -> float | None:
        """Gradient noise scale (McCandlish et al. 2018), of the means over all reports; None: unknown."""
        if self.grad_variance is None or self.grad_square is None:
            return None
        variance, square = known(self.grad_variance), known(self.grad_square)
        if not len(variance) or not len(square) or square.mean() <= 0 or variance.mean() <= 0:
            return None
        return float(variance.mean() / square.mean())


def known(values: Array | None) -> Array:
    """The finite ones."""
    return np.empty(0) if values is None else values[np.isfinite(values)]


def has(values: Array | None) -> bool:
    """Whether there are any."""
    return values is not None and bool(np.isfinite(values).any())


def loss_names(columns: Iterable[str], metric: str, mode: str) -> dict[str, str]:
    """Which of the reported names are the training loss (`train`), the held-out loss (`val`), and the metric.

    A metric to be minimised that has a name of neither is the held-out loss.
    """
    there = set(columns)
    found: dict[str, str] = {"metric": metric} if metric in there else {}
    for key, names in (("train", TRAIN), ("val", VAL)):
        name = next((name for name in names if name in there), None)
        if name is not None and not (key == "train" and name == metric):
            found[key] = name
    if "val" not in found and metric in there and mode == "min":
        found["val"] = metric
    return found


def _plain(values: Values) -> Array:
    """NaN for whatever is missing or not finite."""
    array = np.array([math.nan if v is None else float(v) for v in values])
    array[~np.isfinite(array)] = math.nan
    return array
