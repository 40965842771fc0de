"""The engine of ensembles that grow by rounds: a report every so many, from margins to metrics."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch

from trainables.boosters.trees import Array
from trainables.engine import data, hparams
from trainables.engine.ddp import Ranks
from trainables.engine.task import Task

FORMAT = 1
TRAIN, VAL, TEST = 0, 1, 2


class Ensemble(Protocol):
    """What is grown. It keeps this rank's rows of each split, and margins for them."""

    config: Any
    ended: bool
    """No further round is possible."""

    def grow(self, first: int, count: int) -> None:
        """Up to `count` rounds, of which `first` is the number of the first."""
        ...

    @property
    def margins(self) -> list[Array]:
        """Logits or numbers for this rank's rows of each split, shape (n, K); two classes may have one."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Tensors, equal on every rank."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from them."""
        ...


class Rounds:
    """The five verbs for an ensemble.

    Args:
        task: has `train` and `val`, and may have `final`, each rows (n, d) and labels (n,): integers are
            classes.
        make: from (config, train, number of classes or 0, this rank's rows of other splits, ranks) to an
            ensemble.
    """

    def __init__(self, task: Task, ranks: Ranks, make: Callable[..., Ensemble]) -> None:
        self.task, self.ranks = task, ranks
        splits = [task.train, task.val, getattr(task, "final", task.val)]
        whole = [(np.asarray(x, np.float32), np.asarray(y)) for x, y in splits]
        self._labels = [y for _, y in whole]
        y = self._labels[TRAIN]
        self.classes = int(y.max()) + 1 if np.issubdtype(y.dtype, np.integer) else 0
        if len(y) < ranks.size:
            raise ValueError(f"there are {len(y)} training rows for {ranks.size} ranks; each needs one.")
        self._parts = [data.share(len(y), ranks.rank, ranks.size) for y in self._labels]
        followed = [x[part] for (x, _), part in zip(whole, self._parts, strict=True)][VAL:]
        self.ensemble = make(task.config, whole[TRAIN], self.classes, followed, ranks)
        self.rounds = 0
        self.best: float | None = None
        self.stale = 0
        self._seconds = 0.0
        self._train_metrics: dict[str, float] = {}

    def advance(self) -> dict[str, float]:
        """`report_every` rounds, or what is left of them."""
        start = time.perf_counter()
        c = self.task.config
        count = max(1, min(c.report_every, c.rounds - self.rounds))
        self.ensemble.grow(self.rounds, count)
        self.rounds += count
        loss, score = self._quality(TRAIN)
        self._train_metrics = {"train_loss": loss, "train_score": score}
        self._seconds = time.perf_counter() - start
        return self._train_metrics | {"rounds": self.rounds}

    def evaluate(self) -> dict[str, Any]:
        """Loss and score on held-out rows, the score of a constant answer, and whether training is done."""
        start = time.perf_counter()
        loss, score = self._quality(VAL)
        metrics: dict[str, Any] = {"val_loss": loss, "val_score": score, "trivial_score": self._trivial(VAL)}
        done = self.rounds >= self.task.config.rounds or self.ensemble.ended or self._impatient(metrics)
        if done and hasattr(self.task, "final"):
            metrics["test_loss"], metrics["test_score"] = self._quality(TEST)
        everything = {**self._train_metrics, **metrics}
        broken = [f"{name} is {value}" for name, value in everything.items() if not math.isfinite(value)]
        report = metrics | {"seconds": self._seconds + time.perf_counter() - start, "done": bool(done)}
        if not broken:
            return report
        fault = f"{', '.join(broken)} after {self.rounds} rounds; a lower learning_rate may help."
        return report | {"done": True, "fault": fault}

    def _quality(self, split: int) -> tuple[float, float]:
        """Loss and score over all ranks' rows of a split.

        Cross-entropy and accuracy for classes; squared error and the share of variance explained for numbers.
        """
        y, margins = self._labels[split][self._parts[split]], self.ensemble.margins[split]
        if not self.classes:
            squares = self._sum([np.square(y - margins[:, 0])])[0]
            return squares / len(self._labels[split]), self._explained(squares, split)
        if margins.shape[1] == 1:  # the logit of the second of two classes
            margins = np.concatenate([np.zeros_like(margins), margins], 1)
        losses = np.logaddexp.reduce(margins, axis=1) - margins[np.arange(len(y)), y]
        loss, right = self._sum([losses, margins.argmax(1) == y])
        return loss / len(self._labels[split]), right / len(self._labels[split])

    def _trivial(self, split: int) -> float:
        """The score of always saying the most frequent class, or the mean, of the training rows."""
        y = self._labels[split]
        if self.classes:
            return float((y == np.bincount(self._labels[TRAIN]).argmax()).mean())
        return self._explained(float(np.square(y - self._labels[TRAIN].mean()).sum()), split)

    def _explained(self, squares: float, split: int) -> float:
        """R^2: 1 - squares / squares around the split's own mean."""
        y = self._labels[split]
        return 1 - squares / float(np.square(y - y.mean()).sum())

    def _sum(self, columns: Sequence[Array]) -> list[float]:
        sums = torch.tensor([float(column.sum()) for column in columns], dtype=torch.float64)
        return [float(value) for value in self.ranks.sum(sums)]

    def _impatient(self, metrics: Mapping[str, float]) -> bool:
        """Count reports without improvement; True once there are `patience` of them."""
        name, mode = self.task.metric
        value = metrics[name] if mode == "min" else -metrics[name]
        if self.best is None or value < self.best:
            self.best, self.stale = value, 0
        else:
            self.stale += 1
        patience = self.task.config.patience
        return patience is not None and self.stale >= patience

    def state_dict(self) -> dict[str, Any]:
        """Equal on every rank."""
        return {
            "format": FORMAT,
            "model": self.ensemble.state_dict(),
            "rounds": self.rounds,
            "best": self.best,
            "stale": self.stale,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The ensemble so far; further rounds take the hyperparameters of this trial's own config."""
        self.ensemble.load_state_dict(state["model"])
        self.rounds, self.best, self.stale = state["rounds"], state["best"], state["stale"]

    def mutate(self, config: Mapping[str, Any]) -> None:
        """Take over a config that differs in mutable hyperparameters only, for the rounds to come."""
        self.task.config = self.ensemble.config = hparams.mutated(self.task.config, config)
