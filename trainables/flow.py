"""Normalising flows, trained by maximum likelihood: `nice`, `realnvp` and `spline_flow`.

Losses are bits per dimension: what a pixel costs, by a density of images dequantised with uniform noise of
one grey level. The last report has what models without learning reach beside it (trainables.quality.trivial).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from trainables.denoising import drawing
from trainables.denoising.datasets import SHAPES, Noised, splits
from trainables.denoising.datasets import Shape as Images
from trainables.denoising.likelihood import bits_per_dim
from trainables.denoising.settings import OnImages, missing_data, refuse
from trainables.engine import Task, hyper
from trainables.engine.data import Dataset
from trainables.engine.ddp import Ranks
from trainables.flows.couplings import NETS, Chain, Coupling, Scale, Shape, masks
from trainables.flows.density import PRIORS, Density
from trainables.flows.spline import MISSING, Splines
from trainables.registry import register

PICTURES = 64
NEAR = 1e-6
"""Uniform draws keep so far from 0 and 1, where quantiles are infinite."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Flow(OnImages):
    """What all flows have in common."""

    layers: int = hyper(6, "Invertible layers.", low=2, high=8, group="model")
    width: int = hyper(
        128, "Units or channels of a hidden layer of what says a layer's amounts.",
        low=32, high=512, log=True, group="model",
    )  # fmt: skip
    depth: int = hyper(2, "Its hidden layers, or residual blocks.", low=1, high=4, group="model")
    samples: int = hyper(
        250, "Images drawn and judged at the end; 0: none.", low=250, high=5000, group="sampler"
    )

    def __post_init__(self) -> None:
        OnImages.__post_init__(self)
        refuse(
            ("layers", self.layers, self.layers >= 1, "at least 1"),
            ("width", self.width, self.width >= 1, "at least 1"),
            ("depth", self.depth, self.depth >= 1, "at least 1"),
            ("samples", self.samples, self.samples == 0 or self.samples >= 100, "0, or at least 100"),
        )


class Flowing(Task):
    """Bits per dimension, in training and on held-out images; at the end on test images, and the quality of
    images drawn."""

    metric = ("val_bits_per_dim", "min")
    metrics: ClassVar[tuple[str, ...]] = ("train_loss", "val_bits_per_dim")
    config: Any
    train: Dataset
    val: Dataset

    def setup(self) -> None:
        """Open the dataset; CIFAR-10 is decoded once on each node."""
        c = self.config
        self._real, self.val, self._test = splits(c.dataset, c.data)
        self.train = Noised(self._real, self._images, dequantise=True, mirror=c.dataset == "cifar10")

    @property
    def _images(self) -> Images:
        return SHAPES[self.config.dataset]

    @property
    def shape(self) -> Shape:
        """Of an image."""
        return self._images.channels, self._images.side, self._images.side

    def bijection(self) -> tuple[nn.Module, str]:
        """What makes noise of images, in the beginning next to nothing, and the noise's name."""
        raise NotImplementedError

    def build(self) -> Density:
        """The density, in the beginning one of independent pixels."""
        return Density(*moments(self._real, self._images.bin_width), *self.bijection())

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        """Bits per dimension of dequantised images."""
        return bits_per_dim(model(batch[0]), self._images.dimensions, self._images.bin_width).mean()

    def held_out(self, model: nn.Module, batch: Any) -> Tensor:
        """The same with the same noise each time."""
        images, _ = batch
        noise = self._images.bin_width * torch.rand_like(images)
        return bits_per_dim(model(images + noise), self._images.dimensions, self._images.bin_width).mean()

    def evaluate(self, model: nn.Module, ranks: Ranks) -> dict[str, float]:
        """On held-out images."""
        return ranks.mean(self.val, lambda batch: {"val_bits_per_dim": self.held_out(model, batch)})

    def test(self, model: nn.Module, ranks: Ranks) -> dict[str, float]:
        """On test images; the same of models without learning; and how images drawn are judged."""
        from trainables.quality import distances, trivial

        found = ranks.mean(self._test, lambda batch: {"test_bits_per_dim": self.held_out(model, batch)})
        c = self.config
        gates = trivial.bits_per_dim(c.dataset, c.data)
        found |= {f"{name}_bits_per_dim": bits for name, bits in gates.items()}
        if c.samples:
            found |= distances.quality(self.draw(model, ranks, c.samples), None, c.dataset)
        return found

    def pictures(self, model: nn.Module, ranks: Ranks) -> Mapping[str, Tensor]:
        """Images drawn."""
        return {"samples": (self.draw(model, ranks, PICTURES) + 1) / 2}

    def draw(self, model: nn.Module, ranks: Ranks, count: int) -> Tensor:
        """So many images with the values that pixels can have, the same for any number of ranks."""
        assert isinstance(model, Density)
        density = model

        def some(rows: slice, generator: torch.Generator) -> Tensor:
            shape = (rows.stop - rows.start, *self.shape)
            u = torch.rand(shape, generator=generator, device=ranks.device)
            return density.sample(u.clamp(NEAR, 1 - NEAR))

        images = drawing.in_batches(some, ranks, self.shape, count)
        return self._images.quantised(images - self._images.bin_width / 2)

    @classmethod
    def problems(cls, config: Mapping[str, Any]) -> list[str]:
        """CIFAR-10's files missing."""
        return missing_data(config)


def moments(split: Dataset, bin_width: float) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each pixel of dequantised images, shape (channels, height, width).

    Noise of one bin's width moves the mean by half of it and adds a twelfth of its square to the variance.
    """
    total, squares = torch.zeros(()), torch.zeros(())
    for rows in np.array_split(np.arange(len(split)), -(-len(split) // 1000)):
        images = split.batch(rows, None, torch.device("cpu"))[0].double()
        total, squares = total + images.sum(0), squares + images.square().sum(0)
    mean = total / len(split)
    variance = (squares / len(split) - mean**2).clamp(min=0) + bin_width**2 / 12
    return (mean + bin_width / 2).float(), variance.sqrt().float()


@dataclass(frozen=True, kw_only=True, slots=True)
class CouplingFlow(Flow):
    """Hyperparameters of `nice` and `realnvp`."""

    net: str = hyper(
        "perceptron", "What says a layer's amounts: linear layers, or convolutions.",
        choices=tuple(NETS), group="model",
    )  # fmt: skip
    prior: str = hyper("logistic", "What images become.", choices=tuple(PRIORS), group="model")
    dropout: float = hyper(0.0, "Rate in every hidden layer.", low=0.0, high=0.5, group="reg", mutable=True)

    def __post_init__(self) -> None:
        Flow.__post_init__(self)
        refuse(("dropout", self.dropout, 0 <= self.dropout < 1, "in [0, 1)"))


@register("nice")
class Nice(Flowing):
    """Additive coupling layers and a factor for each pixel (Dinh et al. 2014, arXiv:1410.8516)."""

    Config = CouplingFlow
    config: CouplingFlow
    affine: ClassVar[bool] = False

    def bijection(self) -> tuple[nn.Module, str]:
        """Layers that change a chessboard's squares, rows and columns in turn."""
        c = self.config
        make: Callable[..., nn.Module] = NETS[c.net]
        outputs = self.shape[0] * (1 + self.affine)
        layers: list[nn.Module] = [
            Coupling(mask, make(self.shape, c.width, c.depth, c.dropout, outputs), self.affine)
            for mask in masks(self.shape, c.layers)
        ]
        return Chain([*layers, Scale(self.shape)]), c.prior


@register("realnvp")
class RealNvp(Nice):
    """Affine coupling layers (Dinh et al. 2016, arXiv:1605.08803), all at the images' own size."""

    affine = True


@dataclass(frozen=True, kw_only=True, slots=True)
class SplineFlow(Flow):
    """Hyperparameters of `spline_flow`."""

    bins: int = hyper(8, "Pieces of a spline.", low=4, high=32, log=True, group="model")
    coupling: bool = hyper(
        False, "Half of the pixels from the other half, rather than each from all before it.",
        choices=(False, True), group="model",
    )  # fmt: skip

    def __post_init__(self) -> None:
        Flow.__post_init__(self)
        refuse(("bins", self.bins, self.bins >= 2, "at least 2"))


@register("spline_flow")
class Spline(Flowing):
    """Rational-quadratic splines (Durkan et al. 2019, arXiv:1906.04032), by the library zuko."""

    Config = SplineFlow
    config: SplineFlow

    def bijection(self) -> tuple[nn.Module, str]:
        """Splines, and normal noise."""
        c = self.config
        return Splines(self.shape, c.layers, c.bins, c.width, c.depth, c.coupling), "normal"

    @classmethod
    def problems(cls, config: Mapping[str, Any]) -> list[str]:
        """The same, and zuko missing."""
        lacks = [] if find_spec("zuko") else [MISSING]
        return lacks + missing_data(config)
