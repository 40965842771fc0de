"""Image classification: scikit-learn's digits (no download) and CIFAR-10, by networks of every usual kind."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainables.engine import Task, Training, cifar10, hyper
from trainables.engine.data import Dataset, Images
from trainables.engine.ddp import Ranks
from trainables.engine.images import Augmentation, decoded
from trainables.nets import convolutional, layers, mlp, transformer
from trainables.registry import register

CLASSES = 10
SIDES, CHANNELS = {"digits": 8, "cifar10": 32}, {"digits": 1, "cifar10": 3}


@dataclass(frozen=True, kw_only=True, slots=True)
class Classification(Training):
    """Hyperparameters of image classification. What a network has no use for is ignored by it."""

    dataset: str = hyper(
        "digits", "8x8 grey digits or 32x32 photographs.", choices=("digits", "cifar10"), group="data"
    )
    data: str | None = hyper(
        None, "Folder of the CIFAR-10 Parquet files; None is STARLING_DATA.", group="data", path=True
    )
    train_share: float = hyper(
        1.0, "Share of the training images that is used, the same ones by every trial.",
        low=0.01, high=1.0, log=True, group="data",
    )  # fmt: skip
    model: str = hyper(
        "conv",
        "conv: two or more convolutions and a mean; simple_cnn: two convolutions and three linear layers, "
        "for cifar10; resnet: three stages of blocks; mlp: linear layers; vit: a transformer of patches.",
        choices=("conv", "simple_cnn", "resnet", "mlp", "vit"),
        group="model",
    )
    width: int = hyper(
        16, "Channels of the first stage; units of an mlp's layers.", low=8, high=64, log=True, group="model"
    )
    depth: int = hyper(
        1, "Blocks in each stage, convolutions after the second, or hidden layers.",
        low=1, high=3, group="model",
    )  # fmt: skip
    activation: str = hyper("relu", "Between layers.", choices=layers.ACTIVATIONS, group="model")
    connection: str = hyper(
        "residual", "Of resnet's blocks.", choices=convolutional.CONNECTIONS, group="model"
    )
    kernel_size: int = hyper(
        3, "Of conv's and resnet's convolutions; odd.", choices=(1, 3, 5, 7), group="model"
    )
    pooling: str = hyper(
        "stride", "How resnet halves an image between stages.", choices=layers.POOLINGS, group="model"
    )
    norm: str = hyper(
        "batch", "Normalisation in resnet. Only group and layer are the same for any number of ranks and any "
        "accumulation.", choices=layers.NORMS, group="model",
    )  # fmt: skip
    norm_momentum: float = hyper(
        0.1, "Weight of a batch in batch normalisation's statistics.",
        low=0.01, high=0.5, log=True, group="model",
    )  # fmt: skip
    norm_eps: float = hyper(
        1e-5, "Added to a normalisation's variance.", low=1e-8, high=1e-2, log=True, group="model"
    )
    init: str = hyper("default", "How weights begin.", choices=layers.INITS, group="model")
    patch: int = hyper(2, "Pixels of a vit patch's side.", choices=(1, 2, 4, 8), group="model")
    embedding: int = hyper(
        32, "Numbers that stand for a patch in vit.", choices=(16, 32, 64, 128, 256), group="model"
    )
    heads: int = hyper(4, "Of vit's attention, sharing the embedding.", choices=(1, 2, 4, 8), group="model")
    dropout: float = hyper(0.0, "Rate before the last layer.", low=0.0, high=0.5, group="reg", mutable=True)
    label_smoothing: float = hyper(
        0.0, "Probability mass spread over all classes.", low=0.0, high=0.2, group="reg", mutable=True
    )
    focal_gamma: float = hyper(
        0.0, "Power of (1 - p) of the right class by which easy images count less (focal loss); 0 is off.",
        low=0.0, high=5.0, group="reg", mutable=True,
    )  # fmt: skip
    focal_alpha: float = hyper(
        0.0, "Power of a class's inverse frequency by which it is weighted; 0 is off, 1 balances them.",
        low=0.0, high=1.0, group="reg", mutable=True,
    )  # fmt: skip
    flip: bool = hyper(False, "Mirror half of the images (cifar10).", choices=(False, True), group="reg")
    crop: int = hyper(0, "Pixels by which images are moved at most.", low=0, high=4, group="reg")
    rotate: float = hyper(0.0, "Degrees by which images are turned at most.", low=0.0, high=30.0, group="reg")
    colour: float = hyper(
        0.0, "Share by which brightness, contrast and saturation are changed at most.",
        low=0.0, high=0.5, group="reg",
    )  # fmt: skip

    def __post_init__(self) -> None:
        Training.__post_init__(self)
        side = SIDES.get(self.dataset, 8)
        wrong = [
            f"`{name}` is {value}; it must be {rule}."
            for name, value, fine, rule in (
                ("train_share", self.train_share, 0 < self.train_share <= 1, "in (0, 1]"),
                ("width", self.width, self.width >= 1, "at least 1"),
                ("depth", self.depth, self.depth >= 1, "at least 1"),
                ("norm_momentum", self.norm_momentum, 0 < self.norm_momentum <= 1, "in (0, 1]"),
                ("norm_eps", self.norm_eps, self.norm_eps > 0, "above 0"),
                ("dropout", self.dropout, 0 <= self.dropout < 1, "in [0, 1)"),
                ("label_smoothing", self.label_smoothing, 0 <= self.label_smoothing < 1, "in [0, 1)"),
                ("focal_gamma", self.focal_gamma, self.focal_gamma >= 0, "at least 0"),
                ("focal_alpha", self.focal_alpha, self.focal_alpha >= 0, "at least 0"),
                ("crop", self.crop, 0 <= self.crop < side, f"from 0 to {side - 1}, less than the image"),
                ("rotate", self.rotate, 0 <= self.rotate <= 180, "in [0, 180]"),
                ("colour", self.colour, 0 <= self.colour <= 1, "in [0, 1]"),
            )
            if not fine
        ]
        if self.model == "simple_cnn" and self.dataset == "digits":
            wrong.append(
                "`model` simple_cnn needs 32x32 images; use dataset cifar10, or model conv or resnet."
            )
        if self.flip and self.dataset == "digits":
            wrong.append("`flip` mirrors images, which makes other digits of digits; use it with cifar10.")
        if self.model == "vit" and side % self.patch:
            wrong.append(f"`patch` is {self.patch}, which does not divide an image of {side} pixels.")
        if self.model == "vit" and self.embedding % self.heads:
            wrong.append(f"`embedding` is {self.embedding}; it must be a multiple of the {self.heads} heads.")
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
        c = self.config
        augment = Augmentation(crop=c.crop, flip=c.flip, rotate=c.rotate, colour=c.colour)
        load = _digits if c.dataset == "digits" else functools.partial(_cifar10, c.data)
        self.train, self.val, self._test, counts = load(
            c.train_share, None if augment == Augmentation() else augment
        )
        self._rarity = torch.from_numpy(counts.mean() / np.maximum(counts, 1))

    def build(self) -> nn.Module:
        """The network that the config names."""
        c = self.config
        style = layers.Style(
            activation=c.activation, norm=c.norm, norm_momentum=c.norm_momentum, norm_eps=c.norm_eps,
            kernel_size=c.kernel_size, pooling=c.pooling,
        )  # fmt: skip
        channels, side = CHANNELS[c.dataset], SIDES[c.dataset]
        model: nn.Module
        match c.model:
            case "conv":
                model = convolutional.conv(channels, c.width, c.depth, c.dropout, style)
            case "simple_cnn":
                model = convolutional.simple_cnn(c.dropout, style)
            case "resnet":
                model = convolutional.stages(channels, c.width, c.depth, c.dropout, c.connection, style)
            case "mlp":
                model = mlp.mlp(channels * side**2, c.width, c.depth, c.dropout, CLASSES, style)
            case _:
                model = transformer.VisionTransformer(
                    channels, side, c.patch, c.embedding, c.heads, c.depth, c.dropout, CLASSES, style
                )
        return layers.initialise(model, c.init)

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        """Cross-entropy with label smoothing; with `focal_gamma` or `focal_alpha` the focal loss.

        Lin et al. (2017, arXiv:1708.02002), eq. 5: alpha_y (1 - p_y)^gamma times the cross-entropy, where
        alpha_y is a power of the class's inverse frequency.
        """
        images, labels = batch
        c, scores = self.config, model(images)
        if not c.focal_gamma and not c.focal_alpha:
            return F.cross_entropy(scores, labels, label_smoothing=c.label_smoothing)
        each = F.cross_entropy(scores, labels, label_smoothing=c.label_smoothing, reduction="none")
        wrong = 1 - scores.softmax(1).gather(1, labels[:, None])[:, 0]
        weight = (self._rarity.to(each) ** c.focal_alpha)[labels] * wrong.clamp_min(1e-6) ** c.focal_gamma
        return (weight * each).mean()

    def held_out(self, model: nn.Module, batch: Any) -> Tensor:
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
    def measure(batch: Any) -> dict[str, Tensor]:
        images, labels = batch
        scores = model(images)
        return {
            "loss": F.cross_entropy(scores, labels),
            "accuracy": (scores.argmax(1) == labels).double().mean(),
        }

    return ranks.mean(split, measure)


Splits = tuple[Images, Images, Images, Any]
"""To train on, held out, for the end; and how many training images each class has."""


def _digits(share: float, augment: Augmentation | None) -> Splits:
    """1,297 images to train on, 250 held out, 250 for the end: scikit-learn's digits, shuffled once."""
    pixels, labels = _read_digits()
    rows = np.arange(len(labels))
    scale = (8.0,), (8.0,)  # 0 to 16 becomes -1 to 1
    parts = _first(share, rows[:1297]), rows[1297:1547], rows[1547:]
    train, val, test = (
        Images(pixels, labels, part, *scale, augment if i == 0 else None) for i, part in enumerate(parts)
    )
    return train, val, test, np.bincount(labels[parts[0]], minlength=CLASSES)


@functools.cache  # reading them takes 23 ms, a third of the start of a trial whose processes are reused
def _read_digits() -> tuple[Any, Any]:
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(8).permutation(len(labels))
    return pixels[order].astype(np.uint8).reshape(-1, 8, 8, 1), labels[order].astype(np.int64)


def _cifar10(folder: str | None, share: float, augment: Augmentation | None) -> Splits:
    train_files, test_files = cifar10.files(cifar10.locate(folder))
    pixels, labels = decoded(train_files)
    rows, held_out = cifar10.split(len(labels))
    rows = _first(share, rows)
    scale = cifar10.MEAN, cifar10.STD
    test_pixels, test_labels = decoded(test_files)
    return (
        Images(pixels, labels, rows, *scale, augment),
        Images(pixels, labels, held_out, *scale),
        Images(test_pixels, test_labels, np.arange(len(test_labels)), *scale),
        np.bincount(labels[rows], minlength=CLASSES),
    )


def _first(share: float, rows: Any) -> Any:
    """So many of rows that are in no order, and one at least."""
    return rows[: max(1, round(share * len(rows)))]
