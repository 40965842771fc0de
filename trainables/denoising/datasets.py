"""Images to generate, in [-1, 1], and everything random that a training pass over them needs."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainables.engine import cifar10
from trainables.engine.data import Arrays, Bits, Dataset, Images, Indices, normals, to_device
from trainables.engine.images import decoded

CLASSES = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """What is the same of all images of a dataset."""

    channels: int
    side: int
    levels: int
    """Values that a pixel can have, evenly spaced from -1 to 1."""
    deviation: float
    """Of the pixels of all images."""

    @property
    def dimensions(self) -> int:
        """Numbers that make up an image."""
        return self.channels * self.side**2

    @property
    def bin_width(self) -> float:
        """Distance between neighbouring values."""
        return 2 / (self.levels - 1)

    def quantised(self, x: Tensor) -> Tensor:
        """The nearest values that a pixel can have."""
        step = self.bin_width
        return (((x + 1) / step).round() * step - 1).clamp(-1, 1)


SHAPES = {
    "digits": Shape(channels=1, side=8, levels=17, deviation=0.75),
    "cifar10": Shape(channels=3, side=32, levels=256, deviation=0.5),
}


def splits(dataset: str, data: str | None) -> tuple[Dataset, Dataset, Dataset]:
    """Training, validation and test images with their labels, the same splits as `classify` has."""
    if dataset == "digits":
        return _digits()
    train_files, test_files = cifar10.files(cifar10.locate(data))
    pixels, labels = decoded(train_files)
    rows, held_out = cifar10.split(len(labels))
    test_pixels, test_labels = decoded(test_files)
    middle = ((127.5,) * 3, (127.5,) * 3)
    return (
        Images(pixels, labels, rows, *middle),
        Images(pixels, labels, held_out, *middle),
        Images(test_pixels, test_labels, np.arange(len(test_labels)), *middle),
    )


@functools.cache
def _digits() -> tuple[Dataset, Dataset, Dataset]:
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(8).permutation(len(labels))
    x = torch.from_numpy(pixels[order].astype(np.float32) / 8 - 1).view(-1, 1, 8, 8)
    y = torch.from_numpy(labels[order].astype(np.int64))
    return Arrays(x[:1297], y[:1297]), Arrays(x[1297:1547], y[1297:1547]), Arrays(x[1547:], y[1547:])


class Noised:
    """Training images together with their noise: the same for any number of ranks, new each time around.

    A batch is (images, labels, uniform draws (n, 2), standard normal draws shaped like the images).

    Args:
        dequantise: add uniform noise of one bin's width, so that the images have a density.
        mirror: turn half of the images round.
    """

    def __init__(self, split: Dataset, shape: Shape, dequantise: bool = False, mirror: bool = False) -> None:
        self.split, self.shape, self.dequantise, self.mirror = split, shape, dequantise, mirror

    def __len__(self) -> int:
        return len(self.split)

    def batch(
        self, indices: Indices, bits: Bits | None, device: torch.device
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """See the class."""
        assert bits is not None  # the training split always has them
        d = self.shape.dimensions
        x, y = self.split.batch(indices, None, device)
        drawn = to_device(torch.from_numpy(normals(bits, 2 + d * (1 + self.dequantise))), device)
        if self.mirror:
            turned = to_device(torch.from_numpy((bits >> np.uint64(63)).astype(bool)), device)
            x = torch.where(turned[:, None, None, None], x.flip(3), x)
        if self.dequantise:
            x = x + self.shape.bin_width * torch.special.ndtr(drawn[:, 2 + d :]).view(x.shape)
        return x, y, torch.special.ndtr(drawn[:, :2]), drawn[:, 2 : 2 + d].view(x.shape)


def stratified(count: int, device: torch.device) -> Tensor:
    """A draw from each of `count` equal parts of (0, 1), in random order."""
    parts = torch.randperm(count, device=device) + torch.rand(count, device=device)
    return (parts / count).clamp(1e-6, 1 - 1e-6)
