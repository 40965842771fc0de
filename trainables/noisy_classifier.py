"""A classifier of images at every noise level of a diffusion, by whose gradient another's sampling is guided.

Dhariwal & Nichol 2021 (arXiv:2105.05233), section 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainables.denoising.datasets import CLASSES, SHAPES, Noised, splits, stratified
from trainables.denoising.denoiser import like, standardised
from trainables.denoising.described import Described, describe
from trainables.denoising.paths import PATHS, Path, Steps
from trainables.denoising.settings import Backbone, missing_data
from trainables.engine import Task, hyper
from trainables.engine.ddp import Ranks
from trainables.nets.unet import NoisyClassifier
from trainables.registry import register


@dataclass(frozen=True, kw_only=True, slots=True)
class NoisyClassification(Backbone):
    """Hyperparameters of `noisy_classifier`."""

    path: str = hyper(
        "cosine_steps", "That of the diffusion to be guided: ddpm's steps, or sde's path.",
        choices=("linear_steps", "cosine_steps", *PATHS), group="model",
    )  # fmt: skip


class AtTimes(Described):
    """Class scores of images x at time t."""

    def __init__(self, net: nn.Module, path: Path, data_std: float, description: Mapping[str, Any]) -> None:
        super().__init__(description)
        self.net, self.path, self.data_std = net, path, data_std

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Shape (n, classes); t has shape () or (n,)."""
        alpha, sigma = (like(one, x) for one in self.path.at(t))
        found: Tensor = self.net(*standardised(x, alpha, sigma, self.data_std))
        return found.float()

    def log_probability(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        """log p(label | x at time t), shape (n,)."""
        return F.log_softmax(self(x, t), 1).gather(1, labels[:, None])[:, 0]


@register("noisy_classifier")
class Classifier(Task):
    """Cross-entropy on images at all noise levels; loss and accuracy over them on held-out images."""

    Config = NoisyClassification
    metric = ("val_loss", "min")
    metrics: ClassVar[tuple[str, ...]] = ("train_loss", "val_loss", "val_accuracy")
    config: NoisyClassification

    def setup(self) -> None:
        """Open the dataset; CIFAR-10 is decoded once on each node."""
        c = self.config
        train, self.val, self._test = splits(c.dataset, c.data)
        self.train = Noised(train, SHAPES[c.dataset], mirror=c.dataset == "cifar10")

    def build(self) -> nn.Module:
        """The U-Net's way down."""
        c, shape = self.config, SHAPES[self.config.dataset]
        net = NoisyClassifier(
            shape.channels, shape.side, c.width, c.channel_multipliers(), c.blocks, c.attention, c.dropout,
            CLASSES,
        )  # fmt: skip
        path = Steps(c.path.removesuffix("_steps")) if c.path.endswith("_steps") else PATHS[c.path]()
        return AtTimes(net, path, shape.deviation, describe("noisy_classifier", c))

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        """At the times and with the noise of the batch."""
        assert isinstance(model, AtTimes)
        x, y, u, eps = batch
        t = model.path.draw(u[:, 0])
        alpha, sigma = (like(one, x) for one in model.path.at(t))
        return F.cross_entropy(model(alpha * x + sigma * eps, t), y)

    def evaluate(self, model: nn.Module, ranks: Ranks) -> dict[str, float]:
        """At fixed times, one in each of n equal parts, with fixed noise."""
        return _quality(model, self.val, ranks, "val")

    def test(self, model: nn.Module, ranks: Ranks) -> dict[str, float]:
        """The same on the test split."""
        return _quality(model, self._test, ranks, "test")

    @classmethod
    def problems(cls, config: Mapping[str, Any]) -> list[str]:
        """CIFAR-10's files missing."""
        return missing_data(config)


def _quality(model: nn.Module, split: Any, ranks: Ranks, prefix: str) -> dict[str, float]:
    assert isinstance(model, AtTimes)
    path = model.path

    def measure(batch: Any) -> dict[str, Tensor]:
        x, y = batch
        t = path.draw(stratified(len(x), x.device))
        alpha, sigma = (like(one, x) for one in path.at(t))
        scores = model(alpha * x + sigma * torch.randn_like(x), t)
        accuracy = (scores.argmax(1) == y).double().mean()
        return {f"{prefix}_loss": F.cross_entropy(scores, y), f"{prefix}_accuracy": accuracy}

    return ranks.mean(split, measure)
