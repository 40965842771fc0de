"""Image classification: scikit-learn's digits (no download) and CIFAR-10, small convolutional networks."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from trainables.engine import Task, Training, cifar10, hyper
from trainables.engine.data import Arrays, Dataset, Images
from trainables.engine.ddp import Ranks
from trainables.engine.images import decoded
from trainables.registry import register


@dataclass(frozen=True, kw_only=True, slots=True)
class Classification(Training):
    """Hyperparameters of image classification."""

    dataset: str = hyper(
        "digits", "8x8 grey digits or 32x32 photographs.", choices=("digits", "cifar10"), group="data"
    )
    data: str | None = hyper(
        None, "Folder of the CIFAR-10 Parquet files; None is STARLING_DATA.", group="data", path=True
    )
    model: str = hyper(
        "conv",
        "conv: two or more convolutions and a mean; simple_cnn: two convolutions and three linear layers, "
        "for "
        "cifar10; resnet: three stages of residual blocks.",
        choices=("conv", "simple_cnn", "resnet"),
        group="model",
    )
    width: int = hyper(16, "Channels of the first stage.", low=8, high=64, log=True, group="model")
    depth: int = hyper(
        1, "Residual blocks in each stage, or convolutions after the second.", low=1, high=3, group="model"
    )
    norm: str = hyper(
        "batch",
        "Normalisation in resnet. Only group is the same for any number of ranks and any accumulation.",
        choices=("batch", "group"),
        group="model",
    )
    dropout: float = hyper(0.0, "Rate before the last layer.", low=0.0, high=0.5, group="reg", mutable=True)
    label_smoothing: float = hyper(
        0.0, "Probability mass spread over all classes.", low=0.0, high=0.2, group="reg", mutable=True
    )
    augment: bool = hyper(
        False, "Random crops and mirror images (cifar10).", choices=(False, True), group="reg"
    )

    def __post_init__(self) -> None:
        Training.__post_init__(self)
        wrong = [
            f"`{name}` is {value}; it must be {rule}."
            for name, value, fine, rule in (
                ("width", self.width, self.width >= 1, "at least 1"),
                ("depth", self.depth, self.depth >= 1, "at least 1"),
                ("dropout", self.dropout, 0 <= self.dropout < 1, "in [0, 1)"),
                ("label_smoothing", self.label_smoothing, 0 <= self.label_smoothing < 1, "in [0, 1)"),
            )
            if not fine
        ]
        if self.model == "simple_cnn" and self.dataset == "digits":
            wrong.append(
                "`model` simple_cnn needs 32x32 images; use dataset cifar10, or model conv or resnet."
            )
        if self.augment and self.dataset == "digits":
            wrong.append("`augment` mirrors images, which makes other digits of digits; use it with cifar10.")
        if wrong:
            raise ValueError(" ".join(wrong))


@register("classify")
class Classify(Task):
    """Cross-entropy on images; loss and accuracy on a held-out split, and at the end on the test split."""

    Config = Classification
    metric = ("val_accuracy", "max")
    metrics: ClassVar[tuple[str, ...]] = ("train_loss", "val_loss", "val_accuracy")
    config: Classification
    train: Dataset
    val: Dataset

    def setup(self) -> None:
        """Open the dataset; CIFAR-10 is decoded once on each node."""
        self.train, self.val, self._test = (
            _digits() if self.config.dataset == "digits" else _cifar10(self.config)
        )

    def build(self) -> nn.Module:
        """The network that the config names."""
        c = self.config
        channels = 1 if c.dataset == "digits" else 3
        if c.model == "simple_cnn":
            return simple_cnn(c.dropout)
        return (
            resnet(channels, c.width, c.depth, c.norm, c.dropout)
            if c.model == "resnet"
            else conv(channels, c.width, c.depth, c.dropout)
        )

    def loss(self, model: nn.Module, batch: Any) -> torch.Tensor:
        """Cross-entropy with label smoothing."""
        images, labels = batch
        return F.cross_entropy(model(images), labels, label_smoothing=self.config.label_smoothing)

    def held_out(self, model: nn.Module, batch: Any) -> torch.Tensor:
        """Plain cross-entropy."""
        images, labels = batch
        return F.cross_entropy(model(images), labels)

    def evaluate(self, model: nn.Module, ranks: Ranks) -> dict[str, float]:
        """Plain cross-entropy and accuracy on the validation split."""
        return {f"val_{name}": value for name, value in _quality(model, self.val, ranks).items()}

    def test(self, model: nn.Module, ranks: Ranks) -> dict[str, float]:
        """The same on the test split."""
        return {f"test_{name}": value for name, value in _quality(model, self._test, ranks).items()}

    @classmethod
    def problems(cls, config: Mapping[str, Any]) -> list[str]:
        """CIFAR-10's files missing."""
        if config.get("dataset") != "cifar10":
            return []
        try:
            cifar10.locate(config.get("data"))
        except ValueError as error:
            return [str(error)]
        return []


def _quality(model: nn.Module, split: Dataset, ranks: Ranks) -> dict[str, float]:
    def measure(batch: Any) -> dict[str, torch.Tensor]:
        images, labels = batch
        scores = model(images)
        return {
            "loss": F.cross_entropy(scores, labels),
            "accuracy": (scores.argmax(1) == labels).double().mean(),
        }

    return ranks.mean(split, measure)


@functools.cache  # reading them takes 23 ms, a third of the start of a trial whose processes are reused
def _digits() -> tuple[Dataset, Dataset, Dataset]:
    """1,297 images to train on, 250 held out, 250 for the end: scikit-learn's digits, shuffled once."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(8).permutation(len(labels))
    x = torch.from_numpy(pixels[order].astype(np.float32) / 8 - 1).view(-1, 1, 8, 8)
    y = torch.from_numpy(labels[order].astype(np.int64))
    return Arrays(x[:1297], y[:1297]), Arrays(x[1297:1547], y[1297:1547]), Arrays(x[1547:], y[1547:])


def _cifar10(config: Classification) -> tuple[Dataset, Dataset, Dataset]:
    train_files, test_files = cifar10.files(cifar10.locate(config.data))
    pixels, labels = decoded(train_files)
    rows, held_out = cifar10.split(len(labels))
    scale = cifar10.MEAN, cifar10.STD
    test_pixels, test_labels = decoded(test_files)
    return (
        Images(pixels, labels, rows, *scale, augment=config.augment),
        Images(pixels, labels, held_out, *scale),
        Images(test_pixels, test_labels, np.arange(len(test_labels)), *scale),
    )


def conv(channels: int, width: int, depth: int, dropout: float) -> nn.Module:
    """Convolutions of `width` and then 2 `width` channels, halving the image in between, mean, linear."""
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    layers += [nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU()]
    for _ in range(depth - 1):
        layers += [nn.Conv2d(2 * width, 2 * width, 3, padding=1), nn.ReLU()]
    layers += [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(dropout), nn.Linear(8 * width, 10)]
    return nn.Sequential(*layers)


def simple_cnn(dropout: float) -> nn.Module:
    """Two convolutions of 5x5 and linear layers of 120, 84 and 10, as in PyTorch's CIFAR-10 tutorial."""
    return nn.Sequential(
        *(nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU()),
        *(nn.Dropout(dropout), nn.Linear(84, 10)),
    )


def resnet(channels: int, width: int, depth: int, norm: str, dropout: float) -> nn.Module:
    """Stages of `depth` residual blocks with 1, 2 and 4 `width` channels (He et al. 2016, section 4.2)."""
    layers: list[nn.Module] = [
        nn.Conv2d(channels, width, 3, padding=1, bias=False),
        _norm(norm, width),
        nn.ReLU(),
    ]
    before = width
    for stage in range(3):
        for block in range(depth):
            after, stride = width * 2**stage, 2 if stage and not block else 1
            layers.append(Block(before, after, stride, norm))
            before = after
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(before, 10)
    )


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut, 1x1 where the shape changes."""

    def __init__(self, before: int, after: int, stride: int, norm: str) -> None:
        super().__init__()
        self.main = nn.Sequential(
            *(nn.Conv2d(before, after, 3, stride, 1, bias=False), _norm(norm, after), nn.ReLU()),
            *(nn.Conv2d(after, after, 3, 1, 1, bias=False), _norm(norm, after)),
        )
        same = before == after and stride == 1
        self.shortcut = (
            nn.Identity()
            if same
            else nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), _norm(norm, after))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shape (n, before, h, w) to (n, after, h / stride, w / stride)."""
        return F.relu(self.main(x) + self.shortcut(x))


def _norm(kind: str, channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels) if kind == "batch" else nn.GroupNorm(min(8, channels), channels)
