"""Boosted trees on tables: AdaBoost, gradient boosting and XGBoost, a report every few rounds.

A subclass with a `setup` of its own trains on other tables; integers as labels are classes, others numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar

from trainables.boosters import adaboost, gbdt, rounds, tables, xgb
from trainables.engine import Task, hyper
from trainables.engine.ddp import Ranks
from trainables.engine.task import Engine
from trainables.registry import register


@dataclass(frozen=True, kw_only=True, slots=True)
class Boosting:
    """What all boosting has. Values that may change while a trial runs count for the rounds to come."""

    dataset: str = hyper(
        "digits", "Table of scikit-learn's.", choices=tables.CLASSES + tables.NUMBERS, group="data"
    )
    rounds: int = hyper(
        100, "Rounds until the trial is complete.", low=10, high=1000, log=True, group="optim"
    )
    learning_rate: float = hyper(
        0.1, "Factor of what a round adds.", low=0.01, high=1.0, log=True, group="optim", mutable=True
    )
    max_depth: int = hyper(3, "Splits above a leaf at most.", low=1, high=6, group="model", mutable=True)
    max_bins: int = hyper(
        256, "Groups into which a feature's values are put at most; splits lie between them.",
        low=16, high=256, log=True, group="model",
    )  # fmt: skip
    patience: int | None = hyper(
        None, "Reports without improvement of the metric before the trial stops itself.", group="reg"
    )
    report_every: int = hyper(10, "Rounds between two reports.")
    seed: int = hyper(0, "The samples of rows and columns follow from it.")

    def __post_init__(self) -> None:
        self._refuse(
            ("rounds", self.rounds >= 1, "at least 1"),
            ("learning_rate", 0 < self.learning_rate < math.inf, "above 0 and finite"),
            ("max_depth", 1 <= self.max_depth <= 16, "from 1 to 16"),
            ("max_bins", self.max_bins >= 2, "at least 2"),
            ("patience", self.patience is None or self.patience >= 1, "at least 1, or None"),
            ("report_every", self.report_every >= 1, "at least 1"),
            ("seed", self.seed >= 0, "at least 0"),
        )

    def _refuse(self, *rules: tuple[str, bool, str]) -> None:
        wrong = [
            f"`{name}` is {getattr(self, name)}; it must be {rule}." for name, fine, rule in rules if not fine
        ]
        if wrong:
            raise ValueError(" ".join(wrong))


@dataclass(frozen=True, kw_only=True, slots=True)
class AdaBoosting(Boosting):
    """Hyperparameters of AdaBoost; defaults as in scikit-learn."""

    dataset: str = hyper("digits", "Table of scikit-learn's.", choices=tables.CLASSES, group="data")
    learning_rate: float = hyper(
        1.0, "Factor of a tree's vote.", low=0.01, high=1.0, log=True, group="optim", mutable=True
    )
    max_depth: int = hyper(1, "Splits above a leaf at most.", low=1, high=6, group="model", mutable=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampled(Boosting):
    """Boosting whose rounds may each see a random sample."""

    subsample: float = hyper(
        1.0, "Probability with which a round sees a row.", low=0.3, high=1.0, group="reg", mutable=True
    )
    colsample_bytree: float = hyper(
        1.0, "Share of the features that a round's trees may ask for.",
        low=0.3, high=1.0, group="reg", mutable=True,
    )  # fmt: skip

    def __post_init__(self) -> None:
        Boosting.__post_init__(self)
        self._refuse(
            ("subsample", 0 < self.subsample <= 1, "above 0 and at most 1"),
            ("colsample_bytree", 0 < self.colsample_bytree <= 1, "above 0 and at most 1"),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class GradientBoosting(Sampled):
    """Hyperparameters of gradient boosting; defaults as in scikit-learn."""

    min_samples_leaf: int = hyper(
        1, "Rows that each side of a split needs.", low=1, high=50, log=True, group="reg", mutable=True
    )

    def __post_init__(self) -> None:
        Sampled.__post_init__(self)
        self._refuse(("min_samples_leaf", self.min_samples_leaf >= 1, "at least 1"))


@dataclass(frozen=True, kw_only=True, slots=True)
class XGBoosting(Sampled):
    """Hyperparameters of XGBoost under its own names; defaults are its own."""

    learning_rate: float = hyper(
        0.3, "Factor of what a round adds (eta).", low=0.01, high=1.0, log=True, group="optim", mutable=True
    )
    max_depth: int = hyper(6, "Splits above a leaf at most.", low=1, high=10, group="model", mutable=True)
    reg_lambda: float = hyper(
        1.0, "L2 penalty on the values of leaves.", low=0.01, high=10.0, log=True, group="reg", mutable=True
    )
    gamma: float = hyper(
        0.0, "Loss that a split must save.", low=0.0, high=5.0, group="reg", mutable=True
    )
    min_child_weight: float = hyper(
        1.0, "Sum of second derivatives that each side of a split needs.",
        low=0.1, high=10.0, log=True, group="reg", mutable=True,
    )  # fmt: skip

    def __post_init__(self) -> None:
        Sampled.__post_init__(self)
        self._refuse(
            ("reg_lambda", self.reg_lambda >= 0, "at least 0"),
            ("gamma", self.gamma >= 0, "at least 0"),
            ("min_child_weight", self.min_child_weight >= 0, "at least 0"),
        )


class Boosted(Task):
    """A task whose model is an ensemble of trees; `score` is accuracy for classes and R^2 for numbers.

    `trivial_score` is what always answering the most frequent class, or the mean, would score.
    """

    Config = Boosting
    metric = ("val_score", "max")
    metrics: ClassVar[tuple[str, ...]] = (
        "train_loss", "train_score", "val_loss", "val_score", "trivial_score",
    )  # fmt: skip
    beside: ClassVar[tuple[str, ...]] = ("rounds", "seconds")
    final: Any
    """Rows for the end, like `train`; left out where there are none."""

    def setup(self) -> None:
        """The table that the config names."""
        self.train, self.val, self.final = tables.load(self.config.dataset)

    @classmethod
    def reports(cls, config: Any) -> int | None:
        """One every so many rounds."""
        return math.ceil(config.rounds / config.report_every)


@register("adaboost")
class AdaBoost(Boosted):
    """AdaBoost with trees, for classes (SAMME)."""

    Config = AdaBoosting

    def engine(self, ranks: Ranks) -> Engine:
        """Trees of our own over all ranks."""
        return rounds.Rounds(self, ranks, adaboost.AdaBoost)


@register("gbdt")
class GBDT(Boosted):
    """Gradient boosting of trees, for classes or numbers."""

    Config = GradientBoosting

    def engine(self, ranks: Ranks) -> Engine:
        """Trees of our own over all ranks."""
        return rounds.Rounds(self, ranks, gbdt.GradientBoosting)


@register("xgboost")
class XGBoost(Boosted):
    """XGBoost, for classes or numbers."""

    Config = XGBoosting

    def engine(self, ranks: Ranks) -> Engine:
        """The library over all ranks."""
        return rounds.Rounds(self, ranks, xgb.XGBoost)

    @classmethod
    def problems(cls, config: Mapping[str, Any]) -> list[str]:
        """The library missing."""
        return [] if find_spec("xgboost") else [xgb.MISSING]
