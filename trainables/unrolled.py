"""Digits by a smooth network whose every hyperparameter can be differentiated, for search by gradients.

Few training images, some of them mislabelled, so that schedules, weights and noise matter: what a search
over dozens of hyperparameters is for. `hypergrad=1` makes the last report carry the derivatives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainables.engine import Task, Training, hyper, parts
from trainables.engine.data import Arrays, Bits, Dataset, Indices, normals, to_device
from trainables.engine.ddp import Ranks
from trainables.engine.parts import Parts
from trainables.registry import register

CLASSES = 10
ACTIVATIONS = {"gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
"""Smooth ones: across the kinks of ReLU a derivative through a whole training does not hold."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unrolling(Training):
    """Hyperparameters of a smooth network on few digits; `Parts` may have a value for each part."""

    samples: int = hyper(400, "Training images.", low=100, high=1297, group="data")
    mislabelled: float = hyper(
        0.0, "Share of the training images, the last ones, whose labels are drawn at random.",
        low=0.0, high=0.5, group="data",
    )  # fmt: skip
    width: int = hyper(64, "Units of a hidden layer.", low=16, high=256, log=True, group="model")
    depth: int = hyper(2, "Hidden layers.", low=1, high=4, group="model")
    activation: str = hyper("gelu", "Of the hidden layers.", choices=ACTIVATIONS, group="model")
    dropout: Parts = hyper(
        0.0, "Gaussian dropout: deviation of noise that multiplies a hidden layer; or one for each of them.",
        low=0.0, high=1.0, group="reg", mutable=True,
    )  # fmt: skip
    label_smoothing: float = hyper(
        0.0, "Probability mass spread over all classes.", low=0.0, high=0.2, group="reg", mutable=True
    )
    input_noise: float = hyper(
        0.0, "Deviation of noise on the pixels, which lie in [-1, 1].",
        low=0.0, high=1.0, group="reg", mutable=True,
    )  # fmt: skip
    shift: float = hyper(
        0.0, "Pixels by which an image is moved at most, along each axis; in [0, 1].",
        low=0.0, high=1.0, group="reg", mutable=True,
    )  # fmt: skip
    contrast: float = hyper(
        0.0, "Deviation of the logarithm by which an image's contrast is changed.",
        low=0.0, high=0.5, group="reg", mutable=True,
    )  # fmt: skip
    class_weight: Parts = hyper(
        1.0, "Weight of a class's loss; or one for each run of the ten.",
        low=0.2, high=5.0, log=True, group="reg", mutable=True,
    )  # fmt: skip
    data_weight: Parts = hyper(
        1.0, "Weight of a training image's loss; or one for each run of them.",
        low=0.01, high=3.0, log=True, group="data", mutable=True,
    )  # fmt: skip

    def __post_init__(self) -> None:
        Training.__post_init__(self)
        least = {name: min(parts.values(getattr(self, name))) for name in ("class_weight", "data_weight")}
        wrong = [
            f"`{name}` is {value}; it must be {rule}."
            for name, value, fine, rule in (
                ("samples", self.samples, 10 <= self.samples <= 1297, "from 10 to 1297, all there are"),
                ("mislabelled", self.mislabelled, 0 <= self.mislabelled <= 1, "in [0, 1]"),
                ("width", self.width, self.width >= 1, "at least 1"),
                ("depth", self.depth, self.depth >= 1, "at least 1"),
                ("dropout", self.dropout, min(parts.values(self.dropout)) >= 0, "at least 0"),
                ("label_smoothing", self.label_smoothing, 0 <= self.label_smoothing < 1, "in [0, 1)"),
                ("input_noise", self.input_noise, self.input_noise >= 0, "at least 0"),
                ("shift", self.shift, 0 <= self.shift <= 1, "in [0, 1]"),
                ("contrast", self.contrast, self.contrast >= 0, "at least 0"),
                *((name, getattr(self, name), value >= 0, "at least 0") for name, value in least.items()),
            )
            if not fine
        ]
        if isinstance(self.dropout, dict) and len(self.dropout) > self.depth:
            wrong.append(f"`dropout` has {len(self.dropout)} parts for {self.depth} hidden layers.")
        if wrong:
            raise ValueError(" ".join(wrong))


@register("unrolled")
class Unrolled(Task):
    """Weighted, smoothed cross-entropy on shifted, noisy digits; plain cross-entropy on held-out ones."""

    Config = Unrolling
    metric = ("val_loss", "min")
    metrics: ClassVar[tuple[str, ...]] = ("train_loss", "val_loss", "val_accuracy")
    differentiable: ClassVar[tuple[str, ...]] = (
        "dropout", "label_smoothing", "input_noise", "shift", "contrast", "class_weight", "data_weight",
    )  # fmt: skip
    config: Unrolling
    train: Dataset
    val: Dataset
    drawn: Tensor
    """Standard normal draws for a batch's samples, shape (n, 3 + 64 + depth * width); set by `loss`."""

    def setup(self) -> None:
        """Few images to train on, 250 held out, 250 for the end."""
        from sklearn.datasets import load_digits

        pixels, labels = load_digits(return_X_y=True)
        rng = np.random.default_rng(8)
        order = rng.permutation(len(labels))
        x = (pixels[order] / 8 - 1).astype(np.float32).reshape(-1, 8, 8)
        y = labels[order].astype(np.int64)
        n = self.config.samples
        wrong = round(self.config.mislabelled * n)
        own = y[:n].copy()
        own[n - wrong :] = rng.integers(CLASSES, size=wrong)
        self.train = _Drawn(3 + 64 + self.config.depth * self.config.width, x[:n], own, np.arange(n))
        self.val, self._test = (Arrays(x[a:b], y[a:b]) for a, b in ((1297, 1547), (1547, len(y))))

    def build(self) -> nn.Module:
        """A multilayer perceptron with noise behind every hidden layer."""
        c = self.config
        layers: list[nn.Module] = [nn.Flatten()]
        for i in range(c.depth):
            layers += [nn.Linear(c.width if i else 64, c.width), ACTIVATIONS[c.activation](), _Noise(self, i)]
        return nn.Sequential(*layers, nn.Linear(c.width, CLASSES))

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        """Mean over the batch of each image's weight times its cross-entropy with smoothed labels."""
        c: Any = self.config
        x, y, number, self.drawn = batch
        logs = F.log_softmax(model(self._changed(x)), dim=1)
        smooth = c.label_smoothing
        each = -(1 - smooth) * logs.gather(1, y[:, None])[:, 0] - smooth * logs.mean(1)
        of_class, of_image = parts.spread(c.class_weight, CLASSES), parts.spread(c.data_weight, c.samples)
        return (each * of_class.to(each)[y] * of_image.to(each)[number]).mean()

    def held_out(self, model: nn.Module, batch: Any) -> Tensor:
        """Plain cross-entropy."""
        x, y = batch
        return F.cross_entropy(model(x), y)

    def evaluate(self, model: nn.Module, ranks: Ranks) -> dict[str, float]:
        """Cross-entropy and accuracy on held-out images."""
        return _quality(model, self.val, ranks, "val")

    def test(self, model: nn.Module, ranks: Ranks) -> dict[str, float]:
        """The same on images that no search has seen."""
        return _quality(model, self._test, ranks, "test")

    def _changed(self, x: Tensor) -> Tensor:
        """Images (n, 8, 8) moved, with another contrast, and noisy; a smooth function of how much."""
        c: Any = self.config
        first, second, stretch = (self.drawn[:, i, None, None] for i in range(3))
        noise = self.drawn[:, 3:67].view(-1, 8, 8)
        for axis, draw in ((1, first), (2, second)):
            x = _moved(x, c.shift * torch.erf(draw / 2**0.5), axis)  # uniform in (-1, 1)
        return ((x + 1) * torch.exp(c.contrast * stretch) - 1) + c.input_noise * noise


class _Noise(nn.Module):
    """Gaussian dropout (Srivastava et al. 2014, section 10): h <- h (1 + sd xi), in training."""

    def __init__(self, task: Unrolled, layer: int) -> None:
        super().__init__()
        self._task, self._layer = task, layer

    def forward(self, h: Tensor) -> Tensor:
        """Shape (n, width) to the same."""
        if not self.training:
            return h
        config: Any = self._task.config
        deviation = parts.spread(config.dropout, config.depth)[self._layer].to(h)
        first = 67 + self._layer * config.width
        return h * (1 + deviation * self._task.drawn[:, first : first + config.width])


class _Drawn(Arrays):
    """Arrays whose batches end in standard normal draws, the same ones for any number of ranks."""

    def __init__(self, draws: int, *arrays: Any) -> None:
        super().__init__(*arrays)
        self._draws = draws

    def batch(self, indices: Indices, bits: Bits | None, device: torch.device) -> tuple[Tensor, ...]:
        """Rows of each array, and draws of shape (n, draws)."""
        assert bits is not None  # the training split always has them
        drawn = to_device(torch.from_numpy(normals(bits, self._draws)), device)
        return (*super().batch(indices, bits, device), drawn)


def _moved(x: Tensor, by: Tensor, axis: int) -> Tensor:
    """Images moved by -1 to 1 pixels, linear in between; beyond the border lies the background, -1."""
    border = torch.full_like(x.narrow(axis, 0, 1), -1.0)
    up = torch.cat([x.narrow(axis, 1, x.shape[axis] - 1), border], dim=axis)
    down = torch.cat([border, x.narrow(axis, 0, x.shape[axis] - 1)], dim=axis)
    return x * (1 - by.abs()) + up * by.clamp(min=0) + down * (-by).clamp(min=0)


def _quality(model: nn.Module, split: Dataset, ranks: Ranks, prefix: str) -> dict[str, float]:
    def measure(batch: Any) -> dict[str, Tensor]:
        x, y = batch
        scores = model(x)
        accuracy = (scores.argmax(1) == y).double().mean()
        return {f"{prefix}_loss": F.cross_entropy(scores, y), f"{prefix}_accuracy": accuracy}

    return ranks.mean(split, measure)
